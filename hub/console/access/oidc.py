"""Single sign-on by OpenID Connect: the provider says who it is, the hub whether that is somebody.

Authorization code with PKCE and nonce; the ID token's signature is checked by the provider's JWKS.
No account is made, and none becomes staff: an administrator has entered it before.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from secrets import token_urlsafe
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import jwt
import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from urllib3.exceptions import HTTPError

from hub.console.access.models import Account, SingleSignOn
from hub.console.access.roles import Role

_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
_TIMEOUT: Final = (5, 10)  # seconds to connect, to read
_KNOWN_FOR: Final = 600.0  # seconds
# A provider that could not be read is not asked again so soon: each try may hold a thread.
_AWAY_FOR: Final = 10.0  # seconds
_MOST_BYTES: Final = 500_000
_LEEWAY: Final = 60  # seconds that two clocks may differ by


class Refused(Exception):
    """Why nobody is logged in, in words for the person and the log."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a login was begun with; it stays in a cookie of the browser until the answer."""

    state: str = field(default_factory=lambda: token_urlsafe(32))
    nonce: str = field(default_factory=lambda: token_urlsafe(32))
    verifier: str = field(default_factory=lambda: token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """RFC 7636, S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def kept(self) -> dict[str, str]:
        """For the cookie."""
        return {"state": self.state, "nonce": self.nonce, "verifier": self.verifier}


class Provider:
    """What is known of the provider: read anew every ten minutes, and for a key that is new."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._document: dict[str, Any] = {}
        self._keys: dict[str, Any] = {}
        self._read_at = 0.0
        self._failed_at = float("-inf")
        self._problem = ""
        self._lock = Lock()

    def endpoint(self, name: str) -> str:
        """One of its URLs."""
        self._read()
        url = str(self._document.get(f"{name}_endpoint") or "")
        return _safe(url, f"{name}_endpoint")

    def key(self, token: str) -> Any:
        """The key that an ID token says it is signed with."""
        self._read()
        kid = jwt.get_unverified_header(token).get("kid", "")
        if kid not in self._keys:
            self._read(anew=True)
        if kid not in self._keys:
            raise Refused("The provider has signed with a key that it does not publish.")
        return self._keys[kid]

    def _read(self, *, anew: bool = False) -> None:
        with self._lock:
            if not anew and time.monotonic() - self._read_at < _KNOWN_FOR and self._document:
                return
            if time.monotonic() - self._failed_at < _AWAY_FOR:
                raise Refused(self._problem)
            try:
                self._document, self._keys = _published(self.issuer)
            except Refused as error:
                self._failed_at, self._problem = time.monotonic(), str(error)
                raise
            self._read_at = time.monotonic()


def _published(issuer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The provider's document, and its keys by their id."""
    found = _json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise Refused("The provider calls itself otherwise than OIDC_ISSUER.")
    published = _json("GET", _safe(str(found.get("jwks_uri") or ""), "jwks_uri"))
    try:
        keys = jwt.PyJWKSet.from_dict(published).keys
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
        raise Refused("The provider publishes no keys that can be read.") from error
    return found, {one.key_id or "": one for one in keys if one.public_key_use != "enc"}


_providers: dict[str, Provider] = {}


def provider() -> Provider:
    """The one of the settings."""
    return _providers.setdefault(settings.OIDC_ISSUER, Provider(settings.OIDC_ISSUER))


def _safe(url: str, name: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and settings.IS_TRIAL):
        raise Refused(f"The {name} of the provider is not an https URL.")
    return url


def _json(method: str, url: str, **sent: Any) -> dict[str, Any]:
    try:
        with requests.request(
            method, url, timeout=_TIMEOUT, allow_redirects=False, stream=True, **sent
        ) as answer:
            body = answer.raw.read(_MOST_BYTES + 1, decode_content=True)
            if answer.status_code != 200 or len(body) > _MOST_BYTES:
                raise Refused(f"The provider has answered HTTP {answer.status_code}.")
            found = json.loads(body)
    except (requests.RequestException, HTTPError, ValueError) as error:
        raise Refused(f"The provider cannot be asked: {type(error).__name__}.") from error
    if not isinstance(found, dict):
        raise Refused("The provider has answered no object.")
    return found


def address(asked: Asked, back: str) -> str:
    """Where the browser goes."""
    query = {
        "response_type": "code",
        "client_id": settings.OIDC_CLIENT_ID,
        "redirect_uri": back,
        "scope": settings.OIDC_SCOPE,
        "state": asked.state,
        "nonce": asked.nonce,
        "code_challenge": asked.challenge,
        "code_challenge_method": "S256",
    }
    where = provider().endpoint("authorization")
    return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"


def claims_of(asked: Asked, state: str, code: str, back: str) -> dict[str, Any]:
    """Exchange the code, and check the ID token; Refused says what is wrong."""
    if not hmac.compare_digest(asked.state.encode(), state.encode()):
        raise Refused("This answer belongs to another login. Begin anew.")
    told = _json(
        "POST",
        provider().endpoint("token"),
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": asked.verifier,
        },
        auth=(settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET),
    )
    token = str(told.get("id_token") or "")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            provider().key(token),
            algorithms=list(_ALGORITHMS),
            audience=settings.OIDC_CLIENT_ID,
            issuer=settings.OIDC_ISSUER,
            leeway=_LEEWAY,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise Refused(f"The ID token is not right: {error}") from error
    if not hmac.compare_digest(asked.nonce.encode(), str(claims.get("nonce") or "").encode()):
        raise Refused("The ID token belongs to another login. Begin anew.")
    is_for_several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if is_for_several and claims.get("azp") != settings.OIDC_CLIENT_ID:
        raise Refused("The ID token is for another client.")
    return claims


def user_of(claims: dict[str, Any]) -> User:
    """The account that an administrator has entered for this person, with its role of today."""
    subject = str(claims["sub"])
    with transaction.atomic():
        known = SingleSignOn.objects.filter(issuer=settings.OIDC_ISSUER, subject=subject).first()
        user = _entered(claims) if known is None else known.user
        if not user.is_active:
            raise Refused(f"The account {user} is switched off.")
        role = _role(claims)
        if known is None:
            if SingleSignOn.objects.filter(user=user).exists():
                raise Refused(f"The account {user} belongs to another person at the provider.")
            SingleSignOn.objects.create(user=user, issuer=settings.OIDC_ISSUER, subject=subject)
        _give(user, role)
    if not user.is_staff:
        raise Refused(f"The account {user} may not use the console.")
    return user


def _entered(claims: dict[str, Any]) -> User:
    name = settings.OIDC_ACCOUNT_CLAIM
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"The provider does not tell {name}.")
    if name == "email" and claims.get("email_verified") is not True:
        raise Refused("The provider has not verified this e-mail address.")
    column = "email__iexact" if name == "email" else "username"
    found = list(User.objects.filter(**{column: value.strip()})[:2])
    if len(found) != 1:
        raise Refused("No account is entered for you at this hub: ask an administrator.")
    return found[0]


def _role(claims: dict[str, Any]) -> Role | None:
    """By the first line of OIDC_ROLES that fits; None where the hub gives roles itself."""
    if not settings.OIDC_ROLES:
        return None
    told = claims.get(settings.OIDC_ROLES_CLAIM)
    groups = {told} if isinstance(told, str) else set(map(str, told or ()))
    for group, role in settings.OIDC_ROLES:
        if group in groups:
            return Role(role)
    raise Refused("The provider names no group of yours that has a role at this hub.")


def _give(user: User, role: Role | None) -> None:
    """An administrator stays one, and a party's own staff theirs: groups say nothing of parties."""
    if role is None or user.is_superuser:
        return
    if Account.objects.filter(user=user, role=Role.PARTY).exists():
        return
    Account.objects.update_or_create(user=user, defaults={"role": role, "parties": []})
