"""A charging profile as a limit over time, however its sender spells it (mod_charging_profiles).

Pure. W stay W and A stay A (per phase): OCPI says nowhere how many phases an EV has.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

from hub.ocpi import heads, lenient
from hub.ocpi.comparison import plain
from hub.ocpi.errors import NotJson

# Beyond these a profile is not one.
_MOST_PERIODS: Final = 2_000
_LONGEST: Final = 10**9  # seconds
# A limit beyond this, either way, is none: sums and floats of what is kept stay finite.
_HIGHEST: Final = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class Limit:
    """What is allowed from `begin` to `end` (None: for ever), in the unit of its profile."""

    begin: datetime
    end: datetime | None
    value: Decimal


@dataclass(frozen=True, slots=True)
class Profile:
    """The limits of a profile from `start` on; `unit` is W or A, A per phase."""

    unit: str
    start: datetime
    # Seconds from `start`, growing, and the limit from there on.
    steps: tuple[tuple[int, Decimal], ...]
    duration: int | None = None
    minimum: Decimal | None = None

    @classmethod
    def read(cls, document: bytes, relative_to: datetime) -> Self | None:
        """That of a SetChargingProfile, an ActiveChargingProfile or the result of a GET.

        `relative_to` is the start of a profile that tells none. None for what has no profile that
        can be read. A start or a limit out of all bounds is read as that bound, which means the
        same: what is asked of a profile never overflows.
        """
        found = _holder(document)
        if found is None:
            return None
        told, inner = found
        unit = heads.word(inner.get("charging_rate_unit"))
        steps = _steps(inner.get("charging_profile_period"))
        if unit not in {"W", "A"} or not steps:
            return None
        # "All time measurements within the profile are relative to this timestamp."
        start = lenient.moment(told.get("start_date_time")) if told is not inner else None
        start = start or lenient.moment(inner.get("start_date_time")) or relative_to
        duration = lenient.whole_number(inner.get("duration"))
        return cls(
            unit,
            lenient.clamped(start),
            steps,
            duration if duration is not None and 0 < duration < _LONGEST else None,
            _rate(inner.get("min_charging_rate")),
        )

    @property
    def end(self) -> datetime | None:
        """When it ends; None: never."""
        return None if self.duration is None else self.start + timedelta(seconds=self.duration)

    @property
    def highest(self) -> Decimal:
        """The highest of its limits."""
        return max(limit for _, limit in self.steps)

    @property
    def levels(self) -> frozenset[Decimal]:
        """Its different limits."""
        return frozenset(limit for _, limit in self.steps)

    def at(self, moment: datetime) -> Decimal | None:
        """The limit of that moment; None where the profile says nothing of it."""
        offset = (moment - self.start).total_seconds()
        if self.duration is not None and offset >= self.duration:
            return None
        index = bisect_right(self.steps, offset, key=lambda step: step[0])
        return self.steps[index - 1][1] if index else None

    def limits(self, begin: datetime, end: datetime) -> Iterator[Limit]:
        """Its limits between two moments, one after the other, cut at both."""
        for index, (offset, value) in enumerate(self.steps):
            since = self.start + timedelta(seconds=offset)
            until = self.end
            if index + 1 < len(self.steps):
                following = self.start + timedelta(seconds=self.steps[index + 1][0])
                until = following if until is None else min(until, following)
            since, until = max(since, begin), end if until is None else min(until, end)
            if since < until:
                yield Limit(since, until, value)


def _holder(document: bytes) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The object with the time of computation, and the ChargingProfile itself."""
    try:
        found = plain(document)
    except NotJson:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    for name in ("profile", "charging_profile"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            if name == "charging_profile":
                return found, found[name]
            found = found[name]
    if isinstance(found, dict) and "charging_profile_period" in found:
        return found, found
    return None


def _rate(value: Any) -> Decimal | None:
    """A limit within all bounds; also of a number that nothing reckons with, such as 1e1000."""
    rate = lenient.number(value)
    if rate is not None:
        return min(max(rate, -_HIGHEST), _HIGHEST)
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
        is_small, is_negative = number.is_finite() and number.adjusted() < 0, number.is_signed()
    elif isinstance(value, str) and (found := _BEYOND(value.strip())) is not None:
        is_small, is_negative = found["exponent"].startswith("-"), found["sign"] == "-"
    else:
        return None
    return Decimal(0) if is_small else -_HIGHEST if is_negative else _HIGHEST


_BEYOND: Final = re.compile(
    r"(?P<sign>-?)[1-9]\d{0,39}(?:\.\d{1,40})?[eE](?P<exponent>[+-]?\d{3,40})", re.ASCII
).fullmatch


def _steps(periods: Any) -> tuple[tuple[int, Decimal], ...]:
    """In their order of time; of two that begin together the later one. Empty if one is odd."""
    if not isinstance(periods, list) or len(periods) > _MOST_PERIODS:
        return ()
    found: dict[int, Decimal] = {}
    for period in periods:
        if not isinstance(period, dict):
            return ()
        offset = lenient.whole_number(period.get("start_period"))
        limit = _rate(period.get("limit"))
        if offset is None or limit is None or not 0 <= offset < _LONGEST:
            return ()
        found[offset] = limit
    return tuple(sorted(found.items()))
