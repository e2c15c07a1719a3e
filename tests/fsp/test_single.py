"""One session: exact, in time, within all limits, in the unit of the CPO."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging_profiles.objects import ChargingRateUnit
from fsp.needs import Battery, Bounds, First, Need
from fsp.planner import Binding, Grid, plan, steps_until, uncontrolled
from fsp.prices import Series
from fsp.pushes import judge
from fsp.rates import Scale
from fsp.schedule import MOST_PERIODS, Schedule
from hub.ocpi.datatypes import ProfileType
from tests.fsp.drivers import HOUR, NOW, bounds, grids, least_cost, needs, scales

AMPERES = Bounds(Scale.amperes(1), 16.0, 6.0)


def grid(*cents: float, start: int = 0) -> Grid:
    return Grid(Series(start, HOUR, np.array(cents) / 100))


def met_kwh(made, need, limits, energy) -> tuple[float, float]:
    """What the pushed profile lets through, read back as a CPO reads it."""
    pushed = Schedule.of_profile(made.schedule.profile(limits.scale, limits.minimum))
    course = pushed.course(limits.scale, energy.prices, NOW, need.departure)
    return course.taken(need.energy_kwh, need.departure)


@settings(max_examples=80)
@given(needs, bounds(), grids)
def test_no_schedule_of_rates_of_0_or_at_least_the_minimum_costs_less(need, limits, energy):
    steps = steps_until(need.departure, need, limits, energy, NOW)
    made = plan(need, limits, energy, NOW)
    kwh, cost = met_kwh(made, need, limits, energy)
    linear = least_cost(steps, kwh, limits, 0.0)
    mixed = least_cost(steps, kwh, limits, limits.minimum)
    # Seconds are whole: what one of them costs may be the difference.
    assert cost == pytest.approx(linear, abs=3e-3)
    assert mixed is None or cost <= mixed + 3e-3


@settings(max_examples=80)
@given(needs, bounds(), grids)
def test_a_need_is_met_where_it_can_be_and_no_limit_is_passed(need, limits, energy):
    made = plan(need, limits, energy, NOW)
    kwh, cost = met_kwh(made, need, limits, energy)
    at_once = uncontrolled(need, limits, energy, NOW)
    could = met_kwh(at_once, need, limits, energy)
    assert kwh == pytest.approx(could[0], abs=1e-6)
    assert cost <= could[1] + 1e-9
    assert (made.unmet is None) == (need.energy_kwh - kwh < 0.001)
    seconds = [NOW, *(s for s, _ in (*made.schedule.steps, *limits.ceilings) if s > NOW)]
    for rate, most in zip(
        made.schedule.rates(np.array(sorted(seconds))), limits.rates(sorted(seconds)), strict=True
    ):
        assert rate <= most
        assert rate == 0 or rate >= limits.minimum
        assert round(rate, 1) == rate


@settings(max_examples=60)
@given(needs, bounds(), grids, st.sampled_from([0.5, 0.75]), st.integers(60, 2 * HOUR))
def test_looser_limits_are_never_worse(need, limits, energy, tighter, earlier):
    one = plan(need, limits, energy, NOW)
    tight = Bounds(limits.scale, limits.maximum * tighter, limits.minimum, limits.ceilings)
    other = plan(need, tight, energy, NOW)
    assert other.energy_kwh <= one.energy_kwh + 1e-9
    if other.energy_kwh == pytest.approx(one.energy_kwh, abs=1e-9):
        assert other.cost >= one.cost - 1e-4  # seconds are rounded up
    sooner = Need(energy_kwh=need.energy_kwh, departure=max(NOW + 1, need.departure - earlier))
    assert plan(sooner, limits, energy, NOW).energy_kwh <= one.energy_kwh + 1e-9


@given(scales, scales, st.integers(0, 500_000).map(lambda tenths: tenths / 10))
def test_a_limit_that_is_carried_to_another_unit_and_back_is_never_higher(one, other, limit):
    there = one.carried_to(other, limit)
    assert there * other.most_kw <= limit * one.least_kw + 1e-6
    assert other.carried_to(one, there) <= limit


@given(needs, bounds(), grids)
def test_the_same_input_gives_the_same_plan(need, limits, energy):
    assert plan(need, limits, energy, NOW) == plan(need, limits, energy, NOW)


def test_an_ampere_of_unknown_phases_is_counted_from_both_sides():
    unknown, one, three = Scale.amperes(), Scale.amperes(1), Scale.amperes(3)
    assert (unknown.least_kw, unknown.most_kw) == (one.least_kw, three.most_kw)
    assert unknown.load_on(Scale.watts()) == pytest.approx(690)
    assert unknown.load_on(Scale.amperes()) == 1
    assert Scale.watts().load_on(Scale.amperes()) == pytest.approx(1 / 230)
    assert unknown.unit is ChargingRateUnit.A


def test_of_equal_prices_the_earliest_hours_are_taken_or_the_latest():
    need = Need(energy_kwh=3.68, departure=4 * HOUR)
    same = grid(20, 20, 20, 20)
    assert plan(need, AMPERES, same, 0).schedule.steps == ((0, 16.0), (HOUR, 0.0), (4 * HOUR, 16.0))
    late = plan(need, AMPERES, same, 0, latest=True)
    assert late.schedule.steps == ((0, 0.0), (3 * HOUR, 16.0))


def test_a_step_that_runs_in_part_runs_beside_its_neighbour():
    need = Need(energy_kwh=1.5 * 3.68, departure=4 * HOUR)
    assert plan(need, AMPERES, grid(30, 20, 10, 40), 0).schedule.steps == (
        (0, 0.0),
        (HOUR + 1800, 16.0),
        (3 * HOUR, 0.0),
        (4 * HOUR, 16.0),
    )


def test_green_follows_the_intensity_and_then_the_price():
    intensity = Series(0, HOUR, np.array([0.5, 0.1, 0.1, 0.3]))
    energy = Grid(Series(0, HOUR, np.array([0.1, 0.3, 0.2, 0.1])), intensity)
    need = Need(ProfileType.GREEN, 3.68, 4 * HOUR)
    assert plan(need, AMPERES, energy, 0).schedule.steps[:2] == ((0, 0.0), (2 * HOUR, 16.0))


@pytest.mark.parametrize(
    "need",
    [
        Need(ProfileType.FAST, 3.68, 4 * HOUR),
        Need(ProfileType.CHEAP, None, 4 * HOUR),
        Need(ProfileType.CHEAP, 3.68, None),
        Need(ProfileType.CHEAP, 3.68, -1),
    ],
)
def test_what_cannot_wait_is_charged_at_once(need):
    assert plan(need, AMPERES, grid(50, 10, 10, 10), 0).schedule.steps == ((0, 16.0),)


def test_a_goal_that_is_not_reached_has_a_reason_and_a_time_at_which_it_would_be():
    need = Need(energy_kwh=2 * 3.68, departure=HOUR)
    unmet = plan(need, AMPERES, grid(10), 0).unmet
    assert (round(unmet.kwh, 2), unmet.binding) == (3.68, Binding.POWER)
    assert unmet.earliest_departure == pytest.approx(2 * HOUR, abs=2)
    site = Bounds(AMPERES.scale, 16.0, 6.0, ((0, 10.0),))
    assert plan(need, site, grid(10), 0).unmet.binding is Binding.SITE
    low = Bounds(AMPERES.scale, 5.0, 6.0)
    nothing = plan(need, low, grid(10), 0).unmet
    assert (nothing.binding, nothing.earliest_departure) == (Binding.MINIMUM, None)


def test_a_part_of_the_need_can_be_wanted_sooner():
    need = Need(energy_kwh=2 * 3.68, departure=4 * HOUR, first=First(3.68, 2 * HOUR))
    made = plan(need, AMPERES, grid(40, 30, 10, 20), 0)
    assert made.schedule.steps == ((0, 0.0), (HOUR, 16.0), (3 * HOUR, 0.0), (4 * HOUR, 16.0))


@pytest.mark.parametrize("hours", [1, 7, 26, 47])
def test_a_profile_has_at_most_20_periods_and_meets_the_need_all_the_same(hours):
    energy = grid(*(10 + 20 * (hour % 2) for hour in range(48)))
    need = Need(energy_kwh=hours * 3.68, departure=48 * HOUR)
    made = plan(need, AMPERES, energy, 0)
    assert len(made.schedule.steps) <= MOST_PERIODS
    assert made.unmet is None
    assert made.cost <= uncontrolled(need, AMPERES, energy, 0).cost + 1e-9


def test_discharge_needs_consent_and_a_car_that_is_able_to():
    energy = grid(10, 60, 10, 10)
    able = Bounds(AMPERES.scale, 16.0, 6.0, battery=Battery(16.0, 10.0, 20.0))
    for limits, allowed in ((able, False), (AMPERES, True)):
        need = Need(energy_kwh=3.68, departure=4 * HOUR, discharge_allowed=allowed)
        assert min(rate for _, rate in plan(need, limits, energy, 0).schedule.steps) == 0
    need = Need(energy_kwh=3.68, departure=4 * HOUR, discharge_allowed=True)
    made = plan(need, able, energy, 0)
    assert made.schedule.steps[1] == (HOUR, -16.0)
    # 3.68 kWh out are 4.33 out of the battery, beside the need.
    assert made.cost == pytest.approx(-3.68 * 0.6 + (3.68 / 0.85 + 3.68) * 0.1, abs=0.01)
    course = made.schedule.course(able.scale, energy.prices, 0, 4 * HOUR)
    assert course.content(0.85) == pytest.approx(3.68, abs=0.01)
    assert made.unmet is None
    short = plan(replace(need, energy_kwh=20.0), able, energy, 0)
    assert short.unmet.kwh == pytest.approx(20 - 4 * 3.68, abs=0.01)
    # It is worth a push, and none when it is in force.
    assert judge(made, None, need, able, energy, 0).push
    assert not judge(made, made.schedule, need, able, energy, 1800).push
