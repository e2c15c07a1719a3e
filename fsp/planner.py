"""A plan for one session: its schedule, what it costs, and why a goal is not met."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fsp.bidirectional import with_discharge
from fsp.needs import Bounds, Need
from fsp.prices import Series
from fsp.rates import NOTHING
from fsp.schedule import Schedule
from fsp.single import Steps, best_schedule
from hub.ocpi.datatypes import ProfileType

# Energies are told in kWh of three digits; a need counts as met within one watt-hour.
MET_KWH = 0.001
# With discharge: what the rounding of each of many steps to seconds may make.
SECONDS_KWH = 0.1


class Binding(StrEnum):
    """Which limit keeps a need from being met."""

    POWER = "POWER"  # of EV and EVSE
    SITE = "SITE"
    MINIMUM = "MINIMUM"  # the limit is below the lowest rate of the EV


@dataclass(frozen=True)
class Unmet:
    """A goal that this plan does not reach, and when it would be reached."""

    kwh: float
    binding: Binding
    earliest_departure: int | None

    def __str__(self) -> str:
        return f"{self.kwh:.1f} kWh are missing at departure; the limit is {self.binding}"


@dataclass(frozen=True)
class Plan:
    """`schedule` in the unit of the CPO; energy (kWh) and cost until departure."""

    schedule: Schedule
    energy_kwh: float
    cost: float
    unmet: Unmet | None = None


@dataclass(frozen=True)
class Grid:
    """What is known of energy: its price (EUR/kWh) and, for GREEN, its intensity (kg CO2 a kWh)."""

    prices: Series
    intensity: Series | None = None
    # What a discharged kWh is paid; never more than it costs at that time.
    feed_in: Series | None = None


def plan(
    need: Need,
    bounds: Bounds,
    grid: Grid,
    now: int,
    *,
    tail: float | None = None,
    latest: bool = False,
) -> Plan:
    """Energy first, then cost (GREEN: emissions, then cost), then the earliest, or `latest`.

    `tail` is the rate from the departure on: the session's share of a site limit; without one the
    full rate. Whatever cannot be shifted is charged at once.
    """
    after = bounds.rate_for_good(max(now, need.departure or now), tail)
    if need.is_urgent(now):
        return _at_once(need, bounds, grid, now, after)
    departure, energy = need.departure or now, need.energy_kwh or 0.0
    steps = steps_until(departure, need, bounds, grid, now)
    if need.discharge_allowed and bounds.battery is not None:
        schedule = with_discharge(steps.edges, bounds, energy, grid.prices, grid.feed_in, after)
        course = schedule.course(bounds.scale, grid.prices, now, departure)
        missing = energy - course.content(bounds.battery.round_trip_efficiency)
        unmet = _unmet(missing, steps, bounds, after) if missing > SECONDS_KWH else None
        return Plan(schedule, float(course.kwh[-1]), float(course.cost[-1]), unmet)
    schedule = best_schedule(steps, energy, bounds.scale, after, latest=latest, first=need.first)
    course = schedule.course(bounds.scale, grid.prices, now, departure)
    met, cost = course.taken(energy, departure)
    unmet = None
    if met < energy - MET_KWH:
        unmet = _unmet(energy - met, steps, bounds, after)
    return Plan(schedule, met, cost, unmet)


def uncontrolled(need: Need, bounds: Bounds, grid: Grid, now: int) -> Plan:
    """The full rate from now on: what happens without any profile."""
    after = bounds.rate_for_good(max(now, need.departure or now))
    return _at_once(need, bounds, grid, now, after)


def _at_once(need: Need, bounds: Bounds, grid: Grid, now: int, after: float) -> Plan:
    seconds = [now, *(second for second, _ in bounds.ceilings if second > now)]
    told = list(zip(seconds, bounds.rates(seconds), strict=True))
    departure = need.departure if need.departure and need.departure > now else None
    if departure is not None:
        told = [*(step for step in told if step[0] < departure), (departure, after)]
    schedule = Schedule.of(told)
    if need.energy_kwh is None or departure is None:
        return Plan(schedule, 0.0, 0.0)
    met, cost = schedule.course(bounds.scale, grid.prices, now, departure).taken(
        need.energy_kwh, departure
    )
    unmet = None
    if met < need.energy_kwh - MET_KWH:
        steps = Steps([now, departure], [0], [bounds.rate(bounds.maximum)])
        unmet = _unmet(need.energy_kwh - met, steps, bounds, after)
    return Plan(schedule, met, cost, unmet)


def steps_until(
    departure: int, need: Need, bounds: Bounds, grid: Grid, now: int, cuts: Sequence[int] = ()
) -> Steps:
    """Steps in which neither prices nor limits change, cut at some seconds more."""
    inner = [*(second for second, _ in bounds.ceilings), *cuts]
    inner += [need.first.until] if need.first else []
    cut = set(grid.prices.edges(now, departure))
    if need.profile_type is ProfileType.GREEN and grid.intensity is not None:
        cut |= set(grid.intensity.edges(now, departure))
    edges = sorted(cut | {second for second in inner if now < second < departure})
    return Steps(edges, _keys(need, grid, edges), bounds.rates(edges[:-1]))


def _keys(need: Need, grid: Grid, edges: Sequence[int]) -> list[tuple[float, ...]]:
    prices = grid.prices.at(edges[:-1]).tolist()
    if need.profile_type is ProfileType.GREEN and grid.intensity is not None:
        return list(zip(grid.intensity.at(edges[:-1]).tolist(), prices, strict=True))
    return [(price,) for price in prices]


def _unmet(missing: float, steps: Steps, bounds: Bounds, after: float) -> Unmet:
    full = bounds.rate(bounds.maximum)
    binding = Binding.POWER
    if full == 0 or 0 < bounds.maximum < bounds.minimum:
        binding = Binding.MINIMUM if bounds.maximum > NOTHING else Binding.SITE
    elif min(steps.rates) < full:
        binding = Binding.SITE
    kw = (after or full) * bounds.scale.least_kw
    later = int(missing / kw * 3600) + 1 if kw > 0 else None
    return Unmet(missing, binding, steps.edges[-1] + later if later is not None else None)
