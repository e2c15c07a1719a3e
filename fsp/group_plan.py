"""Plans for many sessions behind one connection, within its limit at every second."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fsp.allocation import Allocation, allocate
from fsp.group import Array, Group
from fsp.needs import Bounds
from fsp.planner import MET_KWH, Binding, Plan, Unmet
from fsp.rounding import Rounded, rounded
from fsp.schedule import MOST_PERIODS, Schedule
from fsp.single import Steps, best_schedule


@dataclass(frozen=True)
class GroupPlan:
    """A plan of each member, in their order; `bound` is the linear problem's: none is better."""

    plans: tuple[Plan, ...]
    bound: Allocation
    peak_kw: float

    @property
    def unmet_kwh(self) -> float:
        """Of all members together."""
        return sum(plan.unmet.kwh for plan in self.plans if plan.unmet)


def plan_group(group: Group) -> GroupPlan:
    """Least unmet energy, the best worst served share, then cost with the peak, then earliest."""
    bound = allocate(group)
    result = rounded(group, bound.kw)
    kwh = result.kwh()
    schedules = [
        _few_periods(result, row, float(kwh[row].sum())) for row in range(len(group.members))
    ]
    kwh = result.kwh()
    costs = kwh @ group.grid.prices.means(group.edges)
    met = np.minimum(kwh.sum(axis=1), group.need_kwh)
    plans = tuple(
        Plan(schedule, float(met[row]), float(costs[row]), _unmet(group, row, float(met[row])))
        for row, schedule in enumerate(schedules)
    )
    return GroupPlan(plans, bound, _peak_kw(group, kwh))


def _schedule(result: Rounded, row: int) -> Schedule:
    """A step that runs in part does so from its beginning, or towards a step that runs after it."""
    edges, departure = result.group.edges, int(result.group.departures[row])
    rates = [float(rate) for rate in result.rate[row]]
    told = []
    for step, rate in enumerate(rates):
        begin, end = edges[step], min(edges[step + 1], departure)
        if begin >= departure:
            break
        seconds = round(result.seconds[row, step]) if rate else 0
        following = rates[step + 1] if step + 1 < len(rates) else 0.0
        if not 0 < seconds < end - begin:
            told.append((begin, rate if seconds else 0.0))
        elif following == rate and not (step and rates[step - 1] == rate):
            told += [(begin, 0.0), (end - seconds, rate)]
        else:
            told += [(begin, rate), (begin + seconds, 0.0)]
    return Schedule.of([*told, (departure, float(result.group.tails[row]))])


def _few_periods(result: Rounded, row: int, kwh: float) -> Schedule:
    """As it is, or planned anew in the room that the others leave where it has too many periods."""
    schedule = _schedule(result, row)
    if len(schedule.steps) <= MOST_PERIODS:
        return schedule
    group, scale = result.group, result.group.members[row].bounds.scale
    departure = int(group.departures[row])
    count = int((group.hours[row] > 0).sum())
    edges = [*group.edges[:count], departure]
    free = result.rate[row] + result.room / group.load[row]
    own = Bounds(scale, float(group.highest[row].max()), float(group.minimum[row]))
    rates = [
        own.rate(float(min(rate, most)))
        for rate, most in zip(free[:count], group.highest[row], strict=False)
    ]
    keys = group.keys[row, :count].tolist()
    schedule = best_schedule(Steps(edges, keys, rates), kwh, scale, float(group.tails[row]))
    starts = np.array(edges[:-1])
    told = [
        max((r for s, r in schedule.since(begin).steps if s < end), default=0.0)
        for begin, end in pairwise(edges)
    ]
    result.room[:count] -= (np.array(told) - result.rate[row, :count]) * group.load[row]
    course = schedule.course(scale, group.grid.prices, group.now, departure)
    energy = np.diff(np.interp([*starts, departure], course.edges, course.kwh))
    result.rate[row, :count] = told
    per_second = np.maximum(result.rate[row, :count], 0.1) * scale.least_kw / 3600
    result.seconds[row, :count] = energy / per_second
    return schedule


def _unmet(group: Group, row: int, met: float) -> Unmet | None:
    """What is missing; the tail goes on from the departure, so it says when it would be reached."""
    missing = float(group.need_kwh[row]) - met
    if missing < MET_KWH:
        return None
    member = group.members[row]
    alone = float((group.highest[row] * group.kw[row] * group.hours[row]).sum())
    binding = Binding.SITE
    if member.bounds.rate(member.bounds.maximum) == 0:
        binding = Binding.MINIMUM
    elif alone < group.need_kwh[row] - MET_KWH:
        binding = Binding.POWER
    kw = float(group.tails[row] * group.kw[row])
    later = int(group.departures[row]) + int(missing / kw * 3600) + 1 if kw > 0 else None
    return Unmet(missing, binding, later)


def _peak_kw(group: Group, kwh: Array) -> float:
    """The highest mean power of a capacity period, with what is reached already."""
    peak = group.site.peak
    if peak is None:
        return 0.0
    most = np.array([m.bounds.scale.most_kw / m.bounds.scale.least_kw for m in group.members])
    period = np.array(group.edges[:-1]) // peak.period - group.now // peak.period
    energy = np.bincount(period, weights=most @ kwh)
    energy[0] += peak.used_kwh
    return max(peak.reached_kw, float(energy.max()) * 3600 / peak.period)


def load(group: Group, schedules: list[Schedule]) -> tuple[list[int], Array]:
    """The load of schedules on the site's limit, at every second at which one of them changes."""
    changes = {second for schedule in schedules for second, _ in schedule.steps}
    changes |= {second for second, _ in group.site.limits}
    seconds = sorted({group.now, *(second for second in changes if second > group.now)})
    total = np.zeros(len(seconds))
    for schedule, weight in zip(schedules, group.load, strict=True):
        total += schedule.rates(np.array(seconds)) * weight
    return seconds, total


def is_within(group: Group, schedules: list[Schedule]) -> bool:
    """Whether the limit holds at every second from now on, with the tails after departure."""
    seconds, total = load(group, schedules)
    return bool((total <= group.site.at(seconds) + 1e-6).all())
