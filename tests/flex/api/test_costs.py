"""What a session has cost, and what its steering has saved (mod_tariffs)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from flex.api.costs import saved, so_far
from tariffs.pricing import Period, Unclear
from tests.cases import case
from tests.flex.api.test_prices import element, tariff

# 0.40 until 20:00, and then 0.20; by the clock of UTC, to keep it simple.
NIGHT = tariff(element("0.20", '{"start_time":"20:00"}'), element("0.40"))
BEGAN = datetime(2026, 3, 1, 18, tzinfo=UTC)


def period(minutes: int, lasts: int, kwh: str) -> Period:
    start = BEGAN + timedelta(minutes=minutes)
    end = start + timedelta(minutes=lasts)
    return Period(start, end, "T1", Decimal(kwh), Decimal(lasts) / 60)


def test_a_session_that_was_moved_into_the_night_has_saved():
    waited = [period(0, 120, "0"), period(120, 60, "11")]
    found = saved(NIGHT, waited, UTC, Decimal(11_000))
    assert (found.controlled, found.uncontrolled) == (Decimal("2.2000"), Decimal("4.4000"))
    assert so_far(NIGHT, waited, UTC) == Decimal("2.2000")


def test_an_uncontrolled_one_has_saved_nothing():
    found = saved(NIGHT, [period(0, 60, "11")], UTC, Decimal(11_000))
    assert found.controlled == found.uncontrolled == Decimal("4.4000")


def test_energy_is_spread_over_its_period_and_over_quarters_of_an_hour():
    # A half before 20:00, a half after; uncontrolled all of it before.
    found = saved(NIGHT, [period(90, 60, "10")], UTC, Decimal(20_000))
    assert found.controlled == Decimal("3.0000")
    # From 19:30, when it began, at 20 kW: all before 20:00.
    assert found.uncontrolled == Decimal("4.0000")


def test_what_cannot_be_said_is_not_guessed():
    with case("no energy told"), pytest.raises(Unclear, match="no charging period"):
        saved(NIGHT, [period(0, 60, "0")], UTC, Decimal(11_000))
    with case("no time zone"), pytest.raises(Unclear, match="time zone"):
        saved(NIGHT, [period(0, 60, "1")], None, Decimal(11_000))
    quick = tariff(element("0.60", '{"min_power":22}'), element("0.40"))
    with case("a price by power"), pytest.raises(Unclear, match="more than the time of day"):
        saved(quick, [period(0, 60, "1")], UTC, Decimal(11_000))
    with case("longer than a week"), pytest.raises(Unclear, match="too long"):
        saved(NIGHT, [period(0, 60, "99999")], UTC, Decimal(1_000))
