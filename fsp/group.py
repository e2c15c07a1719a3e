"""Many sessions behind one connection: who is in the group, and the time it is planned for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fsp.needs import Bounds, Need
from fsp.planner import Grid
from fsp.rates import Scale
from fsp.shares import Claim, shares
from hub.ocpi.datatypes import ProfileType

Array = NDArray[np.float64]
QUARTER = 900
# EUR/kWh that each later step is dearer, so that of equal ones the earlier is taken. Less would be
# within the tolerance of HiGHS, which then takes the last ones.
LATER = 1e-5
# It is so many times dearer for those who leave first, in so many classes of departures. Under a
# limit whole hours are then one session's and not shared by all: few periods, at the same cost.
HASTE = 4.0
CLASSES = 12


@dataclass(frozen=True)
class Member:
    """A session of the group; `delivered_kwh` counts towards the share of its need it has got."""

    need: Need
    bounds: Bounds
    delivered_kwh: float = 0.0

    @property
    def asked_kwh(self) -> float:
        """What the driver wanted in all."""
        return self.delivered_kwh + (self.need.energy_kwh or 0.0)


@dataclass(frozen=True)
class Peak:
    """A price for the highest mean power of a capacity period (SCALE D2.3, 8.4.1.2).

    EUR a kW above `reached_kw`, which is measured already; `used_kwh` in the period that runs.
    """

    price: float
    period: int = QUARTER
    reached_kw: float = 0.0
    used_kwh: float = 0.0


@dataclass(frozen=True)
class Site:
    """The limit of a connection, as (second from which on, limit), in W or in A of each phase."""

    scale: Scale
    limits: tuple[tuple[int, float], ...] = ()
    peak: Peak | None = None

    def at(self, seconds: Sequence[int]) -> Array:
        """The limit at each of these seconds; without any it is infinite."""
        if not self.limits:
            return np.full(len(seconds), np.inf)
        starts = np.array([second for second, _ in self.limits])
        held = np.searchsorted(starts, np.asarray(seconds), side="right") - 1
        values = np.array([limit for _, limit in self.limits])
        return np.where(held >= 0, values[np.maximum(held, 0)], np.inf)


@dataclass(frozen=True)
class Group:
    """Members, site, and energy from `now` on: as arrays of members (rows) and steps (columns)."""

    members: Sequence[Member]
    site: Site
    grid: Grid
    now: int
    step: int = QUARTER
    horizon: int = 96

    @property
    def parts(self) -> int:
        """Into how many parts a need is divided, for the worst served share: fewer for many."""
        return max(20, min(100, 2_000 // max(1, len(self.members))))

    @cached_property
    def edges(self) -> list[int]:
        """Steps of the clock, cut where prices, limits or capacity periods change."""
        last = max((self._departure(member) for member in self.members), default=self.now)
        end = min(last, self.now - self.now % self.step + self.horizon * self.step)
        end += -end % self.step
        if end <= self.now:
            end = self.now + self.step
        cuts = set(range(self.now - self.now % self.step + self.step, end, self.step))
        cuts |= set(self.grid.prices.edges(self.now, end))
        cuts |= {second for second, _ in self.site.limits if self.now < second < end}
        for member in self.members:
            cuts |= {second for second, _ in member.bounds.ceilings if self.now < second < end}
        if self.site.peak is not None:
            period = self.site.peak.period
            cuts |= set(range(self.now - self.now % period + period, end, period))
        return sorted({self.now, *cuts, end})

    def _departure(self, member: Member) -> int:
        """The end of what is planned: now, for whom nothing can be planned."""
        need = member.need
        if need.energy_kwh is None or need.departure is None:
            return self.now
        return max(self.now, need.departure)

    @cached_property
    def departures(self) -> NDArray[np.int64]:
        """Of each member, not after the last edge."""
        return np.array([min(self._departure(m), self.edges[-1]) for m in self.members])

    @cached_property
    def need_kwh(self) -> Array:
        """Of each member, 0 where nothing can be planned."""
        return np.array(
            [
                (m.need.energy_kwh or 0.0) if m.need.departure is not None else 0.0
                for m in self.members
            ]
        )

    @cached_property
    def hours(self) -> Array:
        """Of each step, the time before the member's departure."""
        edges = np.array(self.edges)
        ends = np.minimum(edges[None, 1:], self.departures[:, None])
        hours: Array = np.clip(ends - edges[None, :-1], 0, None) / 3600
        return hours

    @cached_property
    def highest(self) -> Array:
        """Rates, one decimal, 0 where the minimum does not fit."""
        starts, count = self.edges[:-1], len(self.edges) - 1
        rates = np.empty((len(self.members), count))
        for row, member in enumerate(self.members):
            bounds = member.bounds
            rates[row] = bounds.rates(starts) if bounds.ceilings else bounds.rate(bounds.maximum)
        return rates

    @cached_property
    def minimum(self) -> Array:
        """The lowest rate of each member but 0; never less than a limit can be told."""
        return np.array([max(0.1, m.bounds.minimum) for m in self.members])

    @cached_property
    def load(self) -> Array:
        """Units of the site's limit that one unit of each member's rate takes at most."""
        return np.array([m.bounds.scale.load_on(self.site.scale) for m in self.members])

    @cached_property
    def kw(self) -> Array:
        """kW that one unit of each member's rate is worth at least."""
        return np.array([m.bounds.scale.least_kw for m in self.members])

    @cached_property
    def tails(self) -> Array:
        """The rate of each member from its departure on: the full one, or its share of the limit.

        All shares together fit into the lowest limit that is known, so that they hold for good.
        """
        lowest = float(self.site.at(self.edges[:-1]).min())
        claims = [
            Claim(
                m.bounds.rate_for_good(int(departure)),
                m.bounds.minimum,
                float(load),
                m.delivered_kwh / m.asked_kwh if m.asked_kwh else 1.0,
            )
            for m, departure, load in zip(self.members, self.departures, self.load, strict=True)
        ]
        return np.array(shares(lowest, claims))

    @cached_property
    def room(self) -> Array:
        """Of each step, what the tails of those who have left by its end leave of the limit."""
        gone = self.departures[:, None] < np.array(self.edges)[None, 1:]
        return self.site.at(self.edges[:-1]) - (self.tails * self.load) @ gone

    @cached_property
    def keys(self) -> Array:
        """What a kWh costs each member at each step, in EUR/kWh.

        GREEN: its emissions, spread as widely as the prices are; FAST: the time.
        """
        prices = self.grid.prices.means(self.edges)
        spread = max(float(np.ptp(prices)), 0.01)
        times = np.arange(len(prices))
        by_type: dict[ProfileType, Array] = dict.fromkeys(ProfileType, prices)
        by_type[ProfileType.FAST] = np.float64(spread) * times
        if self.grid.intensity is not None:
            intensity = self.grid.intensity.means(self.edges)
            widest = max(float(np.ptp(intensity)), 1e-9)
            by_type[ProfileType.GREEN] = spread * intensity / widest + 1e-3 * prices
        names = list(by_type)
        rows = np.array([by_type[name] for name in names])
        count = len(self.members)
        place = np.empty(count)
        place[np.argsort(self.departures, kind="stable")] = np.arange(count)
        haste = 1 + HASTE * np.floor((1 - place / count) * CLASSES) / CLASSES
        own = [names.index(member.need.profile_type) for member in self.members]
        keys: Array = rows[own] + LATER * haste[:, None] * times
        return keys
