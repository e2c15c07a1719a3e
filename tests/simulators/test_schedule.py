"""The cheapest hours before the departure, as a profile that a CPO can take."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from charging_profiles.objects import ChargingRateUnit
from simulators.driving_data import ENERGY_KWH, EUR_PER_MWH, REAL_DAY, STAY_HOURS, Day
from simulators.schedule import Limits, charge_now, cheapest_hours, planned_kwh

EVENING = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
THREE_PHASES = Limits(ChargingRateUnit.A, rate=16, minimum=6, phases=3)


def told(
    energy_kwh: float, hours: float = 14, limits: Limits = THREE_PHASES
) -> list[tuple[str, str]]:
    profile = cheapest_hours(EVENING, EVENING + timedelta(hours=hours), energy_kwh, limits)
    return [
        (f"{EVENING + timedelta(seconds=p.start_period):%H:%M}", str(p.limit))
        for p in profile.charging_profile_period
    ]


def test_the_cheapest_hours_are_filled_first() -> None:
    # 32 EUR/MWh is not reached before 08:00; until 07:30 the cheapest are 07:00, 01:00 and 02:00.
    assert told(11.04 * 1.5) == [
        ("17:30", "0"), ("01:00", "16"), ("02:00", "0"), ("07:00", "16"),
    ]  # fmt: skip


def test_after_the_departure_the_full_rate_holds() -> None:
    assert told(1, hours=2)[-1] == ("19:30", "16")
    assert told(0) == [("17:30", "0"), ("07:30", "16")]


def test_no_rate_lies_between_zero_and_the_minimum() -> None:
    for tenths in range(0, 400, 3):
        rates = {float(rate) for _, rate in told(tenths / 10)}
        assert all(rate == 0 or 6 <= rate <= 16 for rate in rates)


@pytest.mark.parametrize("energy", [0.5, 3.3, 9.9, 25.0, 60.0])
@pytest.mark.parametrize("hours", [0.3, 4, 14, 40])
def test_the_energy_is_there_at_the_departure(energy: float, hours: float) -> None:
    departure = EVENING + timedelta(hours=hours)
    profile = cheapest_hours(EVENING, departure, energy, THREE_PHASES)
    possible = 11.04 * hours
    assert planned_kwh(profile, departure, THREE_PHASES) >= min(energy, possible) - 0.01
    assert len(profile.charging_profile_period) <= 20


def test_no_more_periods_than_a_charge_point_takes() -> None:
    limits = Limits(ChargingRateUnit.A, rate=16, minimum=6)
    departure = EVENING + timedelta(days=14)
    for energy in range(100, 600, 50):
        # The two cheapest hours of each of fourteen days would be 28 periods.
        profile = cheapest_hours(EVENING, departure, energy, limits)
        assert len(profile.charging_profile_period) <= 20
        assert planned_kwh(profile, departure, limits) >= energy - 0.01


def test_watts_need_no_phases() -> None:
    limits = Limits(ChargingRateUnit.W, rate=7400, minimum=1380)
    departure = EVENING + timedelta(hours=14)
    profile = cheapest_hours(EVENING, departure, 7.4, limits)
    assert profile.charging_rate_unit == "W"
    assert planned_kwh(profile, departure, limits) == pytest.approx(7.4, abs=0.05)


def test_one_phase_is_assumed_until_the_meter_tells_more() -> None:
    one_phase = Limits(ChargingRateUnit.A, rate=16, minimum=6)
    assert len([rate for _, rate in told(11.04, limits=one_phase) if rate == "16"]) > 1
    assert planned_kwh(
        cheapest_hours(EVENING, EVENING + timedelta(hours=14), 11.04, one_phase),
        EVENING + timedelta(hours=14),
        THREE_PHASES,
    ) == pytest.approx(33.12, abs=0.5)


def test_a_departure_that_has_passed_means_now() -> None:
    profile = cheapest_hours(EVENING, EVENING - timedelta(hours=1), 10, THREE_PHASES)
    (period,) = profile.charging_profile_period
    assert (period.start_period, str(period.limit)) == (0, "16")


def test_charge_now_is_the_full_rate() -> None:
    (period,) = charge_now(EVENING, THREE_PHASES).charging_profile_period
    assert (period.start_period, str(period.limit)) == (0, "16")


def test_the_figures_have_a_row_for_every_hour() -> None:
    assert len(STAY_HOURS) == len(ENERGY_KWH) == len(EUR_PER_MWH) == 24
    assert REAL_DAY.eur_per_kwh(EVENING) == pytest.approx(0.186)
    chosen = REAL_DAY.visit(EVENING, random.Random(1))
    assert chosen.energy_kwh in ENERGY_KWH[17]
    assert chosen.stay.total_seconds() / 3600 in STAY_HOURS[17]


def test_a_demo_may_begin_at_another_hour_of_the_day() -> None:
    noon = datetime(2026, 3, 1, 12, 20, tzinfo=UTC)
    day = Day.at(17, noon)
    assert day.eur_per_kwh(noon) == REAL_DAY.eur_per_kwh(EVENING)
    assert day.eur_per_mwh_by_hour()[12] == EUR_PER_MWH[17]
    assert day.visit(noon, random.Random(1)) == REAL_DAY.visit(EVENING, random.Random(1))
    assert Day.at(3, noon).eur_per_kwh(noon) == EUR_PER_MWH[3] / 1000
