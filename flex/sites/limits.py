"""The limit of a site over time, and what profiles take of it together. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from flex.knowledge.profiles import Profile
from hub.ocpi import lenient

# So far ahead it is looked at.
AHEAD: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one unit: moments in their order, and the limit from there on (None: none)."""

    unit: str
    steps: tuple[tuple[datetime, Decimal | None], ...]

    @classmethod
    def read(cls, unit: str, periods: Sequence[dict[str, Any]]) -> "Limits":
        """As `SiteLimit` keeps them."""
        steps = []
        for period in periods:
            start = lenient.moment(period["start"])
            if start is not None:
                limit = period["limit"]
                steps.append((start, None if limit is None else Decimal(str(limit))))
        return cls(unit, tuple(steps))

    def at(self, moment: datetime) -> Decimal | None:
        """The limit of that moment; None: none."""
        found = None
        for start, limit in self.steps:
            if start > moment:
                break
            found = limit
        return found

    def edges(self, begin: datetime, end: datetime) -> list[datetime]:
        """When it changes between two moments."""
        return [start for start, _ in self.steps if begin < start < end]


@dataclass(frozen=True, slots=True)
class Excess:
    """From `at` on, profiles in force ask for `sum`, and the limit is less."""

    at: datetime
    unit: str
    limit: Decimal
    sum: Decimal

    @property
    def in_words(self) -> str:
        """A sentence's end that names no session."""
        return f"{self.sum} {self.unit} of {self.limit} {self.unit} at {self.at:%Y-%m-%dT%H:%M:%SZ}"


def excess(
    limits: Limits,
    profiles: Iterable[Profile],
    now: datetime,
    counts: Callable[[datetime], bool] = lambda _: True,
) -> Excess | None:
    """When the profiles first ask for more than the limit, from now on; None: never.

    `counts` says of which moments that is asked.

    Those of another unit take no part: W are not made of A. What discharges (a limit below 0) makes
    room for nobody, since nobody has to discharge.
    """
    counted = [profile for profile in profiles if profile.unit == limits.unit]
    end = now + AHEAD
    moments = {now, *limits.edges(now, end)}
    for profile in counted:
        moments |= {limit.begin for limit in profile.limits(now, end)}
    for moment in sorted(moments):
        most = limits.at(moment)
        if most is None:
            continue
        asked = sum((taken(profile, moment) for profile in counted), Decimal(0))
        if asked > most and counts(moment):
            return Excess(moment, limits.unit, most, asked)
    return None


def taken(profile: Profile | None, moment: datetime) -> Decimal:
    """What a profile may take of a limit at a moment; 0 where it says nothing, or discharges."""
    asked = None if profile is None else profile.at(moment)
    return max(asked or Decimal(0), Decimal(0))


# --- Shares -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """What a session may take of a site: its least rate, its highest (None: not known).

    `served` is the part of its need that it has already; of equal ones the earlier goes first.
    """

    minimum: Decimal
    maximum: Decimal | None
    served: Decimal
    order: int


_TENTH: Final = Decimal("0.1")


def shares(limit: Decimal, claims: Sequence[Claim]) -> list[Decimal]:
    """A rate for each, together at most the limit: 0 or at least its minimum, of one decimal.

    Equal where they can be. Where the minimum rates of all do not fit, the least served pause,
    until those of the others do; so those who need least are finished first.
    """
    rates = [Decimal(0)] * len(claims)
    charging: list[int] = []
    left = limit
    for i in sorted(range(len(claims)), key=lambda i: (-claims[i].served, claims[i].order)):
        most = claims[i].maximum
        if claims[i].minimum <= left and (most is None or most >= claims[i].minimum):
            charging.append(i)
            left -= claims[i].minimum
    level = _level(limit, [claims[i] for i in charging])
    for i in charging:
        rates[i] = _rate(claims[i], level).quantize(_TENTH, rounding="ROUND_FLOOR")
        rates[i] = max(rates[i], claims[i].minimum)
    return rates


def _rate(claim: Claim, level: Decimal) -> Decimal:
    most = level if claim.maximum is None else min(level, claim.maximum)
    return max(claim.minimum, most)


def _level(limit: Decimal, claims: Sequence[Claim]) -> Decimal:
    """What each gets that is neither at its minimum nor at its maximum; exactly.

    Between two neighbouring edges (minimums and maximums) the sum of all rates is a straight line.
    """
    edges = {claim.minimum for claim in claims} | {Decimal(0)}
    edges |= {claim.maximum for claim in claims if claim.maximum is not None}
    reached = Decimal(0)
    for edge in sorted(edges):
        if sum((_rate(claim, edge) for claim in claims), Decimal(0)) > limit:
            break
        reached = edge
    moving = [
        c for c in claims if c.minimum <= reached and (c.maximum is None or c.maximum > reached)
    ]
    if not moving:
        return reached
    taken = sum((_rate(claim, reached) for claim in claims), Decimal(0))
    return reached + max(limit - taken, Decimal(0)) / len(moving)
