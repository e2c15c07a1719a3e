"""A CDR's costs beside those of its Tariffs."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cdrs.objects import CDR
from cdrs.recomputed import differences, usage
from charging_profiles.objects import ChargingProfile, ChargingProfilePeriod, ChargingRateUnit
from hub.ocpi.datatypes import decode
from hub.ocpi.party import PartyId
from party.messages import to_json
from simulators import documents
from simulators.charging import Ev, Evse, Meter, Plug
from simulators.clock import SessionClock
from simulators.cpo import DEMO_TOKEN
from tariffs.pricing import Unclear
from tests.minimal import as_json, cdr

BERLIN = ZoneInfo("Europe/Berlin")
TARIFF = {
    "country_code": "NL",
    "party_id": "CPO",
    "id": "T1",
    "currency": "EUR",
    "elements": [
        {"price_components": [{"type": "FLAT", "price": 0.5, "vat": 20.0, "step_size": 1}]},
        {
            "price_components": [
                {"type": "ENERGY", "price": 0.25, "vat": 10.0, "step_size": 1},
                {"type": "PARKING_TIME", "price": 2.0, "vat": 20.0, "step_size": 900},
            ]
        },
    ],
    "last_updated": "2026-01-01T00:00:00Z",
}
# 20 kWh in two hours, and 40 minutes more that are 45: 0.5 + 5.0 + 1.5.
PERIODS = [
    ("10:00", {"ENERGY": 20.0, "TIME": 2.0}),
    ("12:00", {"PARKING_TIME": 0.6667}),
]
RIGHT = {
    "total_cost": {"excl_vat": 7.0, "incl_vat": 7.9},
    "total_fixed_cost": {"excl_vat": 0.5, "incl_vat": 0.6},
    "total_energy_cost": {"excl_vat": 5.0, "incl_vat": 5.5},
    "total_parking_cost": {"excl_vat": 1.5, "incl_vat": 1.8},
}


def billed(periods=PERIODS, tariff_id: str | None = "t1", **changes: Any) -> CDR:
    """A CDR of such a session; its amounts are right where nothing else is said."""
    listed = []
    for at, used in periods:
        dimensions = [{"type": kind, "volume": volume} for kind, volume in used.items()]
        period = {"start_date_time": f"2026-01-01T{at}:00Z", "dimensions": dimensions}
        listed.append(period if tariff_id is None else {**period, "tariff_id": tariff_id})
    fields = {"charging_periods": listed, "currency": "EUR", "tariffs": [TARIFF]}
    times = {"session_id": "S1", "end_date_time": "2026-01-01T12:40:00Z"}
    document = cdr(PartyId("NL", "CPO"), PartyId("DE", "MSP"), "C1", **fields, **times)
    return decode(as_json({**document, **RIGHT, **changes}), CDR)


def found(document: CDR) -> dict[str, tuple[float, float, list[str]]]:
    return {
        each.field: (float(each.billed), round(float(each.computed), 2), list(each.elements))
        for each in differences(document, [], BERLIN)
    }


def test_what_is_billed_as_its_tariffs_say_is_in_order():
    assert found(billed()) == {}


def test_rounded_amounts_are_in_order():
    """20.005 kWh are 5.00125; and without VAT given, VAT is not compared."""
    periods = [("10:00", {"ENERGY": 20.005, "TIME": 2.0}), PERIODS[1]]
    assert found(billed(periods, total_energy_cost={"excl_vat": 5.0})) == {}


@pytest.mark.parametrize(
    ("field", "amount", "computed", "element"),
    [
        ("total_fixed_cost", 1.0, 0.5, 0),
        ("total_energy_cost", 5.2, 5.0, 1),
        ("total_parking_cost", 1.33, 1.5, 1),
    ],
)
def test_a_difference_names_its_element(field, amount, computed, element):
    changed = billed(**{field: {"excl_vat": amount}})
    assert found(changed) == {field: (amount, computed, [f"elements[{element}] of Tariff T1"])}


def test_a_difference_in_vat_alone_is_one():
    changed = billed(total_cost={"excl_vat": 7.0, "incl_vat": 8.47})
    assert list(found(changed)) == ["total_cost"]


def test_a_reservation_that_nobody_used():
    elements = [
        {
            "price_components": [{"type": "TIME", "price": 6.0, "step_size": 600}],
            "restrictions": {"reservation": "RESERVATION_EXPIRES"},
        }
    ]
    unused = {
        **cdr(PartyId("NL", "CPO"), PartyId("DE", "MSP"), "C2")["cdr_location"],
        "evse_uid": "#NA",
        "evse_id": "#NA",
        "connector_id": "#NA",
    }
    changed = billed(
        [("10:00", {"RESERVATION_TIME": 1.5})],
        end_date_time="2026-01-01T11:30:00Z",
        cdr_location=unused,
        tariffs=[{**TARIFF, "elements": elements}],
        total_cost={"excl_vat": 6.0},
        total_reservation_cost={"excl_vat": 9.0},
        total_fixed_cost={"excl_vat": 0},
        total_energy_cost={"excl_vat": 0},
        total_parking_cost={"excl_vat": 0},
    )
    assert found(changed) == {"total_cost": (6.0, 9.0, ["elements[0] of Tariff T1"])}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"credit": True, "credit_reference_id": "C0"}, "Credit CDR"),
        ({"currency": "CHF"}, "another currency"),
        ({"tariff_id": None}, "none of its charging_periods"),
        ({"tariff_id": "T2"}, "Tariff T2 is not known"),
        ({"end_date_time": "2026-01-01T11:00:00Z"}, "begins after its end"),
        (
            {"periods": [("10:00", {"ENERGY": 1.0})], "end_date_time": "2026-01-01T09:00:00Z"},
            "begins after its end",
        ),
    ],
)
def test_what_nobody_can_say_is_unclear(changes, why):
    with pytest.raises(Unclear, match=why):
        found(billed(**changes))


@pytest.mark.parametrize("battery", [30.0, 90.0])
def test_the_simulated_cpo_bills_what_its_tariff_says_and_no_pause_as_parking(battery):
    """A night of 10 A, two hours of nothing, and 9.7 A; a small battery is full at the end."""
    began = datetime(2026, 3, 1, 18, 12, 30, tzinfo=UTC)
    pushed = ChargingProfile(
        charging_rate_unit=ChargingRateUnit.A,
        start_date_time=began,
        charging_profile_period=[
            ChargingProfilePeriod(at, Decimal(amps))
            for at, amps in ((0, "10"), (1800, "0"), (9000, "9.7"))
        ],
    )
    plug = Plug(Evse("E1"), Ev(battery_kwh=battery), began, set_profiles=[pushed])
    meter = Meter(began)
    ends = began + timedelta(hours=9)
    meter.advance(plug, ends)
    owner = PartyId("NL", "CPO")
    ended = documents.SimulatedSession(
        "S1", owner, documents.Site(), plug, meter, SessionClock(began), DEMO_TOKEN, ends,
        ended_at=ends,
    )  # fmt: skip
    bill = decode(to_json(documents.cdr(ended)), CDR)
    assert differences(bill, [], UTC) == []
    assert differences(bill, [], BERLIN) != []
    parked = sum(period.parking for period in usage(bill, None).periods)
    assert 5 < parked < 6 if battery == 30.0 else parked == 0
    assert bill.total_energy > 9
