"""Sessions as an eMSP or SCSP keeps them (mod_sessions, Receiver Interface)."""

from collections.abc import Callable
from typing import Any

from hub.ocpi.datatypes import decode
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.party import PartyId
from party.messages import Handler, Received, Reply
from party.recent import Recent
from sessions.objects import Session


class SessionsReceiver:
    """The Sessions that were pushed, by their ids; `on_session` hears of every change."""

    def __init__(self, on_session: Callable[[dict[str, Any]], None]) -> None:
        self.sessions: Recent[str, dict[str, Any]] = Recent()
        self._on_session = on_session

    def handlers(self) -> dict[str, Handler]:
        """The Receiver interface."""
        return {"GET": self._get, "PUT": self._put, "PATCH": self._patch}

    async def _get(self, message: Received) -> Reply:
        session = self.sessions.get(self._id(message))
        if session is None:
            raise NotFound("There is no such Session.")
        return Reply(session)

    async def _put(self, message: Received) -> Reply:
        session_id = self._id(message)
        session = message.read(Session)
        if session.id.upper() != session_id:
            raise InvalidParameters("The id differs from the one in the URL.")
        self.sessions[session_id] = decode(message.body, dict[str, Any])
        self._on_session(self.sessions[session_id])
        return Reply()

    async def _patch(self, message: Received) -> Reply:
        session = self.sessions.get(self._id(message))
        if session is None:
            raise InvalidParameters("There is no such Session; send it by PUT.")
        changes = decode(message.body, dict[str, Any])
        if "last_updated" not in changes:
            raise InvalidParameters("PATCH needs last_updated.")
        added = changes.pop("charging_periods", None) or []
        session.update(changes)
        session["charging_periods"] = (session.get("charging_periods") or []) + added
        self._on_session(session)
        return Reply()

    @staticmethod
    def _id(message: Received) -> str:
        if len(message.parts) != 3:
            raise InvalidParameters("The URL has to end in /{country_code}/{party_id}/{id}.")
        return message.parts[2].upper()


def owner(session: dict[str, Any]) -> PartyId:
    """The CPO of a Session."""
    return PartyId.of(session["country_code"], session["party_id"])


def is_active(session: dict[str, Any]) -> bool:
    """Neither COMPLETED nor INVALID, the final states."""
    return session["status"] in {"ACTIVE", "PENDING", "RESERVATION"}
