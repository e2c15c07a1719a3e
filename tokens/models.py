"""Tokens as the hub keeps them (mod_tokens, Flow and Lifecycle)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from django.db import models

from hub.ocpi.errors import InvalidParameters, UnknownToken
from hub.ocpi.patches import merged
from hub.ocpi.reading import Essentials, is_right
from hub.store import indexes
from hub.store.pushed import EVERYBODY, Pushed, PushResult, check_ids, is_older
from hub.store.store import Merged, StoredObject
from tokens.objects import Token as TokenObject
from tokens.objects import TokenType

# What decides who may charge, and on whose bill, is read to the letter.
ESSENTIALS: Final = Essentials(
    TokenObject,
    exact=frozenset(
        f"Token.{name}" for name in ("uid", "type", "contract_id", "valid", "whitelist")
    ),
)


class Token(StoredObject):
    """One Token, for all CPOs or for one party alone; `object_id` is its `uid`."""

    MODULE = "tokens"
    ESSENTIALS: ClassVar[Essentials] = ESSENTIALS
    KEY = "uid"
    IDENTITY: ClassVar[tuple[str, ...]] = ("owner", "object_id", "type")

    type = models.CharField(max_length=12, choices=[(t.value, t.value) for t in TokenType])

    class Meta:
        constraints = [
            # "a Token is identified by `uid` and `type`" (Token object).
            models.UniqueConstraint(
                fields=["owner", "object_id", "type", "audience"], name="token_once"
            )
        ]
        indexes = [
            models.Index(fields=["object_id"], name="token_by_uid"),
            *indexes.of_stored("token"),
        ]

    def __str__(self) -> str:
        # A uid in a log would let its reader charge in the driver's name.
        return f"token {self.pk} of {self.owner}"

    @classmethod
    def push(cls, pushed: Pushed) -> PushResult:
        """Keep a PUT or PATCH.

        UnknownToken (2004) when it changes what the hub does not have.
        """
        identity, found = cls.identity(pushed), pushed.read(ESSENTIALS)
        _check(pushed, identity, found.sent)
        moment = found.last_updated
        if pushed.method == "PUT":
            deviates = bool(found.differences)
            kept = cls.keep(identity, pushed.audience, pushed.body, moment, deviates=deviates)
            return PushResult(kept, pushed.body)

        def change(row: Token) -> Merged | None:
            if is_older(moment, row.last_updated):
                return None
            changed = merged(bytes(row.document), pushed.body)
            return Merged(changed, moment, deviates=not is_right(changed, TokenObject))

        is_stored = cls.merge(identity, pushed.audience, change)
        if is_stored is None:
            raise UnknownToken("The hub has no such Token: PUT it first.")
        return PushResult(is_stored, pushed.body)

    @staticmethod
    def identity(pushed: Pushed) -> dict[str, str]:
        """The Token that the URL names."""
        return {
            "owner": str(pushed.owner),
            "object_id": pushed.ids[0].upper(),
            "type": token_type(pushed.query),
        }


def _check(pushed: Pushed, identity: Mapping[str, str], sent: Any) -> None:
    if pushed.audience != EVERYBODY:
        return  # Its receiver has taken it as what the URL says.
    if sent.uid is not msgspec.UNSET and sent.uid.upper() != identity["object_id"]:
        # Without the two uids, since a refusal may be logged.
        raise InvalidParameters("uid in the body is not the one in the URL.")
    check_ids(pushed, sent, "uid")
    if sent.type not in {msgspec.UNSET, identity["type"]}:
        raise InvalidParameters(
            f"type is {str(sent.type)!r} in the body; the URL says {identity['type']!r} "
            "(?type=…, RFID when it is left out)."
        )


def token_type(query: Mapping[str, str]) -> str:
    """`?type=`: "Token.type of the Token to retrieve. Default if omitted: RFID"."""
    text = query.get("type", TokenType.RFID)
    try:
        return TokenType(text.upper()).value
    except ValueError:
        allowed = ", ".join(TokenType)
        raise InvalidParameters(f"type={text[:40]!r} is none of {allowed}.") from None
