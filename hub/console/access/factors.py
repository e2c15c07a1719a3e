"""Second factors: one-time codes (RFC 6238), security keys (WebAuthn), recovery codes.

pyotp and fido2 do the arithmetic; what they leave to their user is here: each code is for one time,
and a key that counts backwards was copied.
"""

import hashlib
import logging
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urlsplit

import pyotp
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

from hub.console.access.models import RecoveryCode, SecurityKey, TotpSecret
from hub.db import secret_box

logger = logging.getLogger(__name__)
CODES: Final = 10
_STEP: Final = 30  # seconds
# A clock may be wrong by so many steps.
_AROUND: Final = (0, -1, 1)


class WrongFactor(ValueError):
    """What was presented is not the account's."""


def has_one(user: Any) -> bool:
    """Whether the account has a factor that it must present."""
    found = User.objects.filter(pk=user.pk)
    return found.filter(Q(totp_secret__isnull=False) | Q(security_keys__isnull=False)).exists()


def reset(user: Any) -> bool:
    """Take all of them away; whether there were any."""
    with transaction.atomic():
        gone = [
            kind.objects.filter(user=user.pk).delete()[0]
            for kind in (TotpSecret, SecurityKey, RecoveryCode)
        ]
    return any(gone)


# --- One-time codes -------------------------------------------------------------------------------


def new_secret() -> str:
    """160 bits, in the letters that apps take."""
    return pyotp.random_base32()


def uri_of(user: Any, secret: str) -> str:
    """What the QR code says."""
    return pyotp.TOTP(secret).provisioning_uri(
        name=user.get_username(), issuer_name=settings.HUB_NAME
    )


def step_of(secret: str, code: str) -> int | None:
    """The half minute of a right code, None for a wrong one."""
    now = int(timezone.now().timestamp()) // _STEP
    totp = pyotp.TOTP(secret)
    steps = [now + by for by in _AROUND]
    right = [step for step in steps if pyotp.utils.strings_equal(code, totp.at(step * _STEP))]
    return right[0] if right else None


def keep_secret(user: Any, secret: str, code: str) -> None:
    """Keep it once its first code was right; WrongFactor otherwise."""
    step = step_of(secret, code)
    if step is None:
        raise WrongFactor("This code is not right. Does the clock of your phone go right?")
    TotpSecret.objects.update_or_create(
        user_id=user.pk,
        defaults={"secret_encrypted": secret_box.encrypt(secret), "last_step": step},
    )


def _is_right_code(user: Any, code: str) -> bool:
    kept = TotpSecret.objects.filter(user=user.pk).first()
    if kept is None:
        return False
    try:
        secret = secret_box.decrypt(bytes(kept.secret_encrypted))
    except secret_box.WrongKey:
        logger.exception("the one-time codes of %s cannot be checked", user)
        return False
    step = step_of(secret, code)
    if step is None:
        return False
    newer = TotpSecret.objects.filter(user=user.pk, last_step__lt=step)
    return newer.update(last_step=step) == 1


# --- Recovery codes -------------------------------------------------------------------------------


def new_codes(user: Any) -> list[str]:
    """Codes in place of all earlier ones, shown once; only hashes are kept."""
    codes = [token_hex(10) for _ in range(CODES)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user.pk).delete()
        RecoveryCode.objects.bulk_create(
            RecoveryCode(user_id=user.pk, digest=_digest(code)) for code in codes
        )
    return ["-".join(code[at : at + 5] for at in range(0, len(code), 5)) for code in codes]


def _digest(code: str) -> bytes:
    """80 random bits need no salt."""
    return hashlib.sha256(code.encode()).digest()


def check_code(user: Any, text: str) -> str:
    """What kind of code it was ("one-time code", "recovery code"); WrongFactor for none."""
    code = "".join(text.split()).replace("-", "").lower()
    if len(code) == 6 and code.isdecimal() and code.isascii() and _is_right_code(user, code):
        return "one-time code"
    if RecoveryCode.objects.filter(user=user.pk, digest=_digest(code)).delete()[0]:
        return "recovery code"
    raise WrongFactor("This code is not right, or was used before.")


# --- Security keys --------------------------------------------------------------------------------


def _server(request: HttpRequest) -> Fido2Server:
    """Keys are bound to the host of PUBLIC_URL; on trial to the one in the address line."""
    at = f"{request.scheme}://{request.get_host()}" if settings.IS_TRIAL else settings.BASE_URL
    parts = urlsplit(at)
    origin = f"{parts.scheme}://{parts.netloc}"
    party = PublicKeyCredentialRpEntity(name=settings.HUB_NAME, id=parts.hostname)
    return Fido2Server(party, verify_origin=lambda told: told == origin)


def _credentials(user: Any) -> list[AttestedCredentialData]:
    kept = SecurityKey.objects.filter(user=user.pk).values_list("credential", flat=True)
    return [AttestedCredentialData(bytes(one)) for one in kept]


def begin_key(request: HttpRequest) -> tuple[dict[str, Any], Any]:
    """What the browser needs to make a key, and the state to keep until it has."""
    user = request.user
    options, state = _server(request).register_begin(
        PublicKeyCredentialUserEntity(
            id=str(user.pk).encode(), name=user.get_username(), display_name=user.get_username()
        ),
        _credentials(user),
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return dict(options), state


def keep_key(request: HttpRequest, state: Any, answer: Any, name: str) -> SecurityKey:
    """Keep what the browser has made; WrongFactor if it is not what was asked for."""
    try:
        made = _server(request).register_complete(state, answer)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongFactor(f"The key was not made: {error}") from error
    credential = made.credential_data
    if credential is None:
        raise WrongFactor("The key was not made: it has told no credential.")
    if SecurityKey.objects.filter(credential_id=credential.credential_id).exists():
        raise WrongFactor("This key is known already.")
    return SecurityKey.objects.create(
        user_id=int(request.user.pk or 0),
        name=name.strip()[:60] or "security key",
        credential_id=credential.credential_id,
        credential=bytes(credential),
        sign_count=made.counter,
    )


def ask_key(request: HttpRequest) -> tuple[dict[str, Any], Any] | None:
    """What the browser needs to use a key of the account; None when it has no key."""
    known = _credentials(request.user)
    if not known:
        return None
    options, state = _server(request).authenticate_begin(
        known, user_verification=UserVerificationRequirement.PREFERRED
    )
    return dict(options), state


def check_key(request: HttpRequest, state: Any, answer: Any) -> SecurityKey:
    """The key that has answered; WrongFactor for another one, or a copy."""
    user = request.user
    try:
        response = AuthenticationResponse.from_dict(answer)
        used = _server(request).authenticate_complete(state, _credentials(user), answer)
        counter = response.response.authenticator_data.counter
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongFactor(f"The key is not right: {error}") from error
    with transaction.atomic():
        key = SecurityKey.objects.select_for_update().get(
            user=user.pk, credential_id=used.credential_id
        )
        if (counter or key.sign_count) and counter <= key.sign_count:
            logger.warning("a security key of %s counts backwards: it may have been copied", user)
            raise WrongFactor("This key was used elsewhere meanwhile: it may have been copied.")
        key.sign_count, key.last_used_at = counter, timezone.now()
        key.save(update_fields=["sign_count", "last_used_at"])
    return key
