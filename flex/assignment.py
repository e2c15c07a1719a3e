"""Changes of a session's flexibility provider: one transaction each (SCALE D2.3, 8.4 and 11.4).

The assignment of before ends with its reason, the new one gets the next epoch; commands of before
that have not left never leave (docs/decisions/0034); the new FSP is given the Session and what the
driver asks.
"""

from typing import Final

from django.db.models import QuerySet

from charging_profiles import order
from flex import journal, preferences, relay
from flex.choice import Choice
from flex.facts import chosen
from flex.journal import Topic
from flex.models import FspAssignment
from flex.switching.models import FspSwitch
from hub.db import sql
from hub.models import locking
from sessions.models import Session
from sessions.objects import OVER

CHUNK: Final = 500
_LOCK: Final = f"""
    SELECT {sql.columns(Session)} FROM ocpi_sessions_session WHERE id = %s FOR NO KEY UPDATE
"""  # noqa: S608 - columns of ours


@locking.whole
def assign(session: Session, choice: Choice | None, *, because: str) -> FspAssignment | None:
    """Make it so; None: nobody is FSP, and the first accepted PUT makes one.

    Returns the open assignment. Of a session that is over, or gone, nothing changes. Who is FSP
    already stays it, in the same epoch.
    """
    kept = locked(session)
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
    kept = locked(session)
    if kept is None:
        return None
    return assign(kept, chosen(kept, FspAssignment.current(kept)), because=because)


def reconsider_all(sessions: "QuerySet[Session]", because: str) -> int:
    """The same for many that are not over, each in a transaction; how many have another FSP now."""
    live = sessions.exclude(status__in=[status.value for status in OVER]).order_by()
    pks = sorted(live.values_list("pk", flat=True))
    number = 0
    for start in range(0, len(pks), CHUNK):
        # Of most nothing changes: those are neither locked nor read whole.
        for session in Session.objects.filter(pk__in=pks[start : start + CHUNK]).defer("document"):
            current = FspAssignment.current(session)
            if (current and current.choice) == chosen(session, current):
                continue
            after = reconsider(session, because)
            number += (current and current.pk) != (after and after.pk)
    return number


def locked(session: Session) -> Session | None:
    """It as it is now, locked against other changes of its FSP and pushes; None: it is gone."""
    found = sql.rows(Session, _LOCK, [session.pk])
    return found[0] if found else None


def _change(
    session: Session, former: FspAssignment | None, choice: Choice | None, because: str
) -> FspAssignment | None:
    if former is not None:
        former.end(because)
    current = None
    if choice is not None:
        current = FspAssignment.open(session, choice, _told(former, choice, because))
    elif former is not None:
        told = f"Nobody is FSP now, {former.label} was: {because}"
        journal.note(session.pk, Topic.ASSIGNMENT, told, epoch=None, kind=None, fsp=None)
    if former is not None:
        _after(session, former, current, because)
    if current is not None:
        relay.give_whole(session, current)
        preferences.give_latest(session)
    return current


def _told(former: FspAssignment | None, choice: Choice, because: str) -> str:
    before = f", {former.label} was: " if former else ": "
    return f"{choice} is FSP now ({choice.reason}){before}{because}"


def _after(
    session: Session, former: FspAssignment, current: FspAssignment | None, because: str
) -> None:
    """What the one of before has given and was to get."""
    who = current.label if current else "nobody"
    order.end_outdated(session.pk, f"{who} is flexibility provider of this session now.")
    FspSwitch.begin(session, former, current, because)
    if former.fsp is not None:
        relay.end_waiting(session, former.fsp, "is not this session's FSP any more")
