"""What an active profile says of the profiles that were set (mod_charging_profiles).

Pure; amperes and watts are never turned into each other.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from flex.knowledge.profiles import Profile

# OCPP has one decimal, and EVSEs compute in their own unit: what differs by less is the same.
SAME: Final = Decimal("0.15")
_CLOCKS_DIFFER: Final = timedelta(seconds=10)
# So long counts what is active, where it does not say how long it does.
_AHEAD: Final = timedelta(hours=1)


class Sight(Enum):
    """What an active profile says of the one that was set last."""

    IN_FORCE = auto()
    # Lower, exactly as a former one says: that one still binds.
    FORMER_BINDS = auto()
    # Lower for another reason.
    LIMITED = auto()
    # Somewhere higher, or there is none.
    NOT_IN_FORCE = auto()
    # In another unit, or it cannot be read.
    UNCLEAR = auto()


def changes(profile: Profile) -> list[datetime]:
    """Moments at which its limit may change."""
    found = [profile.start + timedelta(seconds=offset) for offset, _ in profile.steps]
    return [profile.start, *found, *([profile.end] if profile.end is not None else [])]


def sight(active: Profile | None, new: Profile | None, former: Sequence[Profile]) -> Sight:
    """Judge the active profile beside the one that was set last and those set before by others."""
    if active is None or new is None:
        return Sight.UNCLEAR
    if active.unit != new.unit:
        return Sight.UNCLEAR
    found = Sight.UNCLEAR
    for moment in steady(active, [new, *former]):
        allowed, offered = new.at(moment), active.at(moment)
        if allowed is None:
            continue
        if offered is None or offered > allowed + SAME:
            return Sight.NOT_IN_FORCE
        found = max(found, _lower(offered, allowed, moment, former), key=_WEIGHT.__getitem__)
    return found


def may_bind(former: Profile, new: Profile, now: datetime) -> bool:
    """Whether one that was set before is lower than the new one, now or later."""
    if former.unit != new.unit:
        return True
    for moment in (now, *changes(former), *changes(new)):
        limit, allowed = former.at(moment), new.at(moment)
        if moment >= now and limit is not None and (allowed is None or limit < allowed - SAME):
            return True
    return False


# What is seen at one moment counts for all; a car that takes what it may says the most.
_WEIGHT: Final = {Sight.UNCLEAR: 0, Sight.IN_FORCE: 1, Sight.LIMITED: 2, Sight.FORMER_BINDS: 3}


def _lower(
    offered: Decimal, allowed: Decimal, moment: datetime, former: Iterable[Profile]
) -> Sight:
    if offered >= allowed - SAME:
        return Sight.IN_FORCE
    for one in former:
        limit = one.at(moment)
        if limit is not None and abs(offered - limit) <= SAME:
            return Sight.FORMER_BINDS
    return Sight.LIMITED


def steady(active: Profile, others: Iterable[Profile]) -> list[datetime]:
    """One in each span of the active profile in which nothing changes.

    Clocks differ: what is true for a few seconds only says nothing.
    """
    until = active.end or max(changes(active)) + _AHEAD
    found = {moment for one in (active, *others) for moment in changes(one)}
    inside = sorted({active.start, until, *(m for m in found if active.start < m < until)})
    return [
        begin + (end - begin) / 2 for begin, end in pairwise(inside) if end - begin > _CLOCKS_DIFFER
    ]
