"""What a car without a profile takes of its site: what it draws, or else what it may draw.

SCALE D2.3, 8.4. W stay W, and A of each phase stay A.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from flex.full_rate import of_connector
from flex.knowledge import bounds, facts
from flex.knowledge.bounds import Kind
from flex.knowledge.metering import Metered, periods_of
from flex.knowledge.profiles import Profile
from flex.sites.limits import Asking
from hub.ocpi import heads
from hub.ocpi.lenient import EARLIEST
from sessions.models import Session
from sessions.objects import SessionStatus

# What was metered is what it draws for so long.
_RECENT: Final = timedelta(minutes=15)
# The least of these bounds is what it may draw, each in its own unit.
_UPPER: Final = {
    "evse_max_charging_power",
    "evse_max_charging_current",
    "charging_limit",
    "ev_max_charging_power",
}


class _Head(msgspec.Struct):
    charging_periods: Any = None


_read: Final = heads.reader(_Head)


def asking(sessions: Iterable[int], now: datetime) -> dict[int, Asking]:
    """By session, of those that go on; where nothing is known of one it takes nothing."""
    rows = Session.objects.filter(pk__in=list(sessions))
    charging = rows.exclude(status=SessionStatus.RESERVATION)
    return {one.pk: of(one, now) for one in charging}


def of(session: Session, now: datetime) -> Asking:
    """What one session takes now, as profiles of one limit without an end."""
    taken = {unit: _drawn(session, unit, now) for unit in ("W", "A")}
    if None in taken.values():
        may = _may_draw(session)
        taken = {unit: may.get(unit) if it is None else it for unit, it in taken.items()}
    return Asking(
        tuple(
            Profile(unit, EARLIEST, ((0, value),))
            for unit, value in taken.items()
            if value is not None
        )
    )


def _drawn(session: Session, unit: str, now: datetime) -> Decimal | None:
    """What was metered last; CURRENT may be that of one phase or the sum of all.

    So of that not more than the connector gives to one.
    """
    last = _last(session)
    if last is None or now - session.received_at > _RECENT:
        return None
    if unit == "W":
        return None if last.power is None else max(last.power, Decimal(0))
    current = last.volumes.get("CURRENT")
    if current is None:
        return None
    most = of_connector(session).amperes
    return max(current if most is None else min(current, most), Decimal(0))


def _last(session: Session) -> Metered | None:
    told = _read(bytes(session.document)).charging_periods
    periods = periods_of(told, session.received_at)
    return periods[-1] if periods else None


def _may_draw(session: Session) -> dict[str, Decimal]:
    """Of what OCPI tells alone: extension fields are not told to those that agreed on none."""
    found: dict[str, Decimal] = {}
    for one in bounds.derive(facts.of(session)).bounds:
        if one.quantity in _UPPER and one.kind == Kind.UPPER and one.unit in {"W", "A"}:
            found[one.unit] = min(one.value, found.get(one.unit, one.value))
    return found
