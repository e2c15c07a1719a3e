"""What the choice of a session's FSP depends on, and who is chosen (SCALE D2.3, 8.4 and 11.4)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from flex.choice import Choice, Considered, Facts, choose, consider, refusal
from flex.models import FlexAgreement, FlexExclusion, FspAssignment
from flex.switching.models import FspFailure
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.party import PartyId
from hub.routing.directory import Directory, holder
from sessions.handed_on import HandedOn
from sessions.models import Session

_MODULE: Final = "chargingprofiles"


def acting(session: Session) -> FspAssignment | None:
    """The open assignment; made out of the words that fit when there is none yet."""
    current = FspAssignment.current(session)
    if current is not None or session.is_over:
        return current
    choice = chosen(session)
    return None if choice is None else FspAssignment.open(session, choice)


def chosen(session: Session, current: FspAssignment | None = None) -> Choice | None:
    """Who is to be FSP, where `current` is the open assignment; None: nobody."""
    facts = facts_of(session, current)
    return None if facts is None else choose(facts)


def facts_of(session: Session, current: FspAssignment | None) -> Facts | None:
    """All that counts; None where nobody has said anything."""
    words = FlexAgreement.words(session)
    first_put = current.choice if current is not None and current.is_first_put else None
    if not words and first_put is None:
        return None
    named = {word.named for word in words} | {session.emsp}
    named |= {first_put.fsp} if first_put is not None else set()
    return Facts(
        cpo=session.owner,
        emsp=session.emsp,
        words=words,
        excluded=FlexExclusion.by(session.owner, session.location_id),
        unable=unable(session, (party for party in named if party)),
        first_put=first_put,
    )


def excluded_by(cpo: PartyId, party: PartyId, location_id: str = "") -> str | None:
    """Why a party must not act at this CPO's sites, or at one; None where it is not excluded."""
    excluded = FlexExclusion.by(cpo, location_id)
    return refusal(party, Facts(cpo, PartyId("", ""), excluded=excluded))


def unable(session: Session, parties: Iterable[PartyId]) -> dict[PartyId, str]:
    """Those that cannot act for the session now, and why."""
    directory = holder.current()
    found = {party: cannot_act(directory, party, session.owner) for party in parties}
    failed = FspFailure.of(session)
    return {party: why for party, why in found.items() if why is not None} | failed


def cannot_act(directory: Directory, party: PartyId, cpo: PartyId) -> str | None:
    """Why a party cannot send profiles to a CPO; None where it can. An OFFLINE one may come back"""
    entry = directory.parties.get(party)
    if entry is None or not entry.is_agreed:
        return f"{party} is not a party of this hub."
    if entry.status == ConnectionStatus.SUSPENDED:
        return f"{party} is SUSPENDED."
    if not entry.platform.is_registered or entry.status == ConnectionStatus.PLANNED:
        return f"{party} is not connected."
    if (closed := directory.closed_because(cpo, party, _MODULE)) is not None:
        return f"{cpo} and {party} may not exchange charging profiles: {closed}."
    return None


class Explanation(NamedTuple):
    """Who is FSP of a session, and which words there are, in the order of their weight."""

    current: FspAssignment | None
    considered: list[Considered]
    # To whom the eMSP, where it is FSP, has handed the session on: they act through it.
    delegates: list[PartyId]


def explain(session: Session) -> Explanation:
    """Why who is FSP is it, for all who may see the session."""
    current = FspAssignment.current(session)
    facts = facts_of(session, current)
    considered = [] if facts is None else list(consider(facts))
    delegates: list[PartyId] = []
    if current is not None and current.fsp == session.emsp:
        delegates = list(HandedOn.scsps(session.session_id, session.emsp))
    return Explanation(current, considered, delegates)
