"""The limit of a site over time, and what profiles take of it together. Pure."""

from collections.abc import Callable, Collection, Iterator, Sequence
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
    """From `at` on, sessions may take `sum` by their profiles, and the limit is less."""

    at: datetime
    unit: str
    limit: Decimal
    sum: Decimal

    @property
    def in_words(self) -> str:
        """A sentence's end that names no session."""
        return f"{self.sum} {self.unit} of {self.limit} {self.unit} at {self.at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Asking:
    """What a session asks for: by that of its profiles which is in force, and nobody knows which.

    `most` is what its connector gives, in W or A where that is known: more it takes from nobody.
    """

    profiles: tuple[Profile, ...]
    most: Callable[[str], Decimal | None] = lambda _: None

    def asked(self, unit: str, moment: datetime) -> Decimal:
        """What it asks of a limit in a unit; 0 where it says nothing, or discharges."""
        rates = (one.at(moment) for one in self.profiles if one.unit == unit)
        return max((rate for rate in rates if rate is not None and rate > 0), default=Decimal(0))

    def taken(self, unit: str, moment: datetime) -> Decimal:
        """What it may take of it: not more than its connector gives."""
        asked = self.asked(unit, moment)
        most = self.most(unit) if asked else None
        return asked if most is None else min(asked, most)

    def edges(self, unit: str, begin: datetime, end: datetime) -> Iterator[datetime]:
        """When that changes between two moments."""
        for profile in self.profiles:
            if profile.unit == unit:
                for limit in profile.limits(begin, end):
                    yield from (limit.begin, limit.end or end)


NOTHING: Final = Asking(())


def excess(
    limits: Limits,
    asking: Collection[Asking],
    now: datetime,
    more: tuple[Asking, Asking] | None = None,
) -> Excess | None:
    """When the sessions may first take more than the limit, from now on; None: never.

    With `more` only where the first of two takes more than the other, which was before it.

    Profiles of another unit take no part: W are not made of A. What discharges (a limit below 0)
    makes room for nobody, since nobody has to discharge.
    """
    end, unit = now + AHEAD, limits.unit
    moments = {now, *limits.edges(now, end)}
    for one in (*asking, *(more or ())):
        moments.update(one.edges(unit, now, end))
    for moment in sorted(moments - {end}):
        most = limits.at(moment)
        # No connector is looked up where what is asked fits.
        if most is None or sum(one.asked(unit, moment) for one in asking) <= most:
            continue
        taken = sum((one.taken(unit, moment) for one in asking), Decimal(0))
        if taken > most and (more is None or _is_more(*more, unit, moment)):
            return Excess(moment, unit, most, taken)
    return None


def _is_more(profile: Asking, former: Asking, unit: str, moment: datetime) -> bool:
    return profile.taken(unit, moment) > former.taken(unit, moment)


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
