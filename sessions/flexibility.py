"""What the modules of OCPI tell the flexibility layer, and what they ask it: the one protocol.

SCALE D2.3, 8.4 and 11.4. `flex` installs itself at start-up; the modules know nothing else of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from django.db import models

from hub.db.batch_writer import Statement, Writer
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.routing.request import OcpiRequest
from sessions.head import Push
from sessions.models import Session


@dataclass(frozen=True, slots=True)
class MayAct:
    """May the caller set or clear profiles? `epoch` is that of its assignment, 0 without one."""

    refusal: str | None
    epoch: int = 0


class SessionNews(NamedTuple):
    """A push of a Session: one that the hub has kept, or one that is not newer than what it has."""

    # As it is now, and whether this push has changed it.
    session: Session
    is_news: bool
    method: str
    # To whom the CPO has sent it, and whether that party has accepted it or is silent.
    receiver: PartyId
    is_answered: bool
    correlation_id: str


class CommandNews(NamedTuple):
    """What has become of a profile command; `state` is one of `CommandState`."""

    command: int
    session: int | None
    method: str
    fsp: PartyId
    epoch: int
    state: str


class Listener:
    """What is told when it is written: once, on the event loop or on any thread.

    Whoever listens neither waits nor uses the database there. A process that dies tells nothing:
    the rows stay the truth. By default nothing follows.
    """

    def session_on_its_way(self, push: Push) -> None:
        """A Session that is new to the hub is about to leave for its first receiver."""

    def command_answered(self, news: CommandNews) -> None:
        """The CPO has answered a profile command; or the command has ended in another way."""

    def result_came(self, news: CommandNews) -> None:
        """The CPO has posted the first result of a profile command, which may be late."""

    def profile_updated(self, forwarded: Forwarded) -> None:
        """The receiver of an ActiveChargingProfile that a CPO has sent by itself has answered."""


class Flexibility(Listener, ABC):
    """What the flexibility layer is to the modules, beside a listener.

    - Asked: on a thread, which waits for the answer.
    - Told in the transaction of the cause, on a thread: what follows is written with it.
    - In SQL: conditions inside the modules' own statements, which are repeated nowhere.
    - At once: what is written from the event loop, as the methods above do it on a thread.
    """

    # --- Asked ----------------------------------------------------------------------------------

    @abstractmethod
    def may_set(self, session: Session, caller: PartyId, *, is_scsp: bool) -> MayAct:
        """Whether `caller` may PUT and DELETE profiles of the session."""

    @abstractmethod
    def rejects(self, session: Session, body: bytes) -> str | None:
        """Why the session's CPO wants this PUT of a profile to be rejected in its stead, if so.

        In the transaction that writes it where it is not: those of one site are judged in turn.
        """

    @abstractmethod
    def may_set_unknown(self, cpo: PartyId, caller: PartyId, *, is_emsp: bool) -> MayAct:
        """The same where the hub does not know the session."""

    @abstractmethod
    def excluded_by(self, cpo: PartyId, party: PartyId) -> str | None:
        """Why `party` must not act at this CPO's sites; None where the CPO does not exclude it."""

    @abstractmethod
    def may_see(self, session: Session, caller: PartyId) -> bool:
        """Whether `caller` may GET the active profile."""

    @abstractmethod
    def sessions_of(self, fsp: PartyId) -> "models.QuerySet[Any]":
        """The ids of the sessions that `fsp` is flexibility provider of."""

    @abstractmethod
    def fsp_of(self, session: Session) -> PartyId | None:
        """The party that is the session's flexibility provider."""

    @abstractmethod
    def takes_unanswered(self, session: Session) -> bool:
        """Whether an FSP gets what the session's eMSP does not answer."""

    # --- Told in the transaction of the cause ---------------------------------------------------

    @abstractmethod
    def session_changed(self, news: SessionNews) -> None:
        """A CPO has pushed a Session that the hub knows; its row is locked where it has changed."""

    @abstractmethod
    def fields_told(self, request: OcpiRequest) -> None:
        """A party that agreed on extension fields has told some (hub/ocpi/extensions.py)."""

    @abstractmethod
    def session_refused(self, session: Session) -> bool:
        """No receiver has accepted it, and none will; whether it is kept all the same. Locked."""

    @abstractmethod
    def preferences_put(self, session: Session, forwarded: Forwarded) -> None:
        """The session's eMSP has PUT ChargingPreferences, and the CPO has answered."""

    @abstractmethod
    def put_accepted(self, session: Session, caller: PartyId) -> PartyId | None:
        """The CPO has accepted a PUT of one without an assignment; who is the session's FSP now."""

    # --- In SQL ---------------------------------------------------------------------------------

    # Of a row `kept` of Sessions: somebody has to be given it, or may have to be. Parameters as
    # `sessions.storing` has them.
    IS_GIVEN: ClassVar[str]
    # Of a row `kept` of Sessions: the epoch in which the party of %(country_code)s and %(party_id)s
    # is its FSP; NULL where it is not.
    EPOCH: ClassVar[str]
    # Of a row `kept` of Sessions: `rejects` need not be asked.
    TAKES_ALL: ClassVar[str]
    # Of a row `{0}` of profile commands: its sender may still change the session, as it might when
    # the command came; not where the assignment has ended under which it was given.
    IS_CURRENT: ClassVar[str]

    # --- At once --------------------------------------------------------------------------------

    statements: ClassVar[Sequence[Statement]]

    @abstractmethod
    async def keep_and_give(
        self, writer: Writer, forwarded: Forwarded, values: Mapping[str, Any]
    ) -> bool:
        """Keep what a CPO has told, and give it to the session's FSP; False: nothing was done.

        `values` are the parameters of `sessions.storing.keep_known` (PUT) or `change_known`.
        """


_installed: list[Flexibility] = []


def install(flexibility: Flexibility) -> None:
    """Called when the apps are ready; a later one replaces it."""
    _installed[:] = [flexibility]


def current() -> Flexibility:
    """The installed one."""
    if not _installed:
        raise RuntimeError("no flexibility layer is installed")
    return _installed[0]
