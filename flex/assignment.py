"""Changes of a session's flexibility provider: one transaction each (SCALE D2.3, 8.4 and 11.4).

The assignment of before ends with its reason, the new one gets the next epoch; commands of before
that have not left never leave (docs/decisions/0034); the new FSP is given the Session and what the
driver asks.
"""

from typing import Final

from charging_profiles import order
from flex import journal, preferences, relay
from flex.choice import Choice
from flex.journal import Topic
from flex.models import FlexAgreement, FspAssignment
from hub.db import sql
from hub.models import locking
from sessions.models import Session

NO_WORD: Final = "no agreement is left that names one"
_LOCK: Final = f"""
    SELECT {sql.columns(Session)} FROM ocpi_sessions_session WHERE id = %s FOR NO KEY UPDATE
"""  # noqa: S608 - columns of ours


@locking.whole
def assign(session: Session, choice: Choice | None, *, because: str) -> FspAssignment | None:
    """Make it so; None: nobody is FSP, and the first accepted PUT makes one.

    Returns the open assignment. Of a session that is over, or gone, nothing changes. Who is FSP
    already stays it, in the same epoch.
    """
    kept = _locked(session)
    if kept is None:
        return None
    current = FspAssignment.current(kept)
    if kept.is_over or (current is None and choice is None):
        return current
    if current is not None and choice is not None and current.is_of(choice):
        current.is_by(choice)
        return current
    return _change(kept, current, choice, because)


@locking.whole
def reconsider(session: Session, because: str) -> FspAssignment | None:
    """Choose again by the order, and assign where it differs; returns the open assignment."""
    kept = _locked(session)
    if kept is None:
        return None
    return assign(kept, _chosen(kept), because=because)


def _locked(session: Session) -> Session | None:
    found = sql.rows(Session, _LOCK, [session.pk])
    return found[0] if found else None


def _chosen(session: Session) -> Choice | None:
    agreement = FlexAgreement.for_session(session)
    if agreement is not None:
        return agreement.choice(session)
    current = FspAssignment.current(session)
    return current.choice if current is not None and current.is_first_put else None


def _change(
    session: Session, former: FspAssignment | None, choice: Choice | None, because: str
) -> FspAssignment | None:
    if former is not None:
        former.end(because)
    current = None if choice is None else FspAssignment.open(session, choice)
    if former is not None:
        _after(session, former, current)
    _note(session, former, current, because)
    if current is not None:
        relay.give_whole(session, current)
        preferences.give_latest(session)
    return current


def _after(session: Session, former: FspAssignment, current: FspAssignment | None) -> None:
    """What the one of before has given and was to get."""
    order.end_outdated(session.pk, f"{_who(current)} is flexibility provider of this session now.")
    if former.fsp is not None:
        relay.end_waiting(session, former.fsp, "is not this session's FSP any more")


def _note(
    session: Session, former: FspAssignment | None, current: FspAssignment | None, because: str
) -> None:
    is_now = f"{_who(current)} is FSP now ({current.reason})" if current else "Nobody is FSP now"
    before = f", {former.label} was: " if former else ": "
    journal.note(
        session.pk,
        Topic.ASSIGNMENT,
        f"{is_now}{before}{because}",
        epoch=current.epoch if current else None,
        kind=current.kind if current else None,
        fsp=current.fsp if current else None,
        former=former.label if former else None,
    )


def _who(assignment: FspAssignment | None) -> str:
    return assignment.label if assignment else "nobody"
