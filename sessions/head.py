"""What of a Session's document the hub reads: its head (mod_sessions, Session Object)."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from hub.ocpi import heads, lenient
from hub.ocpi.lenient import Deviation
from hub.ocpi.party import PartyId


class Push(NamedTuple):
    """A PUT or PATCH of a Session: whose and which, as its URL says, what is told, and to whom.

    `emsp` is whose driver it is where its `cdr_token` does not say, and never said.
    """

    owner: PartyId
    session_id: str
    body: bytes
    receiver: PartyId
    emsp: PartyId | None = None


class Head(msgspec.Struct):
    """The fields that the hub reads of a Session, or of a PATCH of one."""

    country_code: Any = None
    party_id: Any = None
    id: Any = None
    cdr_token: Any = None
    location_id: Any = None
    evse_uid: Any = None
    status: Any = None
    last_updated: Any = None

    def columns(self) -> dict[str, str]:
        """The columns for queries; empty where the document does not say."""
        emsp = heads.party_of(self.cdr_token)
        token = self.cdr_token if isinstance(self.cdr_token, dict) else {}
        return {
            "emsp_country_code": emsp.country_code if emsp else "",
            "emsp_party_id": emsp.party_id if emsp else "",
            "token_uid": heads.text(token.get("uid")),
            "token_type": heads.word(token.get("type")),
            "location_id": heads.text(self.location_id),
            "evse_uid": heads.text(self.evse_uid),
            "status": heads.word(self.status),
        }

    def values(self, push: Push, document: bytes, now: datetime) -> dict[str, Any]:
        """The columns of a whole Session. Without a readable time it is as old as its arrival."""
        last_updated = lenient.moment(self.last_updated) or now
        columns = self.columns()
        told = columns["emsp_party_id"] != ""
        if not told and push.emsp is not None:
            columns["emsp_country_code"], columns["emsp_party_id"] = push.emsp
        return {
            "country_code": push.owner.country_code,
            "party_id": push.owner.party_id,
            "session_id": push.session_id,
            **columns,
            "tells_emsp": told,
            "last_updated": last_updated,
            "put_last_updated": last_updated,
            "document": document,
            "received_at": now,
            "created_at": now,
            "unanswered_by": "",
            "has_waiting": False,
        }


read: Final = heads.reader(Head)


def contradicting(head: Head, push: Push) -> tuple[Deviation, ...]:
    """Where the document names another Session than its URL, whose owner the gateway has checked.

    A document that does not say, or so that nobody can read it, is the one of its URL.
    """
    expected = {
        "country_code": push.owner.country_code,
        "party_id": push.owner.party_id,
        "id": push.session_id.strip(),
    }
    return tuple(
        Deviation("contradicts-url", f"Session.{name}", heads.text(getattr(head, name), 40))
        for name, value in expected.items()
        if (said := heads.text(getattr(head, name))) and said.upper() != value.upper()
    )
