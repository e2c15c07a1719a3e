"""When a plan is pushed: unchanged inputs push nothing, small gains wait, falling limits do not."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings

from fsp.group import Group, Member, Site
from fsp.group_plan import is_within, plan_group
from fsp.needs import Bounds, Need
from fsp.planner import Grid, plan
from fsp.prices import Series
from fsp.pushes import judge, judge_group
from fsp.rates import Scale
from fsp.schedule import Schedule
from hub.ocpi.datatypes import ProfileType
from tests.fsp.drivers import NOW, bounds, grids, needs

HOUR = 3600
BOUNDS = Bounds(Scale.amperes(1), 16.0, 6.0)
GRID = Grid(Series(0, HOUR, np.array([0.4, 0.1, 0.3, 0.2])))
NEED = Need(energy_kwh=3.68, departure=4 * HOUR)


@settings(max_examples=60)
@given(needs, bounds(), grids)
def test_unchanged_inputs_push_nothing_now_or_while_all_goes_as_planned(need, limits, energy):
    made = plan(need, limits, energy, NOW)
    assert not judge(made, made.schedule, need, limits, energy, NOW).push
    for later in (NOW + 600, NOW + 5000):
        if later < need.departure:
            course = made.schedule.course(limits.scale, energy.prices, NOW, later)
            left = max(0.0, need.energy_kwh - float(course.kwh[-1]))
            now_needed = replace(need, energy_kwh=left)
            again = plan(now_needed, limits, energy, later)
            verdict = judge(again, made.schedule, now_needed, limits, energy, later)
            assert not verdict.push, verdict


def test_a_first_plan_is_pushed_when_it_gains_and_not_when_the_full_rate_is_as_good():
    made = plan(NEED, BOUNDS, GRID, 0)
    assert judge(made, None, NEED, BOUNDS, GRID, 0).push
    fast = replace(NEED, profile_type=ProfileType.FAST)
    assert not judge(plan(fast, BOUNDS, GRID, 0), None, fast, BOUNDS, GRID, 0).push
    # FAST undoes what holds the session back.
    verdict = judge(plan(fast, BOUNDS, GRID, 0), made.schedule, fast, BOUNDS, GRID, 0)
    assert verdict.push
    assert verdict.reason == "3600 s sooner"


def test_a_small_gain_changes_nothing_and_a_real_one_waits_for_five_minutes():
    in_force = Schedule(((0, 0.0), (HOUR, 16.0), (2 * HOUR, 0.0), (4 * HOUR, 16.0)))
    for cents, push in ((9.9, False), (5.0, True)):
        grid = Grid(Series(0, HOUR, np.array([0.4, 0.1, 0.3, cents / 100])))
        made = plan(NEED, BOUNDS, grid, 0)
        assert judge(made, in_force, NEED, BOUNDS, grid, 0).push is push
    waits = judge(made, in_force, NEED, BOUNDS, grid, 100, pushed_at=0)
    assert (waits.push, waits.again_at) == (False, 300)
    assert judge(made, in_force, NEED, BOUNDS, grid, 300, pushed_at=0).push


def test_a_limit_that_fell_is_pushed_at_once():
    made = plan(NEED, BOUNDS, GRID, 0)
    lower = replace(BOUNDS, ceilings=((10, 8.0),))
    again = plan(NEED, lower, GRID, 10)
    assert judge(again, made.schedule, NEED, lower, GRID, 10, pushed_at=5).push
    higher = replace(BOUNDS, maximum=20.0)
    again = plan(NEED, higher, GRID, 10)
    assert not judge(again, made.schedule, NEED, higher, GRID, 10, pushed_at=5).push


def test_more_energy_wanted_or_an_earlier_departure_is_pushed():
    made = plan(NEED, BOUNDS, GRID, 0)
    for need in (replace(NEED, energy_kwh=7.0), replace(NEED, departure=HOUR)):
        assert judge(plan(need, BOUNDS, GRID, 0), made.schedule, need, BOUNDS, GRID, 0).push


def now_of(schedules) -> float:
    return sum(one.since(0).steps[0][1] for one in schedules)


def test_a_group_changes_as_a_whole_and_what_falls_goes_first():
    members = [Member(replace(NEED, energy_kwh=kwh), BOUNDS) for kwh in (3.0, 5.0, 3.6)]
    group = Group(members, Site(Scale.amperes(), ((0, 32.0),)), GRID, 0)
    first = plan_group(group)
    pushes = judge_group(first, [None] * 3, group, [None] * 3)
    assert pushes.verdict.push
    assert sorted(pushes.falling) == [0, 1, 2]
    in_force = [p.schedule for p in first.plans]
    assert not judge_group(first, in_force, group, [0] * 3).verdict.push
    fallen = Group(members, Site(Scale.amperes(), ((0, 18.0),)), GRID, 0)
    second = plan_group(fallen)
    pushes = judge_group(second, in_force, fallen, [0] * 3)
    assert pushes.verdict.push
    most = max(now_of(in_force), now_of([one.schedule for one in second.plans]))
    for i in (*pushes.falling, *pushes.rising):
        in_force[i] = second.plans[i].schedule
        assert now_of(in_force) <= most
    assert is_within(fallen, in_force)


def test_a_newcomer_that_makes_a_site_too_full_is_no_small_gain():
    members = [Member(NEED, BOUNDS)]
    site = Site(Scale.amperes(), ((0, 20.0),))
    alone = plan_group(Group(members, site, GRID, HOUR)).plans[0].schedule
    both = Group([*members, Member(NEED, BOUNDS)], site, GRID, HOUR)
    pushes = judge_group(plan_group(both), [alone, None], both, [HOUR, None])
    assert pushes.verdict.push
    assert [*pushes.falling, *pushes.rising]
