"""Many sessions behind one connection: the limit holds, what is short is shared, peaks cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.group import Group, Member, Peak, Site
from fsp.group_plan import is_within, plan_group
from fsp.needs import Bounds, Need
from fsp.planner import Binding, Grid, plan
from fsp.prices import Series
from fsp.rates import Scale
from fsp.schedule import MOST_PERIODS
from fsp.shares import Claim, shares
from hub.ocpi.datatypes import ProfileType

NOW = 1_774_000_000
HOUR = 3600


def grid(*cents: float) -> Grid:
    return Grid(Series(NOW - NOW % HOUR, HOUR, np.array(cents) / 100))


def member(kwh: float, hours: float, *, phases: int | None = 1, maximum: float = 16.0, **need):
    wanted = Need(energy_kwh=kwh, departure=NOW + round(hours * HOUR), **need)
    return Member(wanted, Bounds(Scale.amperes(phases), maximum, 6.0))


def site(limit: float, scale: Scale | None = None, **more) -> Site:
    return Site(scale or Scale.amperes(), ((NOW, limit),), **more)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    one = st.builds(
        member,
        st.floats(0.5, 20.0),
        st.floats(0.2, 9.0),
        phases=st.sampled_from([None, 1, 3]),
        maximum=st.sampled_from([6.0, 16.0, 32.0]),
        profile_type=st.sampled_from(list(ProfileType)),
    )
    members = draw(st.lists(one, min_size=1, max_size=6))
    cents = draw(st.lists(st.integers(-5, 40), min_size=10, max_size=10))
    in_watts = draw(st.booleans())
    limit = draw(st.integers(0, 80)) * (690 if in_watts else 1)
    limits = ((NOW, float(limit)), (NOW + draw(st.integers(1, 9)) * 1800, 0.75 * limit))
    peak = draw(st.sampled_from([None, Peak(5.0), Peak(5.0, HOUR, 4.0, 0.5)]))
    return Group(
        members,
        Site(Scale.watts() if in_watts else Scale.amperes(), limits, peak),
        grid(*cents),
        NOW,
    )


@settings(max_examples=60)
@given(groups())
def test_the_limit_holds_at_every_second_with_the_rates_that_are_told(group):
    made = plan_group(group)
    schedules = [one.schedule for one in made.plans]
    assert is_within(group, schedules)
    for one, planned in zip(group.members, made.plans, strict=True):
        rates = [rate for _, rate in planned.schedule.steps]
        assert len(rates) <= MOST_PERIODS
        assert all(rate == 0 or one.bounds.minimum <= rate <= one.bounds.maximum for rate in rates)
        # What the profile lets through before the departure is what the plan says.
        course = planned.schedule.course(
            one.bounds.scale, group.grid.prices, NOW, min(one.need.departure, group.edges[-1])
        )
        assert course.kwh[-1] >= planned.energy_kwh - 1e-6
        assert (planned.unmet is None) == (one.need.energy_kwh - planned.energy_kwh < 0.001)
    assert made.unmet_kwh >= made.bound.unmet_kwh.sum() - 0.01


@settings(max_examples=20)
@given(groups())
def test_the_same_group_gives_the_same_plan(group):
    again = Group(group.members, group.site, group.grid, group.now)
    assert plan_group(group).plans == plan_group(again).plans


@pytest.mark.parametrize("profile_type", [ProfileType.CHEAP, ProfileType.GREEN, ProfileType.FAST])
def test_without_a_limit_each_of_a_group_costs_what_it_costs_alone(profile_type):
    energy = grid(30, 10, 20, 15, 12, 40, 9, 9, 11, 30)
    members = [member(kwh, 8, profile_type=profile_type) for kwh in (3.0, 9.0, 17.5)]
    made = plan_group(Group(members, Site(Scale.amperes()), energy, NOW))
    alone = [plan(one.need, one.bounds, energy, NOW) for one in members]
    assert [p.cost for p in made.plans] == pytest.approx([p.cost for p in alone], rel=0.02)


def test_what_is_short_is_shared_so_that_the_worst_served_gets_most():
    members = [member(kwh, 4) for kwh in (5.0, 10.0, 14.0)]
    made = plan_group(Group(members, site(16.0), grid(*[10] * 6), NOW))
    served = [p.energy_kwh / m.asked_kwh for p, m in zip(made.plans, members, strict=True)]
    assert min(served) > max(served) - 0.06
    assert {p.unmet.binding for p in made.plans} == {Binding.SITE}
    # Who has had much already waits for those who have not.
    had = Member(members[0].need, members[0].bounds, delivered_kwh=50.0)
    made = plan_group(Group([had, *members[1:]], site(16.0), grid(*[10] * 6), NOW))
    assert made.plans[0].energy_kwh < 0.5


def test_a_peak_is_as_high_as_it_is_worth():
    energy = grid(10, 10, 30, 30, 30, 30)
    members = [member(3.5, 5) for _ in range(4)]
    free = plan_group(Group(members, Site(Scale.amperes()), energy, NOW))
    costly = plan_group(Group(members, Site(Scale.amperes(), (), Peak(50.0)), energy, NOW))
    assert costly.peak_kw < 3.2 < sum(3.68 for _ in members) * 0.9
    assert costly.unmet_kwh == free.unmet_kwh == 0
    # What was reached already costs nothing more.
    reached = Site(Scale.amperes(), (), Peak(50.0, reached_kw=14.72))
    again = plan_group(Group(members, reached, energy, NOW))
    assert sum(p.cost for p in again.plans) == pytest.approx(sum(p.cost for p in free.plans), 0.01)


def test_the_tails_after_departure_are_shares_that_fit_with_what_others_still_do():
    members = [member(3.0, 1), member(6.0, 2), member(12.0, 5), member(12.0, 5)]
    group = Group(members, site(28.0), grid(*[10] * 8), NOW)
    made = plan_group(group)
    assert [p.schedule.steps[-1][1] for p in made.plans] == [7.0] * 4
    assert is_within(group, [p.schedule for p in made.plans])
    assert made.unmet_kwh == pytest.approx(float(made.bound.unmet_kwh.sum()), abs=4 * 0.345)


def test_shares_are_equal_where_they_can_be_and_the_least_served_pause_where_minima_do_not_fit():
    same = [Claim(16, 6, 1)] * 3
    assert shares(30, same) == [10, 10, 10]
    assert shares(100, same) == [16, 16, 16]
    assert shares(30, [Claim(7, 6, 1), *same[:2]]) == [7, 11.5, 11.5]
    assert shares(14, [Claim(16, 6, 1, served) for served in (0.1, 0.9, 0.5)]) == [0, 7, 7]
    assert shares(5, same) == [0, 0, 0]


def test_a_session_of_which_nothing_is_known_gets_its_share_from_now_on():
    unknown = Member(Need(), Bounds(Scale.amperes(1), 16.0, 6.0))
    group = Group([unknown, member(5.0, 4)], site(20.0), grid(*[10] * 6), NOW)
    made = plan_group(group)
    assert made.plans[0].schedule.steps == ((NOW, 10.0),)
    assert is_within(group, [p.schedule for p in made.plans])
