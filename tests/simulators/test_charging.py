"""The active profile is the least of EVSE, EV, site share and set profile, over time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from charging_profiles.objects import ChargingProfile, ChargingProfilePeriod, ChargingRateUnit
from simulators.charging import Ev, Evse, Meter, Plug, cost_at_once, one_decimal, site_shares
from simulators.driving_data import REAL_DAY

ARRIVAL = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


def profile(*periods: tuple[int, str], unit: str = "A", **more: Any) -> ChargingProfile:
    return ChargingProfile(
        charging_rate_unit=ChargingRateUnit(unit),
        charging_profile_period=[
            ChargingProfilePeriod(start, Decimal(limit)) for start, limit in periods
        ],
        **more,
    )


def plug(*profiles: ChargingProfile, ev: Ev | None = None, evse: Evse | None = None) -> Plug:
    return Plug(evse or Evse("E1"), ev or Ev(), ARRIVAL, set_profiles=list(profiles))


def steps(of: Plug, begin: datetime = ARRIVAL, duration: int = 7200) -> list[tuple[int, str]]:
    active = of.active_profile(begin, duration)
    return [
        (period.start_period, str(period.limit))
        for period in active.charging_profile.charging_profile_period
    ]


def test_without_a_set_profile_the_weakest_of_evse_and_ev_counts() -> None:
    assert steps(plug()) == [(0, "16")]
    assert steps(plug(ev=Ev(max_amps=63))) == [(0, "32")]


def test_what_a_car_takes_less_by_itself_is_in_its_meter_and_in_no_active_profile() -> None:
    cold = plug(ev=Ev(takes_amps=10))
    meter = Meter(ARRIVAL)
    meter.advance(cold, ARRIVAL + timedelta(minutes=30))
    assert {period.watts for period in meter.periods} == {10 * 3 * 230}
    assert steps(cold) == [(0, "16")]


def test_the_share_of_the_site_counts() -> None:
    crowded = plug()
    crowded.share_amps = 10.5
    assert steps(crowded) == [(0, "10.5")]
    crowded.share_amps = 5
    assert steps(crowded) == [(0, "0")]


def test_the_active_profile_follows_the_set_one_up_to_the_local_limit() -> None:
    pushed = profile((0, "0"), (1800, "8"), (3600, "32"), start_date_time=ARRIVAL)
    assert steps(plug(pushed)) == [(0, "0"), (1800, "8"), (3600, "16")]


def test_the_active_profile_counts_from_the_moment_of_the_question() -> None:
    pushed = profile((0, "0"), (1800, "8"), (3600, "16"), start_date_time=ARRIVAL)
    later = ARRIVAL + timedelta(minutes=40)
    assert steps(plug(pushed), later, 1800) == [(0, "8"), (1200, "16")]
    assert steps(plug(pushed), later, 600) == [(0, "8")]


def test_a_relative_profile_starts_with_the_charging() -> None:
    assert steps(plug(profile((0, "8"), (600, "10")))) == [(0, "8"), (600, "10")]


def test_a_profile_ends_with_its_duration() -> None:
    pushed = profile((0, "8"), start_date_time=ARRIVAL, duration=900)
    assert steps(plug(pushed)) == [(0, "8"), (900, "16")]


def test_a_profile_in_the_future_does_not_count_yet() -> None:
    pushed = profile((0, "8"), start_date_time=ARRIVAL + timedelta(minutes=10))
    assert steps(plug(pushed)) == [(0, "16"), (600, "8")]


def test_less_than_the_minimum_of_the_car_is_a_pause() -> None:
    assert steps(plug(profile((0, "5.9"), (600, "6")))) == [(0, "0"), (600, "6")]


def test_watts_and_amperes_are_converted_with_the_phases_in_use() -> None:
    one_phase = Ev(max_amps=16, phases=1)
    assert steps(plug(profile((0, "2300"), unit="W"), ev=one_phase)) == [(0, "10")]
    assert steps(plug(profile((0, "6900"), unit="W"))) == [(0, "10")]
    watts = Evse("E2", unit=ChargingRateUnit.W)
    assert steps(plug(profile((0, "10")), evse=watts)) == [(0, "6900")]


def test_the_minimum_rate_of_the_car_is_told() -> None:
    active = plug().active_profile(ARRIVAL, 60).charging_profile
    assert (active.min_charging_rate, active.duration) == (Decimal(6), 60)


def test_limits_are_cut_to_one_decimal_and_never_rounded_up() -> None:
    assert [str(one_decimal(value)) for value in (7.39, 8.1, 21 / 2)] == ["7.3", "8.1", "10.5"]


def test_the_meter_follows_the_profile_and_prices_by_the_hour() -> None:
    car = plug(profile((0, "0"), (1800, "16"), (5400, "8"), start_date_time=ARRIVAL))
    meter = Meter(ARRIVAL)
    meter.advance(car, ARRIVAL + timedelta(hours=2))
    # 11.04 kW from 18:30 to 19:30, then half of it.
    assert meter.kwh == pytest.approx(11.04 + 2.76)
    assert [period.begin.strftime("%H:%M") for period in meter.periods] == [
        "18:00", "18:30", "19:00", "19:30",
    ]  # fmt: skip
    at_18, at_19 = (REAL_DAY.eur_per_kwh(ARRIVAL + timedelta(hours=hours)) for hours in (0, 1))
    assert meter.cost == pytest.approx(5.52 * at_18 + (5.52 + 2.76) * at_19)


def test_reading_the_meter_often_changes_nothing() -> None:
    car = plug(profile((0, "0"), (1800, "16"), start_date_time=ARRIVAL))
    often, once = Meter(ARRIVAL), Meter(ARRIVAL)
    for seconds in range(0, 7201, 37):
        often.advance(car, ARRIVAL + timedelta(seconds=seconds))
    for meter in (often, once):
        meter.advance(car, ARRIVAL + timedelta(hours=2))
    assert often.kwh == pytest.approx(once.kwh)
    assert len(often.periods) == len(once.periods)


def test_a_cut_starts_a_new_period() -> None:
    meter = Meter(ARRIVAL)
    meter.advance(plug(), ARRIVAL + timedelta(minutes=10))
    meter.cut()
    meter.advance(plug(), ARRIVAL + timedelta(minutes=20))
    assert [round(period.hours * 60) for period in meter.periods] == [10, 10]


def test_a_full_battery_takes_nothing_more() -> None:
    meter = Meter(ARRIVAL)
    meter.advance(plug(ev=Ev(battery_kwh=40, charged_kwh=35)), ARRIVAL + timedelta(hours=5))
    assert meter.kwh == pytest.approx(5)
    assert meter.periods[-1].watts == 0


def test_a_site_is_shared_equally_among_those_it_is_enough_for() -> None:
    cars = [Ev(), Ev(), Ev()]
    assert site_shares(63, []) == []
    assert site_shares(63, cars) == [21, 21, 21]
    assert site_shares(15, cars) == [7.5, 7.5, 0]
    assert site_shares(5, cars) == [0, 0, 0]


def test_charging_at_once_is_priced_from_the_arrival_on() -> None:
    expected = 11.04 * REAL_DAY.eur_per_kwh(ARRIVAL) + 0.96 * REAL_DAY.eur_per_kwh(
        ARRIVAL + timedelta(hours=1)
    )
    assert cost_at_once(plug(), 12, REAL_DAY) == pytest.approx(expected)
