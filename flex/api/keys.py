"""Keys of the flex API: made, shown once, hashed, looked up, revoked. Never an OCPI token."""

import re
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex, token_urlsafe
from typing import Final, NamedTuple

from django.db.models import Q
from django.db.models.functions import Now

from flex.api.models import ApiKey, KeyKind, Use
from flex.api.problems import forbidden, not_authenticated
from hub.db import secret_box, sql
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.party import PartyId
from hub.routing.directory import PartyEntry, holder

# `fxk_` and the prefix, `_`, the secret: no credentials token of ours begins so.
_SHAPE: Final = re.compile(r"fxk_([0-9a-f]{12})_[\w-]{43}", re.ASCII)
_SCHEME: Final = "bearer"
_MAY_ACT: Final = {ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE}
# So often its last use is written at most.
_TOLD_EVERY: Final = "1 minute"


class NewKey(NamedTuple):
    """A key and its secret, which is in no other answer ever again."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key that is valid now, and its party."""

    key: ApiKey
    entry: PartyEntry

    @property
    def party(self) -> PartyId:
        """The party of the key."""
        return self.entry.identity

    @property
    def is_driver(self) -> bool:
        """Whether it is the key of one driver."""
        return self.key.kind == KeyKind.DRIVER

    def needs(self, use: Use) -> None:
        """Refuse (403) a key that does not open this, or whose party has not the role."""
        if use not in self.key.uses:
            opens = ", ".join(self.key.uses) or "nothing"
            raise forbidden("KEY_NOT_FOR_THIS", f"This key is for {opens}, and not for {use}.")
        role = ApiKey.ROLES.get(use)
        if role is not None and role not in self.entry.roles:
            raise forbidden("ROLE_MISSING", f"{self.party} has not the role {role} at this hub.")

    def needs_back_end(self) -> None:
        """Refuse (403) a driver's key."""
        if self.is_driver:
            raise forbidden("KEY_OF_A_DRIVER", "A driver's key does not open this.")


def of_party(party: PartyId, uses: list[Use], *, name: str, made_by: str) -> NewKey:
    """Make a key for a party's back-end."""
    return _new(
        ApiKey(
            kind=KeyKind.PARTY,
            name=name[:100],
            country_code=party.country_code,
            party_id=party.party_id,
            uses=[str(use) for use in uses],
            made_by=made_by[:150],
        )
    )


def allowed(entry: PartyEntry) -> list[Use]:
    """What the roles of a party allow: any may be flexibility provider."""
    roles = {use: ApiKey.ROLES.get(use) for use in Use}
    return [use for use, role in roles.items() if role is None or role in entry.roles]


def of_driver(caller: Caller, token_uid: str, token_type: str, expires_at: datetime) -> NewKey:
    """Mint a key for one token of the eMSP whose key asks."""
    return _new(
        ApiKey(
            kind=KeyKind.DRIVER,
            country_code=caller.party.country_code,
            party_id=caller.party.party_id,
            uses=[Use.EMSP],
            token_uid=token_uid,
            token_type=token_type,
            minted_by=caller.key,
            made_by=caller.key.prefix,
            expires_at=expires_at,
        )
    )


def _new(key: ApiKey) -> NewKey:
    key.prefix = token_hex(6)
    secret = f"fxk_{key.prefix}_{token_urlsafe(32)}"
    key.digest = secret_box.token_hash(secret)
    key.save(force_insert=True)
    return NewKey(key, secret)


def revoke(key: ApiKey) -> bool:
    """End a key, and with a back-end's those that it has minted; whether it had not ended yet."""
    mine = ApiKey.objects.filter(Q(pk=key.pk) | Q(minted_by=key), revoked_at__isnull=True)
    ended = list(mine.values_list("pk", flat=True))
    mine.update(revoked_at=Now())
    return key.pk in ended


def authenticate(authorization: str) -> Caller:
    """The caller; a Problem (401, 403) that says what is wrong with its key."""
    scheme, _, secret = authorization.strip().partition(" ")
    if not authorization.strip():
        raise not_authenticated("KEY_MISSING", "Send your key as Authorization: Bearer fxk_...")
    if scheme.lower() != _SCHEME:
        raise not_authenticated(
            "NOT_A_KEY",
            "This API takes its own keys, as Authorization: Bearer fxk_..., and no credentials "
            "token of OCPI.",
        )
    found = _SHAPE.fullmatch(secret.strip())
    key = _find(found[0]) if found else None
    if key is None:
        raise not_authenticated("KEY_UNKNOWN", "This hub does not know this key.")
    if key.revoked_at is not None or (key.minted_by and key.minted_by.revoked_at):
        raise not_authenticated("KEY_REVOKED", f"Key {key.prefix} was revoked.")
    if key.is_over:
        raise not_authenticated("KEY_EXPIRED", f"Key {key.prefix} has expired.")
    caller = Caller(key, _entry(key.party))
    _used(key)
    return caller


def _find(secret: str) -> ApiKey | None:
    found = ApiKey.objects.select_related("minted_by")
    return found.filter(digest=secret_box.token_hash(secret)).first()


def _entry(party: PartyId) -> PartyEntry:
    """The party as it is now; 403 for one that takes no part."""
    entry = holder.current().parties.get(party)
    if entry is None:
        raise forbidden("PARTY_UNKNOWN", f"{party} is not a party of this hub now.")
    if entry.status not in _MAY_ACT:
        raise forbidden("PARTY_NOT_CONNECTED", f"{party} is {entry.status} at this hub.")
    return entry


def _used(key: ApiKey) -> None:
    sql.run(
        "UPDATE flex_api_apikey SET last_used_at = statement_timestamp() WHERE id = %s AND "
        "(last_used_at IS NULL OR last_used_at < statement_timestamp() - %s::text::interval)",
        (key.pk, _TOLD_EVERY),
    )
