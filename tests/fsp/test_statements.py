"""Drivers' statements: true ones are planned for as they are, wrong ones with a reserve."""

import numpy as np
import pytest

from fsp.needs import Bounds, Need
from fsp.planner import Grid
from fsp.prices import Series
from fsp.rates import Scale
from fsp.statements import Statements

HOUR = 3600
BOUNDS = Bounds(Scale.watts(), 10_000.0)
# Dear at first, cheap at the end.
GRID = Grid(Series(0, HOUR, np.array([0.3, 0.3, 0.15, 0.15, 0.14, 0.1, 0.08, 0.05])))
NEED = Need(energy_kwh=20.0, departure=8 * HOUR)


def told(statements: Statements, user: str) -> Need:
    return statements.reliable_part(user, NEED, BOUNDS, GRID, 0)


def learnt(user: str, kwh: float, hours: float, *, is_full: bool = True) -> Statements:
    statements = Statements()
    for _ in range(20):
        statements.learn(user, NEED, 0, kwh, round(hours * HOUR), is_full=is_full)
    return statements


def test_a_driver_who_tells_the_truth_is_taken_at_his_word():
    assert told(Statements(), "NEW") == NEED
    assert told(learnt("TRUE", 20.0, 8), "TRUE") == NEED
    # One who leaves later than he said, or whose charger was too slow, has told the truth too.
    assert told(learnt("LATE", 20.0, 12), "LATE") == NEED
    assert told(learnt("SLOW", 12.0, 8, is_full=False), "SLOW") == NEED


def test_one_who_takes_half_of_what_he_asks_for_is_not_given_dearer_hours_for_the_rest():
    part = told(learnt("HALF", 10.0, 8), "HALF")
    assert part.energy_kwh == pytest.approx(10.0)
    assert part.departure == NEED.departure


def test_one_who_leaves_early_has_a_reserve_when_he_does():
    part = told(learnt("EARLY", 20.0, 4), "EARLY")
    until = part.first.until if part.first else part.departure
    assert until == 4 * HOUR


def test_the_past_of_others_counts_for_one_who_is_new_but_less_than_ones_own():
    statements = learnt("HALF", 10.0, 8)
    for _ in range(20):
        statements.learn("TRUE", NEED, 0, 20.0, 8 * HOUR, is_full=True)
    # One more is the trust that everybody has.
    assert [weight for weight, _ in statements.outcomes("NEW")[1:]] == [1.0] * 40
    own = sum(w for w, o in statements.outcomes("HALF") if o.energy == 0.5)
    assert own > sum(w for w, o in statements.outcomes("HALF") if o.energy == 1.0)


def test_what_was_delivered_already_is_not_wanted_again():
    statements = learnt("HALF", 10.0, 8)
    left = Need(energy_kwh=12.0, departure=8 * HOUR)
    part = statements.reliable_part("HALF", left, BOUNDS, GRID, 3 * HOUR, 0, delivered_kwh=8.0)
    assert part.energy_kwh == pytest.approx(2.0)
