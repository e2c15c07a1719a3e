"""What the modules of OCPI ask and tell: who may set and see, who gets what (SCALE D2.3, 11.4).

Installed at start-up as `sessions.flexibility.current()`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import models

from flex import extensions, facts, given_at_once, preferences, relay
from flex.choice import FIRST_PUT, Choice, Facts, choose, refusal
from flex.facts import acting
from flex.models import FlexAgreement, FlexExclusion, FspAssignment
from flex.sites import rejecting
from hub.db.batch_writer import Statement, Writer
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.workers import sooner
from sessions.flexibility import CommandNews, Flexibility, MayAct, SessionNews
from sessions.models import Session

# The turn of this layer (flex/tasks.py).
TURN: Final = "flex.advance"


class FlexHooks(Flexibility):
    """The rules of choice, and what follows from them."""

    # --- Told once ------------------------------------------------------------------------------

    def command_answered(self, news: CommandNews) -> None:
        """What follows a bad end, or one of the hub's own, comes by the next turn, or sooner."""
        if news.state not in {"ACCEPTED", "RESULT_ACCEPTED"}:
            sooner.ask(TURN)

    def result_came(self, news: CommandNews) -> None:
        """A wish of the hub's own may go on, or a switch."""
        sooner.ask(TURN)

    def profile_updated(self, forwarded: Forwarded) -> None:
        """The CPO says something of a session that it may have said not to know."""
        sooner.ask(TURN)

    # --- Asked ----------------------------------------------------------------------------------

    def may_set(self, session: Session, caller: PartyId, *, is_scsp: bool) -> MayAct:
        """The session's FSP may. With none: the eMSP of the token, or an SCSP the CPO chose.

        "ChargingProfile can be created by the owner of a Token on Sessions that belong to that
        token"; an SCSP depends "on the CPO sending session information to them"
        (mod_charging_profiles).
        """
        assignment = acting(session)
        if assignment is not None:
            if assignment.fsp == caller:
                return MayAct(None, assignment.epoch)
            return MayAct(self._refused(session, caller, assignment))
        if settings.FSP_AGREEMENT_REQUIRED:
            return MayAct(f"{caller} has no agreement to act as flexibility provider.")
        if caller == session.emsp or (is_scsp and session.is_known_to(caller)):
            return MayAct(facts.excluded_by(session.owner, caller, session.location_id))
        return MayAct(
            f"{caller} is neither the eMSP of the session's token nor an SCSP that the CPO chose."
        )

    def rejects(self, session: Session, body: bytes) -> str | None:
        """Where it breaks the limit of a site whose CPO wants that."""
        return rejecting.rejects(session, body)

    def _refused(self, session: Session, caller: PartyId, assignment: FspAssignment) -> str:
        """Who may see the session is told who it is, and why."""
        refused = f"{caller} is not the flexibility provider of this session"
        if caller != session.emsp and not session.is_known_to(caller):
            return f"{refused}."
        return f"{refused}. It is {assignment.label} ({assignment.reason})."

    def may_set_unknown(self, cpo: PartyId, caller: PartyId, *, is_emsp: bool) -> MayAct:
        """By the words on all sessions of this CPO; with none, an eMSP, whose tokens it knows.

        One that is about single eMSPs, tokens or locations says nothing of an unknown session.
        """
        nobody = PartyId("", "")
        emsp = caller if is_emsp else nobody
        known = Facts(cpo, emsp, FlexAgreement.words_on(cpo), FlexExclusion.by(cpo))
        if (excluded := refusal(caller, known)) is not None:
            return MayAct(excluded)
        choice = choose(known)
        if choice is not None and choice.fsp != caller:
            return MayAct(f"{caller} is not the flexibility provider: it is {choice} there.")
        if choice is not None or (is_emsp and not settings.FSP_AGREEMENT_REQUIRED):
            return MayAct(None)
        return MayAct(f"{caller} has no agreement to act as flexibility provider for {cpo}.")

    def excluded_by(self, cpo: PartyId, party: PartyId) -> str | None:
        """By its own words alone."""
        return facts.excluded_by(cpo, party)

    def may_see(self, session: Session, caller: PartyId) -> bool:
        """The CPO, the eMSP, whom the CPO sent the session, and the FSP."""
        if caller in {session.owner, session.emsp} or session.is_known_to(caller):
            return True
        return self.fsp_of(session) == caller

    def sessions_of(self, fsp: PartyId) -> "models.QuerySet[Any]":
        """By open assignments: an agreement alone has chosen nobody yet."""
        return FspAssignment.sessions_of(fsp)

    def fsp_of(self, session: Session) -> PartyId | None:
        """By its assignment, which is made out of an agreement where there is none yet."""
        assignment = acting(session)
        return None if assignment is None else assignment.fsp

    def takes_unanswered(self, session: Session) -> bool:
        """Where the FSP is not the eMSP that is silent, and may get the Session."""
        fsp = self.fsp_of(session)
        if fsp is None or fsp == session.emsp:
            return False
        directory, role = holder.current(), InterfaceRole.RECEIVER
        return relay.open_entry(directory, fsp, role, {session.owner}) is not None

    # --- Told in the transaction of the cause ---------------------------------------------------

    def session_changed(self, news: SessionNews) -> None:
        """The FSP gets it, and then the preferences that have waited for it."""
        relay.give_session(news)
        if news.is_news:
            preferences.give_waiting(news.session)

    def fields_told(self, request: OcpiRequest) -> None:
        """They are kept; who agreed gets them with the object, and sees them in what is known."""
        extensions.keep(request)

    def session_refused(self, session: Session) -> bool:
        """Preferences that the CPO has accepted keep it: both sides do have the session."""
        if not preferences.has_accepted(session):
            return False
        preferences.give_waiting(session)
        return True

    def preferences_put(self, session: Session, forwarded: Forwarded) -> None:
        """They are kept with the CPO's answer, and the FSP gets them."""
        preferences.keep(session, forwarded)

    def put_accepted(self, session: Session, caller: PartyId) -> PartyId | None:
        """Where nobody has set anything, the first accepted PUT makes its sender FSP."""
        assignment = acting(session)
        if assignment is None and not session.is_over:
            first = Choice.of_party(caller, session.emsp, FIRST_PUT, is_first_put=True)
            assignment = FspAssignment.open(session, first)
        return None if assignment is None else assignment.fsp

    # --- In SQL, and at once --------------------------------------------------------------------

    IS_GIVEN = given_at_once.IS_GIVEN
    TAKES_ALL = rejecting.TAKES_ALL
    EPOCH = """
        SELECT epoch FROM flex_fspassignment AS one
        WHERE one.session_id = kept.id AND one.ended_at IS NULL
          AND upper(one.fsp_country_code) = %(country_code)s::text
          AND upper(one.fsp_party_id) = %(party_id)s::text
    """
    IS_CURRENT = """
        ({0}.method = 'GET' OR {0}.session_id IS NULL OR CASE WHEN {0}.purpose = 'RELEASE'
        THEN {0}.epoch >= ALL (
            SELECT epoch FROM flex_fspassignment AS one WHERE one.session_id = {0}.session_id
        )
        ELSE coalesce((
            SELECT CASE
                WHEN {0}.epoch > 0 THEN one.epoch = {0}.epoch
                ELSE upper(one.fsp_country_code) = upper({0}.fsp_country_code)
                     AND upper(one.fsp_party_id) = upper({0}.fsp_party_id)
            END
            FROM flex_fspassignment AS one
            WHERE one.session_id = {0}.session_id AND one.ended_at IS NULL
        ), {0}.epoch = 0 AND NOT EXISTS (
            SELECT FROM flex_fspassignment AS later
            WHERE later.session_id = {0}.session_id AND later.started_at > {0}.created_at
        )) END)
    """
    statements: ClassVar[Sequence[Statement]] = given_at_once.STATEMENTS

    async def keep_and_give(
        self, writer: Writer, forwarded: Forwarded, values: Mapping[str, Any]
    ) -> bool:
        """As `session_changed` gives it, in the statement that keeps it."""
        return await given_at_once.keep_and_give(writer, forwarded, values)
