"""What limits a session, inferred from what was told (flex/knowledge/bounds.py)."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from flex.knowledge import bounds, facts
from flex.knowledge.bounds import LimitBound
from hub.ocpi.party import PartyId
from locations.models import Location
from tests.cases import case
from tests.flex.knowledge.told import Told, at, period, profile
from tests.hub.console import rows
from tests.minimal import as_json, location

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Told:
    return Told()


def connector(**changes: Any) -> None:
    """Of the session's EVSE."""
    one = {"id": "1", "power_type": "AC_3_PHASE", "max_voltage": 400, "max_amperage": 32}
    evse = {"uid": "32571", "status": "CHARGING", "connectors": [one | changes]}
    document = as_json(location(PartyId("NL", "CPO"), "LOC1", evses=[evse]))
    Location.keep({"owner": "NL-CPO", "object_id": "LOC1"}, "", document, timezone.now())


def known(told: Told, minutes: float) -> dict[tuple[str, str, str], LimitBound]:
    """By quantity, kind and unit, as they are so many minutes after the start."""
    found = bounds.derive(facts.of(told.session, at(minutes))).bounds
    assert len({(one.quantity, one.kind, one.unit) for one in found}) == len(found)
    return {(one.quantity, one.kind.value, one.unit): one for one in found}


def anomalies(told: Told, minutes: float) -> list[str]:
    return [one.key for one in bounds.derive(facts.of(told.session, at(minutes))).anomalies]


def test_the_connector_says_its_phases_and_amperes_stay_amperes(told):
    connector()
    found = known(told, 1)
    assert {key: one.value for key, one in found.items()} == {
        ("evse_max_charging_current", "upper", "A"): 32
    }
    one = found["evse_max_charging_current", "upper", "A"]
    assert (one.phases, one.source, one.message) == (3, "connector", "Location LOC1")
    connector(power_type="DC", max_electric_power=50000)
    found = known(told, 1)
    assert found["evse_max_charging_power", "upper", "W"].value == 50000
    assert found["evse_max_charging_power", "upper", "W"].phases is None


def test_what_was_active_before_any_profile_is_what_ev_evse_and_site_allow(told):
    told.gets(5, profile("A", (0, 16), min_charging_rate=6))
    told.puts(10, profile("A", (0, 8)))
    told.gets(11, profile("A", (0, 8), (30, 16), duration=7200, min_charging_rate=6))
    found = known(told, 12)
    limit = found["charging_limit", "upper", "A"]
    assert (limit.value, limit.message, limit.valid_until) == (16, "at 5", None)
    now = found["active_limit", "upper", "A"]
    assert (now.value, now.message, now.valid_until) == (8, "at 11", at(41))
    minimum = found["ev_min_charging_power", "lower", "A"]
    assert (minimum.value, minimum.observed_at) == (6, at(11))
    assert {one.phases for one in found.values()} == {None}
    assert known(told, 45)["active_limit", "upper", "A"].value == 16
    assert ("active_limit", "upper", "A") not in known(told, 200)
    assert anomalies(told, 12) == []


def test_less_active_than_set_is_another_limit_for_an_hour(told):
    told.puts(10, profile("W", (0, 11000)))
    told.tells(12, profile("W", (0, 7400)))
    one = known(told, 13)["other_limit", "upper", "W"]
    assert (one.value, one.valid_until) == (7400, at(72))
    assert ("other_limit", "upper", "W") not in known(told, 73)
    told.puts(20, profile("W", (0, 5000)))
    told.tells(21, profile("W", (0, 5000)))
    assert ("other_limit", "upper", "W") not in known(told, 22)


def test_more_active_than_set_is_a_contradiction_and_no_bound(told):
    command = told.puts(10, profile("W", (0, 4000)))
    told.tells(12, profile("W", (0, 11000)))
    assert anomalies(told, 13) == [f"active-above-set:{command.pk}"]
    assert ("other_limit", "upper", "W") not in known(told, 13)


def test_what_has_flowed_is_the_least_that_the_ev_can_take_or_give(told):
    told.meters(
        60,
        [
            period(0, POWER=3.7, MAX_POWER=7.4, MIN_POWER=2.1, MAX_CURRENT=30, STATE_OF_CHARGE=40),
            period(20, ENERGY=3.0),
            period(40, MIN_POWER=-5, POWER=-4, STATE_OF_CHARGE=55),
        ],
    )
    found = known(told, 61)
    for key, value in {
        ("ev_max_charging_power", "lower", "W"): 9000,
        ("ev_max_charging_current", "lower", "A_SUM"): 30,
        ("ev_min_charging_power", "upper", "W"): 2100,
        ("ev_max_discharging_power", "lower", "W"): 5000,
        ("ev_present_soc", "estimate", "percent"): 55,
    }.items():
        with case(*key):
            assert found[key].value == value
            assert found[key].message == "Session S-00001"
    assert ("ev_present_soc", "estimate", "percent") not in known(told, 130)


@pytest.mark.parametrize(
    ("unit", "limit", "periods", "value"),
    [
        ("W", 11000, [{"POWER": 7.2}, {"POWER": 7.3}], 7300),
        ("A", 16, [{"POWER": 5, "CURRENT": 10}, {"POWER": 5, "CURRENT": 10.2}], Decimal("10.2")),
        ("W", 11000, [{"POWER": 7.2}, {"POWER": 3}], None),
        ("W", 11000, [{"POWER": 10.8}, {"POWER": 10.9}], None),
        ("W", 11000, [{"POWER": 0}, {"POWER": 0}], None),
        # Of amperes per phase nobody knows what they are in kW.
        ("A", 16, [{"POWER": 3.7}, {"POWER": 3.7}], None),
    ],
)
def test_steady_power_well_below_the_active_limit_is_the_evs_own_for_an_hour(
    told, unit, limit, periods, value
):
    told.gets(1, profile(unit, (0, limit)))
    told.meters(32, [period(2 + 15 * index, **one) for index, one in enumerate(periods)])
    found = known(told, 33).get(("ev_max_charging_power", "estimate", unit))
    assert (found and found.value) == value
    if found:
        assert found.valid_until == at(92)
        assert ("ev_max_charging_power", "estimate", unit) not in known(told, 93)


def test_what_the_driver_asks_for_is_told_with_its_message(told):
    rows.preferences(told.session, 5)
    one = known(told, 1)["ev_target_energy_request", "estimate", "kWh"]
    assert (one.value, one.source) == (Decimal("22.5"), "preferences")


def test_what_cannot_be_true_is_told_once_each_and_nothing_is_made_of_it(told):
    connector(max_electric_power=11000)
    told.gets(1, profile("W", (0, 11000)))
    told.gets(2, profile("W", (0, 43000)))
    told.meters(
        40,
        [
            period(3, POWER=11, MAX_POWER=22),
            period(10, MAX_POWER=3, MIN_POWER=4),
            period(20, POWER=50),
        ],
    )
    assert anomalies(told, 41) == [
        "active-above-connector",
        "power-above-connector",
        "least-above-most:101000",
        "power-above-active:at 2",
    ]


def test_bounds_are_the_same_however_often_they_are_derived(told):
    told.gets(5, profile("A", (0, 16)))
    found = facts.of(told.session, at(6))
    assert bounds.derive(found) == bounds.derive(replace(found, now=at(6) + timedelta(seconds=0)))
