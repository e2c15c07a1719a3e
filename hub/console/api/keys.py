"""Keys of the admin API: made, shown once, hashed, looked up, revoked. Each has a role."""

import re
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from secrets import token_hex, token_urlsafe
from typing import Any, Final, NamedTuple

from django.db.models.functions import Now
from django.http import HttpRequest

from hub.console.access import audit
from hub.console.access.models import AdminKey
from hub.console.access.roles import Role, allows
from hub.console.throttle import Allowance, Throttle
from hub.db import secret_box, sql
from hub.fairness.callers import group_of
from hub.views import Problem

# `fxa_`, the part that may be seen, `_`, the secret.
_SHAPE: Final = re.compile(r"fxa_([0-9a-f]{12})_[\w-]{43}", re.ASCII)
# So often its last use is written at most.
_TOLD_EVERY: Final = "1 minute"
# Of an address, with keys that are not known: so many at once, then one after each pause.
TRIES: Final = Allowance(at_once=20, pause=3)
throttle = Throttle(account=TRIES, address=TRIES)
# Of one key: so many requests at once, then 20 a second.
RATE: Final = Allowance(at_once=200, pause=0.05)
rates = Throttle(account=RATE, address=RATE)


class NewKey(NamedTuple):
    """A key and its secret, which is in no other answer ever again."""

    key: AdminKey
    secret: str


class Caller:
    """Who asks: as an account with the role of its key, for all that asks accounts."""

    is_authenticated = is_active = is_staff = True
    is_superuser = is_anonymous = False

    def __init__(self, key: AdminKey) -> None:
        self.key = self.account = key
        self.pk: int | None = None

    def get_username(self) -> str:
        """By what the audit trail names it."""
        return str(self.key)

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        """By the role of the key."""
        return allows(Role(self.key.role), permission)

    def needs(self, permission: str) -> None:
        """Refuse (403) a key whose role does not do this."""
        if not self.has_perm(permission):
            role = Role(self.key.role).label
            raise Problem(
                HTTPStatus.FORBIDDEN, "ROLE", f"This key is {role}, and needs {permission}."
            )


def make(
    role: Role,
    *,
    name: str,
    made_by: str,
    parties: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key."""
    prefix = token_hex(6)
    secret = f"fxa_{prefix}_{token_urlsafe(32)}"
    key = AdminKey.objects.create(
        prefix=prefix,
        digest=secret_box.token_hash(secret),
        name=name[:100],
        role=role,
        parties=list(parties),
        made_by=made_by[:150],
        expires_at=expires_at,
    )
    return NewKey(key, secret)


def revoke(key: AdminKey) -> bool:
    """End a key; whether it had not ended yet."""
    open_ = AdminKey.objects.filter(pk=key.pk, revoked_at__isnull=True)
    return bool(open_.update(revoked_at=Now()))


def authenticate(request: HttpRequest) -> Caller:
    """The caller; a Problem (401, 429) that says what is wrong with its key."""
    scheme, _, secret = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise _not_authenticated("KEY_MISSING", "Send your key as Authorization: Bearer fxa_...")
    found = _SHAPE.fullmatch(secret.strip())
    digest = secret_box.token_hash(found[0]) if found else b""
    key = AdminKey.objects.filter(digest=digest).first()
    if key is None:
        group = group_of(audit.address_of(request))
        if wait := throttle.try_(group, group):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TOO_MANY",
                "Too many unknown keys were tried from your address.",
                {"Retry-After": str(int(wait) + 1)},
            )
        raise _not_authenticated("KEY_UNKNOWN", "This hub does not know this key.")
    if key.revoked_at is not None:
        raise _not_authenticated("KEY_REVOKED", f"Key {key.prefix} was revoked.")
    if key.is_over:
        raise _not_authenticated("KEY_EXPIRED", f"Key {key.prefix} has expired.")
    if wait := rates.try_(key.prefix, key.prefix):
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "TOO_MANY",
            f"This hub takes {1 / RATE.pause:.0f} requests a second of one key.",
            {"Retry-After": str(int(wait) + 1)},
        )
    sql.run(
        "UPDATE access_adminkey SET last_used_at = statement_timestamp() WHERE id = %s AND "
        "(last_used_at IS NULL OR last_used_at < statement_timestamp() - %s::text::interval)",
        (key.pk, _TOLD_EVERY),
    )
    return Caller(key)


def _not_authenticated(code: str, detail: str) -> Problem:
    headers = {"WWW-Authenticate": 'Bearer realm="admin"'}
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail, headers)
