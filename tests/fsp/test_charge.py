"""Wishes of the driver's app: states of charge as energy, a price of its own (SCALE D2.3, 11.1)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from charging_profiles.objects import ChargingRateUnit
from fsp.charge import Charge, wished
from fsp.flex_api import LimitPeriod, SiteLimits, SiteTold, Strangers, Wishes
from fsp.needs import Bounds, First, Need
from fsp.planner import Grid, plan
from fsp.prices import Series
from fsp.rates import Scale
from fsp.steered import Steered, site_of
from hub.ocpi.datatypes import ProfileType
from tests.cases import case

NOW = 1_772_359_200
HOURS = 8
DEPARTURE = NOW + HOURS * 3600
NEED = Need(ProfileType.CHEAP, 20.0, DEPARTURE)


def told(kwh: float, percent: float, **more: Any) -> dict[str, Any]:
    period = {"dimensions": [{"type": "STATE_OF_CHARGE", "volume": percent}]}
    return {"kwh": kwh, "charging_periods": [period], **more}


def with_odd(session: dict[str, Any]) -> dict[str, Any]:
    """With what is no object after each that is one."""
    [period] = session["charging_periods"]
    period["dimensions"] = [None, *period["dimensions"], 7]
    return {**session, "charging_periods": [period, "x"]}


def charge(*sessions: dict[str, Any]) -> Charge:
    found = Charge()
    for one in sessions:
        found.take(one)
    return found


LEARNED = (told(0, 20), told(6, 30))


def test_a_capacity_is_learned_and_never_assumed():
    for name, sessions, capacity in (
        ("nothing told", [{"kwh": 3}], None),
        ("one state of charge", [told(0, 20)], None),
        ("too little between two", [told(0, 20), told(2, 23)], None),
        ("between two, at the meter", LEARNED, 60),
        ("not out of what flowed back", [told(5, 50), told(2, 40)], None),
        ("nobody's car", [told(0, 20), told(6000, 30)], None),
        (
            "by the EV's own word",
            [told(0, 20, ev_constraints={"max_energy_request": 40, "max_soc": 100})],
            50,
        ),
        (
            "what is malformed is not told",
            [
                told(
                    0,
                    20,
                    ev_constraints={"max_energy_request": "x", "max_soc": [], "present_soc": 0},
                )
            ],
            None,
        ),
        *(
            (f"{odd} where objects belong", [*LEARNED, {"kwh": 7, "charging_periods": odd}], 60)
            for odd in ("x", 5, {"a": 1}, ["x", None], [{"dimensions": {"a": 1}}])
        ),
        ("odd ones beside it", [told(0, 20), with_odd(told(6, 30))], 60),
    ):
        with case(name):
            assert charge(*sessions).capacity_kwh == capacity


def test_states_of_charge_become_energy_or_a_reason():
    known = charge(*LEARNED)
    for name, wishes, expected in (
        ("no wish", Wishes(), NEED),
        ("the target says how much is left", Wishes(target_soc=80), 30),
        ("the most is never passed", Wishes(max_soc=50), 12),
        ("both", Wishes(target_soc=80, max_soc=70), 24),
        ("it is reached already", Wishes(target_soc=25), 0),
    ):
        with case(name):
            need, unobeyed = wished(NEED, wishes, known, 10, NOW)
            assert (need.energy_kwh, unobeyed) == (
                getattr(expected, "energy_kwh", expected),
                (),
            )
            assert need.first is None
    need, _ = wished(NEED, Wishes(min_soc=40), known, 3, NOW)
    assert need.first == First(6, NOW + 7200)
    for sessions, why in (((), "its state of charge"), ((told(0, 20),), "its battery's capacity")):
        need, unobeyed = wished(NEED, Wishes(target_soc=80, min_soc=40), charge(*sessions), 3, NOW)
        assert need == NEED
        assert unobeyed == (
            f"target_soc 80 %: {why} is not known",
            f"min_soc 40 %: {why} is not known",
        )


@pytest.fixture
def steered() -> Steered:
    """With a car of 60 kWh at 30 %, which charges with 3 kW; the last hour is the cheapest."""
    one = Steered(session_id="S-1", asked=NEED, bounds=Bounds(Scale.watts(), 3000.0))
    for session in LEARNED:
        one.told({"status": "ACTIVE", **session})
    one.kwh_when_asked = one.kwh
    return one


GRID = Grid(Series(NOW, 3600, np.linspace(0.4, 0.1, HOURS)))


def test_the_least_state_of_charge_comes_first_and_the_rest_when_it_is_cheap(steered):
    steered.wishes = Wishes(min_soc=35, target_soc=45)
    need, _ = steered.left(NOW)
    steps = plan(need, steered.bounds, GRID, NOW).schedule.steps
    assert steps[0] == (NOW, 3000.0)
    assert (NOW + 3600, 0.0) in steps
    assert (need.energy_kwh, need.first) == (9.0, First(3.0, NOW + 3600))
    assert (DEPARTURE - 7200, 3000.0) in steps


def test_a_price_of_the_app_counts_for_all_hours(steered):
    steered.wishes = Wishes(tariff_override=0.25)
    grid = steered.grid(GRID)
    assert set(grid.prices.values) == {0.25}
    assert plan(steered.left(NOW)[0], steered.bounds, grid, NOW).schedule.steps[0][1] == 3000.0
    assert len(steered.unobeyed_together(NEED)) == 1


def test_what_others_take_of_a_site_is_left_free_in_steps():
    start = datetime(2026, 3, 1, 10, tzinfo=UTC)
    periods = [LimitPeriod(start, 20_000), LimitPeriod(start + timedelta(hours=1), None)]
    limits = [SiteLimits(ChargingRateUnit.W, periods)]
    for taken, left in ((0, 20_000), (7_100, 12_500), (7_400, 12_500), (30_000, 0)):
        with case(taken):
            others = [Strangers(ChargingRateUnit.W, taken)]
            site = site_of(SiteTold("NL-CPO", "Yard", limits, strangers=others))
            assert site is not None
            assert [rate for _, rate in site.limits] == [left, float("inf")]
