"""When a plan is worth a push: not for small gains, not too often, at once when a limit falls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fsp.group import Group
from fsp.group_plan import GroupPlan, is_within
from fsp.needs import Bounds, Need
from fsp.planner import Grid, Plan
from fsp.rates import NOTHING
from fsp.schedule import Schedule
from hub.ocpi.datatypes import ProfileType

# At most one push of a session in so many seconds, except where a limit falls.
BETWEEN_PUSHES = 300
# A gain is real from so many EUR on (or kg CO2, for GREEN), and from this part of the cost.
REAL_GAIN = 0.01
REAL_PART = 0.01
# Energy that counts (kWh), and for FAST the time (seconds).
REAL_KWH = 0.1
REAL_TIME = 60
FELL = "a limit fell below what is in force"


@dataclass(frozen=True)
class Verdict:
    """Whether to push, and why or why not; `again_at` is when a push that waits may go."""

    push: bool
    reason: str
    again_at: int | None = None


class GroupPushes(NamedTuple):
    """What to push of a group: indexes of its members."""

    verdict: Verdict
    falling: Sequence[int] = ()
    rising: Sequence[int] = ()


def judge(
    plan: Plan,
    in_force: Schedule | None,
    need: Need,
    bounds: Bounds,
    grid: Grid,
    now: int,
    pushed_at: int | None = None,
) -> Verdict:
    """`in_force` is what was pushed and taken; None where the session has no profile.

    Without one the car takes the full rate, which is all that FAST wants.
    """
    held = _held(in_force, bounds, now)
    if _breaches(held, bounds, now):
        return Verdict(push=True, reason=FELL)
    if held == plan.schedule.since(now):
        return Verdict(push=False, reason="unchanged")
    reason = _reason(plan, held, need, bounds, grid, now)
    if reason is None:
        return Verdict(push=False, reason="no real gain")
    return _in_time(reason, now, pushed_at)


def judge_group(
    plan: GroupPlan,
    in_force: Sequence[Schedule | None],
    group: Group,
    pushed_at: Sequence[int | None],
) -> "GroupPushes":
    """For a group the plan is pushed whole or not at all: only whole is it within the limit.

    The members whose profile changes: `falling` are those that take no more than now, which go
    first; what they leave must be free before the `rising` take it.
    """
    now = group.now
    held = [_held(f, m.bounds, now) for f, m in zip(in_force, group.members, strict=True)]
    planned = [p.schedule.since(now) for p in plan.plans]
    changed = [i for i, (a, b) in enumerate(zip(held, planned, strict=True)) if a != b]
    rising = {i for i in changed if planned[i].steps[0][1] > held[i].steps[0][1] + NOTHING}
    falling = [i for i in changed if i not in rising]
    if not is_within(group, held):
        return GroupPushes(Verdict(push=True, reason=FELL), falling, sorted(rising))
    if not changed:
        return GroupPushes(Verdict(push=False, reason="unchanged"))
    gains = [
        _reason(
            plan.plans[i], held[i], group.members[i].need, group.members[i].bounds, group.grid, now
        )
        for i in changed
    ]
    reason = next((gain for gain in gains if gain), None)
    if reason is None:
        return GroupPushes(Verdict(push=False, reason="no real gain"))
    verdict = _in_time(reason, now, max((p for i in changed if (p := pushed_at[i])), default=None))
    return GroupPushes(verdict, falling, sorted(rising)) if verdict.push else GroupPushes(verdict)


def _held(in_force: Schedule | None, bounds: Bounds, now: int) -> Schedule:
    if in_force is not None:
        return in_force.since(now)
    return Schedule(((now, bounds.rate(bounds.maximum)),))


def _breaches(held: Schedule, bounds: Bounds, now: int) -> bool:
    """What is in force allows more than the bounds do, at some second from now on."""
    seconds = [now, *(s for s, _ in (*held.steps, *bounds.ceilings) if s > now)]
    seconds = sorted(set(seconds))
    return any(
        rate > most + NOTHING
        for rate, most in zip(held.rates(np.array(seconds)), bounds.rates(seconds), strict=True)
    )


def _reason(
    plan: Plan, held: Schedule, need: Need, bounds: Bounds, grid: Grid, now: int
) -> str | None:
    """What the plan gains over what is in force; None where that is nothing real."""
    if need.departure is None or need.energy_kwh is None or need.departure <= now:
        # Nothing is known but that it charges: what holds it back has to go.
        last = held.steps[-1][1] < plan.schedule.steps[-1][1] or len(held.steps) > 1
        return "nothing is known that allows to wait" if last else None
    course = held.course(bounds.scale, grid.prices, now, need.departure)
    met, cost = course.taken(need.energy_kwh, need.departure)
    if plan.energy_kwh > met + REAL_KWH:
        return f"{plan.energy_kwh - met:.1f} kWh more at departure"
    if plan.energy_kwh < met - REAL_KWH:
        return None
    if need.profile_type is ProfileType.FAST:
        planned = plan.schedule.course(bounds.scale, grid.prices, now, need.departure)
        sooner = (course.full_at(met) or 0) - (planned.full_at(met) or 0)
        return f"{sooner} s sooner" if sooner >= REAL_TIME else None
    gained, unit = cost - plan.cost, "EUR"
    if need.profile_type is ProfileType.GREEN and grid.intensity is not None:
        course = held.course(bounds.scale, grid.intensity, now, need.departure)
        planned = plan.schedule.course(bounds.scale, grid.intensity, now, need.departure)
        cost = course.taken(met, need.departure)[1]
        gained, unit = cost - planned.taken(met, need.departure)[1], "kg CO2"
    if gained >= max(REAL_GAIN, REAL_PART * abs(cost)):
        return f"{gained:.2f} {unit} less"
    return None


def _in_time(reason: str, now: int, pushed_at: int | None) -> Verdict:
    if pushed_at is not None and now < pushed_at + BETWEEN_PUSHES:
        return Verdict(push=False, reason=f"waits: {reason}", again_at=pushed_at + BETWEEN_PUSHES)
    return Verdict(push=True, reason=reason)
