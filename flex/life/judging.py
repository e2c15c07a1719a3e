"""What an active profile says of a session that the hub has released. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from flex.full_rate import FullRate
from flex.knowledge.profiles import Profile

# Limits are rounded to one decimal on their way (OCPP 1.6).
_ROUNDED: Final = Decimal("0.1")
# How far ahead a released session has to be free of the former profile.
AHEAD: Final = timedelta(hours=1)
# Later than any step of a profile.
_FOR_EVER: Final = timedelta(days=20_000)
# Clocks differ, and a profile's start is told in whole seconds.
_SKEW: Final = timedelta(seconds=30)


class Released(StrEnum):
    """Whether the former profile binds no more."""

    YES = "at its full rate"
    OTHERWISE_LIMITED = "released; another limit than the former profile is active"
    STILL_LIMITED = "the former profile is active still"


def released(
    active: Profile | None, former: Profile | None, full: FullRate, now: datetime
) -> Released:
    """Judge the active profile (None: there is none) beside the one that was to go."""
    if active is None or is_full(active, full, now):
        return Released.YES
    if former is None or is_full(former, full, now):
        return Released.OTHERWISE_LIMITED
    return Released.STILL_LIMITED if same(active, former, now) else Released.OTHERWISE_LIMITED


def is_full(profile: Profile, full: FullRate, since: datetime) -> bool:
    """Whether a profile holds nothing back from a moment on.

    Where the full rate is not known, a profile whose tail is its highest limit, after a lower one,
    counts as one that ends in it.
    """
    rate = full.in_unit(profile.unit)
    values = limits_since(profile, since)
    if not values:
        return True
    if rate is not None:
        return min(values) >= rate - _ROUNDED
    return len(profile.levels) > 1 and min(values) >= profile.highest


def limits_since(profile: Profile, since: datetime) -> list[Decimal]:
    """Its limits from a moment to its end; empty where it has run out by then."""
    until = profile.end or since + _FOR_EVER
    return [limit.value for limit in profile.limits(since, max(until, since))]


def same(active: Profile, former: Profile, now: datetime) -> bool:
    """Whether the active profile limits as the former one does, now and where that changes next."""
    if active.unit != former.unit:
        return False
    moments = [now, *(one.begin + _SKEW for one in former.limits(now, now + AHEAD))]
    told = [(active.at(one), former.at(one)) for one in moments]
    # An active profile may be told for a shorter time than the former one lasts.
    pairs = [(one, other) for one, other in told if one is not None and other is not None]
    return bool(pairs) and all(abs(one - other) <= _ROUNDED for one, other in pairs)
