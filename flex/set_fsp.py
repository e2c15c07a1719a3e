"""Somebody says who is FSP of one session: the operator, its eMSP or its CPO (SCALE D2.3, 8.4).

What the console, `manage.py set_fsp` and the flex API do. The word is a FlexAgreement on the
session, and is weighed with all others: it may be outweighed.
"""

from datetime import timedelta
from typing import Final

from django.utils import timezone

from flex.assignment import locked, reconsider
from flex.choice import PARTY_KINDS, Facts, FspKind, Speaker, refusal
from flex.facts import unable
from flex.models import FlexAgreement, FlexExclusion, FspAssignment
from hub.models import locking
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.routing.directory import holder
from sessions.models import Session

# What can be said instead of a party.
KINDS: Final = tuple(kind.value for kind in FspKind if kind != FspKind.SCSP)
_ROLES: Final = frozenset({Role.EMSP, Role.SCSP, Role.OTHER})
# A choice that was begun before the word was written is looked at again.
_AGAIN: Final = timedelta(seconds=15)


class CannotSet(Exception):
    """Why nobody can be set, or not this one; a sentence for whoever has tried."""


@locking.whole
def set_fsp(
    session: Session, who: str, *, said_by: Speaker, consent_by: str = ""
) -> FspAssignment | None:
    """Set a party ("NL-SCS") or one of KINDS; the speaker's earlier word on the session ends.

    `consent_by` is one of `Consent`: who has consented for the driver, which is kept with the
    word. Returns the open assignment, which may be another's. CannotSet: nothing has changed.
    """
    kept = _live(session)
    kind, fsp = _wanted(kept, who)
    _check(kept, kind, fsp, said_by)
    word = _word(kept, kind, fsp, said_by)
    if consent_by:
        word.consent_by, word.consented_at = consent_by, timezone.now()
    _end_words(kept, said_by)
    word.save()
    return reconsider(kept, f"{said_by.label} has set {word.who}")


@locking.whole
def take_back(session: Session, *, said_by: Speaker) -> FspAssignment | None:
    """End the speaker's word on the session; returns the open assignment."""
    kept = _live(session)
    if not _end_words(kept, said_by):
        raise CannotSet(f"{said_by.label.capitalize()} has said nothing of this session.")
    return reconsider(kept, f"{said_by.label} has taken the word on this session back")


def _live(session: Session) -> Session:
    kept = locked(session)
    if kept is None:
        raise CannotSet("The session is not here any more.")
    if kept.is_over:
        raise CannotSet("The session is over: its FSP does not change any more.")
    return kept


def _wanted(session: Session, who: str) -> tuple[FspKind, PartyId | None]:
    if who.upper() in KINDS:
        return FspKind(who.upper()), None
    try:
        party = PartyId.parse(who)
    except ValueError as error:
        raise CannotSet(f"{error}, nor one of {', '.join(KINDS)}.") from error
    if party == session.owner:
        return FspKind.CPO, None
    return (FspKind.EMSP, None) if party == session.emsp else (FspKind.SCSP, party)


def _check(session: Session, kind: FspKind, fsp: PartyId | None, said_by: Speaker) -> None:
    if Speaker.EMSP in {kind.value, said_by.value} and not session.emsp.party_id:
        raise CannotSet("The Session does not say whose token it is.")
    if kind not in PARTY_KINDS:
        return
    party = fsp or session.emsp
    excluded = FlexExclusion.by(session.owner, session.location_id)
    facts = Facts(session.owner, session.emsp, (), excluded, unable(session, [party]))
    if (why := refusal(party, facts)) is not None:
        raise CannotSet(why)
    roles = holder.current().parties[party].roles
    if not roles & _ROLES:
        has = ", ".join(sorted(roles)) or "none"
        raise CannotSet(f"{party} has no role of an FSP here (EMSP, SCSP or OTHER): {has}.")


def _word(session: Session, kind: FspKind, fsp: PartyId | None, said_by: Speaker) -> FlexAgreement:
    """Not written yet."""
    emsp = session.emsp if said_by == Speaker.EMSP else PartyId("", "")
    return FlexAgreement(
        kind=kind,
        fsp_country_code=fsp.country_code if fsp else "",
        fsp_party_id=fsp.party_id if fsp else "",
        said_by=said_by,
        cpo_country_code=session.owner.country_code,
        cpo_party_id=session.owner.party_id,
        emsp_country_code=emsp.country_code,
        emsp_party_id=emsp.party_id,
        session=session,
        due_at=timezone.now() + _AGAIN,
    )


def _end_words(session: Session, said_by: Speaker) -> int:
    words = FlexAgreement.objects.filter(session=session, said_by=said_by, is_active=True)
    return words.update(is_active=False, changed_at=timezone.now(), due_at=None)
