"""Prices step by step: what is published, what is expected, days of 23 and 25 hours."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from fsp.needs import Bounds, Need
from fsp.planner import Grid, plan
from fsp.prices import DayAhead, Series
from fsp.rates import Scale

ZONE = ZoneInfo("Europe/Amsterdam")
HOUR = 3600


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)]
)
def test_the_prices_of_a_day_are_known_from_13_of_the_day_before(day, hours):
    start = at("2026-01-01")
    values = np.random.default_rng(1).uniform(0.05, 0.3, 366 * 24)
    ahead = DayAhead(Series(start, HOUR, values), ZONE)
    before = datetime.fromisoformat(day) - timedelta(days=1)
    begins, ends = at(day), at((before + timedelta(days=2)).isoformat())
    assert (ends - begins) // HOUR == hours
    noon = at(before.replace(hour=12, minute=59).isoformat())
    assert ahead.known_until(noon) == begins
    assert ahead.known_until(noon + 60) == ends
    assert ahead.published_after(noon) == noon + 60
    seen = ahead.seen_at(noon + 60, ends).values.tolist()
    assert seen == values[(noon + 60 - start) // HOUR :][: len(seen)].tolist()
    # Before, the same hour of the last known day is expected, and no later price is looked at.
    expected = ahead.seen_at(noon, ends)
    first = (begins - start) // HOUR
    assert expected.at([begins])[0] == values[first - 24]
    changed = values.copy()
    changed[first:] = 9.0
    other = DayAhead(Series(start, HOUR, changed), ZONE).seen_at(noon, ends)
    assert other.values.tolist() == expected.values.tolist()


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_need_over_a_change_of_the_clock_has_the_hours_that_there_are(day, hours):
    begins = at(day)
    end = begins + hours * HOUR
    grid = Grid(Series(begins, HOUR, np.arange(hours, 0.0, -1.0)))
    bounds = Bounds(Scale.watts(), 10_000.0)
    made = plan(Need(energy_kwh=10 * hours, departure=end), bounds, grid, begins)
    assert made.unmet is None
    assert plan(Need(energy_kwh=10 * hours + 1, departure=end), bounds, grid, begins).unmet
    cheapest = plan(Need(energy_kwh=10, departure=end), bounds, grid, begins)
    assert cheapest.schedule.steps[1] == (end - HOUR, 10_000.0)


def test_means_hold_for_steps_of_any_length():
    series = Series(0, HOUR, np.array([1.0, 3.0]))
    assert series.means([-HOUR, 0, HOUR // 2, 2 * HOUR, 3 * HOUR]).tolist() == pytest.approx(
        [1.0, 1.0, 7 / 3, 3.0]
    )
