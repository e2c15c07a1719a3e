"""The data coverage of a session (SCALE D2.3, 8.4.1.1 and 11.1)."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from flex.knowledge import coverage
from flex.knowledge.coverage import Covered, Known, Wish
from flex.knowledge.data_objects import DATA_OBJECTS
from hub.ocpi.party import PartyId
from locations.models import Location
from sessions.models import Session
from tariffs.models import Tariff
from tests.cases import case
from tests.flex.knowledge.told import Told, period, profile
from tests.hub.console import rows
from tests.minimal import as_json, location

pytestmark = pytest.mark.django_db
CPO = PartyId("NL", "CPO")
# The deliverable's two lists, read beside the text of OCPI 2.2.1: in which of them an object is,
# whether a field carries it, and how many fields say something of it.
LISTED = {
    "retail_tariff": ("8.4.1.1", "carried", 4),
    "grid_connection_capacity": ("8.4.1.1", "gap", 2),
    "active_grid_power": ("8.4.1.1", "gap", 1),
    "location": ("8.4.1.1", "carried", 2),
    "contracted_power": ("8.4.1.1 11.1", "gap", 1),
    "capacity_tariff": ("8.4.1.1 11.1", "gap", 1),
    "site_ean": ("8.4.1.1 11.1", "partial", 2),
    "bsp_id": ("8.4.1.1", "partial", 3),
    "evse_id": ("8.4.1.1 11.1", "carried", 3),
    "evse_max_charging_power": ("8.4.1.1 11.1", "carried", 4),
    "evse_active_power": ("8.4.1.1 11.1", "carried", 9),
    "session_id": ("8.4.1.1", "carried", 3),
    "composite_active_charging_profile": ("8.4.1.1 11.1", "carried", 4),
    "charged_energy": ("8.4.1.1 11.1", "carried", 5),
    "discharged_energy": ("8.4.1.1 11.1", "carried", 2),
    "ev_target_energy_request": ("8.4.1.1 11.1", "carried", 1),
    "user_id": ("8.4.1.1", "carried", 6),
    "departure_time": ("8.4.1.1 11.1", "carried", 1),
    "discharging_allowed": ("8.4.1.1 11.1", "carried", 1),
    "capacity_period": ("11.1", "gap", 0),
    "local_frequency": ("8.4.1.2", "gap", 0),
    "local_voltage": ("8.4.1.2", "gap", 0),
    "feed_in_tariff": ("8.4.1.2", "gap", 0),
    "highest_measured_peak": ("8.4.1.2", "gap", 0),
    "brp_id": ("8.4.1.2", "gap", 0),
    "ev_max_charging_power": ("11.1", "derived", 3),
    "ev_min_charging_power": ("11.1", "partial", 2),
    "ev_max_discharging_power": ("11.1", "gap", 1),
    "ev_min_discharging_power": ("11.1", "gap", 1),
    "round_trip_efficiency": ("11.1", "gap", 0),
    "ev_present_soc": ("11.1", "partial", 1),
    "ev_min_energy_request": ("11.1", "gap", 0),
    "ev_max_energy_request": ("11.1", "gap", 1),
    "discharging_capable": ("11.1", "gap", 1),
    "v2x_warranty_constraints": ("11.1", "gap", 0),
    "v2x_state_of_health": ("11.1", "gap", 0),
    "minimum_soc": ("11.1", "gap", 0),
    "target_soc": ("11.1", "partial", 1),
    "maximum_soc": ("11.1", "gap", 0),
    "priority_charging": ("11.1", "carried", 2),
    "minimum_green_level": ("11.1", "partial", 3),
    "tariff_override": ("11.1", "partial", 2),
}


def test_the_table_has_each_data_object_of_both_lists():
    found = {
        one.id: (" ".join(one.sections), one.status.value, len(one.sources)) for one in DATA_OBJECTS
    }
    assert found == LISTED
    assert len(found) == len(DATA_OBJECTS)
    for one in DATA_OBJECTS:
        with case(one.id):
            assert (one.status == "carried") == any(
                source.strength == "direct" for source in one.sources
            ) or one.status in {"partial", "gap"}
            for source in one.sources:
                assert all(
                    re.fullmatch(r"[a-z_]+(\[(\w+=\w+)?\])?", step)
                    for step in source.path.split(".")
                )


@pytest.fixture
def told() -> Told:
    return Told()


def covered(session: Session) -> dict[str, Covered]:
    return {one.object.id: one for one in coverage.of(session)}


def test_of_a_new_session_little_is_told_and_what_ocpi_has_no_field_for_is_named(told):
    found = covered(told.session)
    states = {one.known for one in found.values()}
    assert states == {Known.TOLD, Known.BOUNDED, Known.NOT_TOLD, Known.NOT_CARRIED}
    assert found["departure_time"].known is Known.NOT_TOLD
    for name in ("capacity_period", "round_trip_efficiency", "minimum_soc", "v2x_state_of_health"):
        assert found[name].known is Known.NOT_CARRIED
    session_id = found["session_id"]
    assert (session_id.value, session_id.path) == ("S-00001", "session.id")
    assert session_id.told_at == told.session.received_at


def test_each_object_has_value_path_source_message_and_age(told):
    place = location(
        CPO,
        "LOC1",
        evses=[
            {
                "uid": "32571",
                "evse_id": "NL*CPO*E1",
                "status": "CHARGING",
                "connectors": [
                    {
                        "id": "1",
                        "power_type": "AC_3_PHASE",
                        "max_voltage": 230,
                        "max_amperage": 32,
                        "max_electric_power": 22000,
                        "tariff_ids": ["T1"],
                    }
                ],
            }
        ],
    )
    Location.keep({"owner": "NL-CPO", "object_id": "LOC1"}, "", as_json(place), timezone.now())
    price = {"type": "ENERGY", "price": 0.25, "step_size": 1}
    priced = {"id": "T1", "currency": "EUR", "elements": [{"price_components": [price]}]}
    Tariff.keep({"owner": "NL-CPO", "object_id": "T1"}, "", as_json(priced), timezone.now())
    told.meters(30, [period(0, POWER=11), period(15, POWER=7.4, STATE_OF_CHARGE=61)])
    told.gets(31, profile("A", (0, 16), (10, 8), min_charging_rate=6))
    rows.preferences(told.session, 5)
    found = covered(told.session)
    for name, value, unit, path, message in (
        ("retail_tariff", "0.25", "currency/kWh", "tariff.elements[]", "Tariff T1"),
        ("evse_id", "32571", "", "evse.uid", "Location LOC1"),
        ("evse_max_charging_power", "22000", "W", "connector.max_el", "Location LOC1"),
        ("evse_active_power", "7.4", "kW", "session.charging", "Session S-00001"),
        ("ev_present_soc", "61", "percent", "session.charging", "Session S-00001"),
        ("composite_active_charging_profile", "16, 8", "A per phase", "active profile.", "at 31"),
        ("ev_min_charging_power", "6", "A per phase", "active profile.", "at 31"),
        ("priority_charging", "CHEAP", "FAST", "preferences.profile_type", "prefs-"),
        ("charged_energy", "7.7", "kWh", "session.kwh", "Session S-00001"),
    ):
        with case(name):
            one = found[name]
            assert (one.known, one.value) == (Known.TOLD, value)
            assert one.unit.startswith(unit)
            assert one.path.startswith(path)
            assert one.message.startswith(message)
            assert one.told_at is not None
    limit = found["grid_connection_capacity"]
    assert (limit.known, limit.value, limit.unit) == (Known.BOUNDED, "22000", "W")
    now = timezone.now()
    age = found["retail_tariff"].age(now)
    assert age is not None
    assert 0 <= age < timedelta(hours=1).total_seconds()
    assert found["minimum_soc"].age(now) is None


def test_a_driver_is_hinted_at_and_never_named(told):
    value = covered(told.session)["user_id"].value
    assert value
    assert rows.TOKEN_UID not in value
    assert rows.CONTRACT_ID not in "".join(one.value for one in covered(told.session).values())


def test_what_the_app_tells_beside_ocpi_is_named_as_that(told):
    before = list(coverage._wishes)
    now = timezone.now()
    coverage.wishes_from(lambda _: {"min_soc": Wish("40", now, "percent")})
    try:
        found = covered(told.session)["minimum_soc"]
    finally:
        coverage._wishes[:] = before
    assert (found.known, found.value, found.unit, found.told_at) == (
        Known.BY_APP,
        "40",
        "percent",
        now,
    )
    assert found.known.value == "told by the app, not carried by OCPI 2.2.1"


def test_odd_documents_cost_their_values_alone(told):
    told.meters(30, [], kwh="much", charging_periods_=3, location_id=None)
    Session.objects.filter(pk=told.session.pk).update(
        document=bytes(told.session.document).replace(
            b'"charging_periods":[]', b'"charging_periods":7'
        )
    )
    told.session.refresh_from_db()
    assert covered(told.session)["evse_active_power"].known is Known.NOT_TOLD
