"""A CDR that bills a profile's pause as PARKING_TIME is flagged (mod_cdrs: CdrDimensionType)."""

from typing import Any

import pytest

from cdrs.checking import check_new
from cdrs.models import Cdr, CdrCheck
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from tests.cases import case
from tests.cdrs.test_recomputed import TARIFF
from tests.flex.knowledge.told import Told, profile, text
from tests.minimal import as_json, cdr

pytestmark = pytest.mark.django_db
CPO, EMSP = PartyId("NL", "CPO"), PartyId("DE", "MSP")


@pytest.fixture
def told() -> Told:
    """A profile that allows nothing from 10 to 70, by which time the car charges again."""
    told = Told()
    told.gets(5, profile("A", (0, 16), min_charging_rate=6))
    told.puts(10, profile("A", (0, 0), (60, 16)))
    return told


def bill(cdr_id: str, *periods: tuple[float, dict[str, float]], **changes: Any) -> CdrCheck:
    """What is said of a CDR with these periods, which its eMSP has taken."""
    listed = [
        {
            "start_date_time": text(start),
            "tariff_id": "T1",
            "dimensions": [{"type": name, "volume": each} for name, each in volumes.items()],
        }
        for start, volumes in periods
    ]
    whole = {
        "start_date_time": text(0),
        "end_date_time": text(130),
        "session_id": "S-00001",
        "charging_periods": listed,
        "tariffs": [TARIFF],
        "currency": "EUR",
        **changes,
    }
    document = as_json(cdr(CPO, EMSP, cdr_id, **whole))
    Cdr.taken(CPO, EMSP, document, Response(201, {}, b'{"status_code":1000}'))
    check_new()
    return CdrCheck.objects.get(cdr__object_id=cdr_id)


CHARGES, PAUSE = {"ENERGY": 2.0, "TIME": 0.1667}, {"ENERGY": 0.0, "PARKING_TIME": 1.0}
AGAIN = (70, {"ENERGY": 10.0, "TIME": 1.0})
# Without parking: 0.5 and 12 kWh.
COSTS = {"total_cost": {"excl_vat": 5.5}, "total_energy": 12.0}


def test_a_pause_of_the_profile_is_not_parking(told):
    found = bill(
        "C1", (0, CHARGES), (10, PAUSE), AGAIN, **COSTS | {"total_cost": {"excl_vat": 5.5}}
    )
    assert found.result == "DIFFERENT"
    element = ["elements[1] of Tariff T1"]
    assert found.differences[:2] == [
        {
            "field": "total_parking_time",
            "billed": "1.0",
            "computed": "0.0000",
            "elements": element,
        },
        {
            "field": "total_parking_cost",
            "billed": "2.00",
            "computed": "0.0000",
            "elements": element,
        },
    ]


def test_without_a_tariff_the_time_alone_is_flagged(told):
    found = bill("C1", (0, CHARGES), (10, PAUSE), AGAIN, tariffs=None)
    assert (found.result, [each["field"] for each in found.differences]) == (
        "DIFFERENT",
        ["total_parking_time"],
    )
    assert found.reason


def test_what_may_be_the_cars_own_pause_is_no_alarm(told):
    parked = {"total_cost": {"excl_vat": 5.5 + 2.0}}
    for name, periods in {
        "it never charges again": [(0, CHARGES), (10, PAUSE)],
        "the profile allows it to charge": [(0, CHARGES), (70, PAUSE), (131, {"ENERGY": 0.0})],
        "it is billed as neither": [(0, CHARGES), (10, {"ENERGY": 0.0}), AGAIN],
        "most of it is before the profile": [(0, PAUSE), (20, CHARGES), AGAIN],
    }.items():
        with case(name):
            found = bill(f"C{len(name)}", *periods, **parked)
            fields = [each["field"] for each in found.differences]
            assert "total_parking_time" not in fields


def test_a_limit_below_the_evs_minimum_is_a_pause_too(told):
    told.puts(10.5, profile("A", (0, 5), (60, 16)))
    found = bill("C1", (0, CHARGES), (11, PAUSE), (71, AGAIN[1]), **COSTS)
    assert "total_parking_time" in [each["field"] for each in found.differences]


def test_of_a_session_that_the_hub_does_not_know_nothing_is_said(told):
    found = bill("C1", (0, CHARGES), (10, PAUSE), AGAIN, session_id="ELSEWHERE")
    assert "total_parking_time" not in [each["field"] for each in found.differences]
