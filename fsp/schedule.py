"""Rates over time, as profiles hold them, and what a car takes of them (mod_charging_profiles)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from charging_profiles.objects import ChargingProfile, ChargingProfilePeriod
from fsp.prices import Series
from fsp.rates import NOTHING, Scale, as_decimal

MOST_PERIODS: Final = 20


@dataclass(frozen=True)
class Schedule:
    """Each rate holds from its second on, and the last one for good; equal neighbours are one."""

    steps: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, steps: Iterable[tuple[int, float]]) -> "Schedule":
        """Merged, from steps in the order of time; of two at one second the later one holds."""
        merged: list[tuple[int, float]] = []
        for second, rate in steps:
            if merged and merged[-1][0] == second:
                merged.pop()
            if not merged or merged[-1][1] != rate:
                merged.append((second, rate))
        return cls(tuple(merged))

    @classmethod
    def of_profile(cls, profile: ChargingProfile, start: datetime | None = None) -> "Schedule":
        """`start` is that of the session, for a profile without one of its own.

        Where the profile ends (`duration`) it says nothing more, so its last rate is kept.
        """
        begins = profile.start_date_time or start
        if begins is None:
            raise ValueError("the profile is relative to a start that is not known")
        zero = int(begins.timestamp())
        periods = sorted(profile.charging_profile_period, key=lambda period: period.start_period)
        return cls.of((zero + period.start_period, float(period.limit)) for period in periods)

    def profile(self, scale: Scale, minimum: float = 0.0) -> ChargingProfile:
        """As it is pushed: absolute, of the unit of the CPO, with the EV's minimum where known."""
        zero = self.steps[0][0]
        periods = [ChargingProfilePeriod(at - zero, as_decimal(rate)) for at, rate in self.steps]
        return ChargingProfile(
            charging_rate_unit=scale.unit,
            start_date_time=datetime.fromtimestamp(zero, UTC),
            min_charging_rate=as_decimal(minimum) if minimum > 0 else None,
            charging_profile_period=periods,
        )

    def since(self, now: int) -> "Schedule":
        """What is left of it; what it says first holds before its beginning too."""
        started = [rate for second, rate in self.steps if second <= now]
        first = started[-1] if started else self.steps[0][1]
        return Schedule.of([(now, first), *(step for step in self.steps if step[0] > now)])

    def rates(self, seconds: NDArray[np.int64]) -> NDArray[np.float64]:
        """The rate at each of these seconds."""
        starts = np.array([second for second, _ in self.steps])
        held = np.searchsorted(starts, seconds, side="right") - 1
        return np.array([rate for _, rate in self.steps])[np.maximum(held, 0)]

    def course(self, scale: Scale, prices: Series, begin: int, end: int) -> "Course":
        """Energy and its cost between two seconds, when all that is offered is taken."""
        own = [second for second, _ in self.steps if begin < second < end]
        edges = np.unique(np.array([*prices.edges(begin, end), *own], dtype=np.int64))
        kwh = self.rates(edges[:-1]) * scale.least_kw * np.diff(edges) / 3600
        cost = kwh * prices.at(edges[:-1])
        return Course(edges, _summed(kwh), _summed(cost))


@dataclass(frozen=True)
class Course:
    """Cumulated energy (kWh) and cost at the edges of a time."""

    edges: NDArray[np.int64]
    kwh: NDArray[np.float64]
    cost: NDArray[np.float64]

    def taken(self, need_kwh: float, until: float) -> tuple[float, float]:
        """Energy and cost of a car that takes what is offered until it has enough, or leaves.

        One that discharges in between follows to the end: the sum says nothing of when it is full.
        """
        if (np.diff(self.kwh) < 0).any():
            ends = (np.interp(until, self.edges, values) for values in (self.kwh, self.cost))
            return float(next(ends)), float(next(ends))
        kwh = min(need_kwh, float(np.interp(until, self.edges, self.kwh)))
        return kwh, float(np.interp(kwh, self.kwh, self.cost))

    def content(self, round_trip_efficiency: float) -> float:
        """What a battery has gained (kWh), of which discharging takes more than the meter sees."""
        kwh = np.diff(self.kwh)
        return float(kwh[kwh > 0].sum() + kwh[kwh < 0].sum() / round_trip_efficiency)

    def full_at(self, need_kwh: float) -> int | None:
        """When so much energy has been offered; None for never."""
        if self.kwh[-1] < need_kwh - NOTHING:
            return None
        return int(np.ceil(np.interp(need_kwh - NOTHING, self.kwh, self.edges)))


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate(([0.0], np.cumsum(values)))
