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
    """The Sessions that were pushed, by country_code, party_id and id in upper case.

    `on_session` hears of every change, `on_new` once of each Session; both get it whole.
    """

    def __init__(
        self,
        on_session: Callable[[dict[str, Any]], None] | None = None,
        on_new: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.sessions: Recent[tuple[str, ...], dict[str, Any]] = Recent()
        self._on_session = on_session or (lambda _: None)
        self._on_new = on_new or (lambda _: None)

    def find(self, session_id: str) -> dict[str, Any] | None:
        """The Session of that id; of several CPOs' the one that came last."""
        wanted = session_id.upper()
        found = (self.sessions[key] for key in reversed(self.sessions) if key[-1] == wanted)
        return next(found, None)

    def handlers(self) -> dict[str, Handler]:
        """The Receiver interface."""
        return {"GET": self._get, "PUT": self._put, "PATCH": self._patch}

    async def _get(self, message: Received) -> Reply:
        session = self.sessions.get(self._key(message))
        if session is None:
            raise NotFound("There is no such Session.")
        return Reply(session)

    async def _put(self, message: Received) -> Reply:
        key = self._key(message)
        session = message.read(Session)
        named = (session.country_code, session.party_id, session.id)
        if tuple(part.upper() for part in named) != key:
            raise InvalidParameters("country_code, party_id and id differ from those in the URL.")
        is_new = key not in self.sessions
        kept = self.sessions[key] = decode(message.body, dict[str, Any])
        if is_new:
            self._on_new(kept)
        self._on_session(kept)
        return Reply()

    async def _patch(self, message: Received) -> Reply:
        session = self.sessions.get(self._key(message))
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
    def _key(message: Received) -> tuple[str, ...]:
        if len(message.parts) != 3:
            raise InvalidParameters("The URL has to end in /{country_code}/{party_id}/{id}.")
        return tuple(part.upper() for part in message.parts)


def owner(session: dict[str, Any]) -> PartyId:
    """The CPO of a Session."""
    return PartyId.of(session["country_code"], session["party_id"])


def is_active(session: dict[str, Any]) -> bool:
    """Neither COMPLETED nor INVALID, the final states."""
    return session["status"] in {"ACTIVE", "PENDING", "RESERVATION"}
