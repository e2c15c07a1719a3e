"""What a session costs: the worked examples of mod_tariffs and mod_cdrs (branch 2.2.1-bugfixes)."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.ocpi.datatypes import decode
from tariffs.objects import Tariff
from tariffs.pricing import Period, Range, Unclear, Usage, price

BERLIN = ZoneInfo("Europe/Berlin")
FLAT_050 = {"type": "FLAT", "price": 0.5, "vat": 20.0, "step_size": 1}
ENERGY_025 = {"type": "ENERGY", "price": 0.25, "vat": 10.0, "step_size": 1}


def tariff(*elements: dict[str, Any], **fields: Any) -> Tariff:
    """A Tariff of these elements, each with its components and restrictions."""
    listed = [
        {"price_components": element["of"], "restrictions": element.get("when", {})}
        for element in elements
    ]
    owner = {"country_code": "DE", "party_id": "ALL", "id": "12", "currency": "EUR"}
    document = {**owner, "elements": listed, "last_updated": "2018-12-17T11:16:55Z", **fields}
    return decode(json.dumps(document).encode(), Tariff)


def of(type_: str, amount: float, step: int = 1, vat: float | None = None) -> dict[str, Any]:
    """A PriceComponent."""
    component = {"type": type_, "price": amount, "step_size": step}
    return component if vat is None else {**component, "vat": vat}


def session(began: str, *parts: dict[str, Any], **more: Any) -> Usage:
    """One after the other, each with its `minutes` and what was used; on a Monday in Berlin."""
    periods: list[Period] = []
    now = datetime.fromisoformat(began).replace(tzinfo=BERLIN)
    for part in parts:
        used = dict(part)
        minutes, kind = used.pop("minutes", 60), used.pop("of", None)
        until = now + timedelta(minutes=minutes)
        if kind is not None:
            used[kind] = Decimal(minutes) / 60
        periods.append(Period(now, until, "12", **used))
        now = until
    return Usage(periods, BERLIN, **more)


def costs(priced: Tariff, usage: Usage) -> tuple[float, float]:
    """Without and with VAT, to a tenth of a cent."""
    total = price([priced], usage).total
    excl, incl = (amount.quantize(Decimal("0.001"), ROUND_HALF_UP) for amount in total)
    return float(excl), float(incl)


def charged(kwh: float) -> Usage:
    return session("2026-11-02T12:00", {"energy": Decimal(str(kwh))})


START_AND_ENERGY = tariff({"of": [FLAT_050, ENERGY_025]})
LEAST = tariff({"of": [ENERGY_025]}, min_price={"excl_vat": 0.5, "incl_vat": 0.55})
MOST = tariff({"of": [FLAT_050, ENERGY_025]}, max_price={"excl_vat": 10.0, "incl_vat": 11.0})


@pytest.mark.parametrize(
    ("priced", "kwh", "expected"),
    [
        (tariff({"of": [ENERGY_025]}), 20, (5.0, 5.5)),
        (START_AND_ENERGY, 20, (5.5, 6.1)),
        (LEAST, 20, (5.0, 5.5)),
        (LEAST, 1.9, (0.5, 0.55)),
        (MOST, 50, (10.0, 11.0)),
        (MOST, 30, (8.0, 8.85)),
        (tariff({"of": [FLAT_050, of("ENERGY", 0.25, 100, 10.0)]}), 20.45, (5.625, 6.238)),
        (tariff({"of": [of("FLAT", 0.0)]}), 20, (0.0, 0.0)),
        (tariff({"of": [of("ENERGY", 0.25)]}), 0.1152, (0.029, 0.029)),
        (tariff({"of": [of("ENERGY", 0.25, 25)]}), 0.1152, (0.031, 0.031)),
        (tariff({"of": [of("ENERGY", 0.25, 500)]}), 0.1152, (0.125, 0.125)),
    ],
)
def test_energy_by_the_step_with_fixed_least_and_greatest_prices(priced, kwh, expected):
    assert costs(priced, charged(kwh)) == expected


HOURS_AND_PARKING = tariff({"of": [of("TIME", 3.0, 60, 10.0), of("PARKING_TIME", 5.0, 300, 20.0)]})


def test_time_and_parking():
    two = tariff({"of": [of("TIME", 2.0, 60, 10.0)]})
    charging = {"minutes": 150, "of": "charging"}
    assert costs(two, session("2026-11-02T12:00", charging)) == (5.0, 5.5)
    parked = session("2026-11-02T12:00", charging, {"minutes": 42, "of": "parking"})
    assert costs(two, parked) == (5.0, 5.5)
    assert costs(HOURS_AND_PARKING, parked) == (11.25, 12.75)
    with_start = tariff({"of": [FLAT_050, ENERGY_025, of("PARKING_TIME", 2.0, 900, 20.0)]})
    forty = session("2026-11-02T12:00", {"energy": Decimal(20)}, {"minutes": 40, "of": "parking"})
    assert costs(with_start, forty) == (7.0, 7.9)


WEEK = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
COMPLEX = tariff(
    {"of": [of("FLAT", 2.5, 1, 15.0)]},
    {"of": [of("TIME", 1.0, 900, 20.0)], "when": {"max_current": 32.0}},
    {"of": [of("TIME", 2.0, 600, 20.0)], "when": {"min_current": 32.0, "day_of_week": WEEK}},
    {
        "of": [of("TIME", 1.25, 600, 20.0)],
        "when": {"min_current": 32.0, "day_of_week": ["SATURDAY", "SUNDAY"]},
    },
    {
        "of": [of("PARKING_TIME", 5.0, 300, 10.0)],
        "when": {"start_time": "09:00", "end_time": "18:00", "day_of_week": WEEK},
    },
    {
        "of": [of("PARKING_TIME", 6.0, 300, 10.0)],
        "when": {"start_time": "10:00", "end_time": "17:00", "day_of_week": ["SATURDAY"]},
    },
)


def test_the_complex_one():
    monday = session(
        "2026-11-02T09:30",
        {"minutes": 165, "of": "charging", "current": Range(None, Decimal(16))},
        {"minutes": 42, "of": "parking"},
    )
    assert costs(COMPLEX, monday) == (9.0, 10.3)
    saturday = session(
        "2026-11-07T13:30",
        {"minutes": 114, "of": "charging", "current": Range(Decimal(43), None)},
        {"minutes": 71, "of": "parking"},
    )
    # The text says 12.28 and 13.861: it multiplies 114 minutes by 1.20 an hour there, not by 1.25.
    assert costs(COMPLEX, saturday) == (12.375, 13.975)


STEPS = tariff(
    {
        "of": [of("TIME", 1.2, 1800), of("PARKING_TIME", 1.0, 900)],
        "when": {"start_time": "00:00", "end_time": "17:00"},
    },
    {
        "of": [of("TIME", 2.4, 900), of("PARKING_TIME", 1.0, 900)],
        "when": {"start_time": "17:00", "end_time": "20:00"},
    },
    {"of": [of("TIME", 2.4, 900)], "when": {"start_time": "20:00", "end_time": "00:00"}},
)


@pytest.mark.parametrize(
    ("began", "parts", "expected"),
    [
        ("16:55", [("charging", 5), ("charging", 5), ("parking", 2)], 0.55),
        ("16:35", [("charging", 25), ("charging", 10)], 1.3),
        ("19:40", [("charging", 12), ("parking", 8), ("parking", 12)], 0.73),
    ],
)
def test_the_step_is_that_of_the_last_component(
    began: str, parts: Sequence[tuple[str, int]], expected: float
):
    used = session(f"2026-11-02T{began}", *({"of": of, "minutes": m} for of, m in parts))
    assert costs(STEPS, used)[0] == expected


def test_the_step_rounds_the_total_of_the_session():
    """mod_cdrs, step_size: 5.4 kWh are 5.5, 28 minutes are 30; charging before parking stays."""
    evening = {"start_time": "17:00"}
    energy = tariff(
        {"of": [of("ENERGY", 0.27, 500)], "when": evening}, {"of": [of("ENERGY", 0.2, 500)]}
    )
    used = session("2026-11-02T16:00", {"energy": Decimal("4.3")}, {"energy": Decimal("1.1")})
    assert [float(line.billed) for line in price([energy], used).lines] == [4.3, 1.2]
    hours = tariff({"of": [of("TIME", 7, 600)], "when": evening}, {"of": [of("TIME", 5, 600)]})
    used = session(
        "2026-11-02T16:54", {"minutes": 6, "of": "charging"}, {"minutes": 22, "of": "charging"}
    )
    assert [round(60 * line.billed) for line in price([hours], used).lines] == [6, 24]
    both = tariff({"of": [of("TIME", 1, 600), of("PARKING_TIME", 2, 600)]})
    used = session(
        "2026-11-02T12:00", {"minutes": 21, "of": "charging"}, {"minutes": 16, "of": "parking"}
    )
    assert [round(60 * line.billed) for line in price([both], used).lines] == [21, 20]


RESERVATION = {"reservation": "RESERVATION"}
EXPIRES = {"reservation": "RESERVATION_EXPIRES"}
SESSION = {"of": [FLAT_050, ENERGY_025]}
PRICED = tariff({"of": [of("TIME", 5.0, 60, 20.0)], "when": RESERVATION}, SESSION)
WITH_FEE = tariff(
    {"of": [of("FLAT", 2.0, 1, 20.0), of("TIME", 5.0, 300, 20.0)], "when": RESERVATION}, SESSION
)
EXPIRES_FOR_A_FEE = tariff(
    {"of": [of("FLAT", 4.0, 1, 20.0)], "when": EXPIRES},
    {"of": [of("TIME", 2.0, 600, 20.0)], "when": RESERVATION},
    SESSION,
)
EXPIRES_FOR_MORE = tariff(
    {"of": [of("TIME", 6.0, 600, 20.0)], "when": EXPIRES},
    {"of": [of("TIME", 3.0, 600, 20.0)], "when": RESERVATION},
    SESSION,
)


@pytest.mark.parametrize(
    ("priced", "minutes", "has_expired", "expected"),
    [
        (PRICED, 15, False, (6.75, 7.6)),
        (WITH_FEE, 13, False, (8.75, 10.0)),
        (EXPIRES_FOR_A_FEE, 22, False, (6.5, 7.3)),
        (EXPIRES_FOR_A_FEE, 60, True, (6.0, 7.2)),
        (EXPIRES_FOR_MORE, 22, False, (7.0, 7.9)),
        (EXPIRES_FOR_MORE, 90, True, (9.0, 10.8)),
    ],
)
def test_reservations(priced, minutes, has_expired, expected):
    reserved = {"minutes": minutes, "of": "reservation"}
    parts = [reserved] if has_expired else [reserved, {"energy": Decimal(20)}]
    assert costs(priced, session("2026-11-02T12:00", *parts, has_expired=has_expired)) == expected


def test_power_and_duration():
    power = tariff(
        {"of": [of("ENERGY", 0.2, 1, 20.0)], "when": {"max_power": 16.0}},
        {"of": [of("ENERGY", 0.35, 1, 20.0)], "when": {"max_power": 32.0}},
        {"of": [of("ENERGY", 0.5, 1, 20.0)]},
    )
    parts = [(1, 6), (40, 48), ("0.5", 4)]
    used = [{"energy": Decimal(kwh), "power": Range(Decimal(kw), Decimal(kw))} for kwh, kw in parts]
    assert costs(power, session("2026-11-02T12:00", *used))[0] == 20.3
    duration = tariff(
        {"of": [of("ENERGY", 0.0, 1, 20.0)], "when": {"max_duration": 1800}},
        {"of": [of("ENERGY", 0.25, 1, 20.0)], "when": {"max_duration": 3600}},
        {"of": [of("ENERGY", 0.4, 1, 20.0)]},
    )
    used = [
        {"minutes": 30, "energy": Decimal(5)},
        {"minutes": 10, "energy": Decimal("1.2")},
    ]
    assert costs(duration, session("2026-11-02T12:00", *used))[0] == 0.3


@pytest.mark.parametrize(
    ("priced", "usage", "why"),
    [
        # Five minutes before and five after 17:00, in one period.
        (
            STEPS,
            session("2026-11-02T16:55", {"minutes": 10, "of": "charging"}),
            "within the period",
        ),
        (COMPLEX, session("2026-11-02T09:30", {"of": "charging"}), "is not told"),
        (STEPS, Usage(session("2026-11-02T12:00", {"of": "charging"}).periods), "time zone"),
        (
            tariff({"of": [of("FLAT", 1)], "when": {"max_kwh": 5}}, {"of": [of("FLAT", 2)]}),
            session("2026-11-02T12:00", {"energy": Decimal(5)}, {"energy": Decimal(1)}),
            "several FLAT",
        ),
        (
            HOURS_AND_PARKING,
            session(
                "2026-11-02T12:00",
                {"minutes": 7, "of": "parking"},
                {"minutes": 30, "of": "charging"},
            ),
            "which time is rounded",
        ),
    ],
)
def test_what_nobody_can_say_is_said_to_be_unclear(priced, usage, why):
    with pytest.raises(Unclear, match=why):
        price([priced], usage)


def test_a_tariff_that_is_not_known_is_unclear_and_a_period_without_one_is_free():
    usage = charged(20)
    with pytest.raises(Unclear, match="is not known"):
        price([], usage)
    free = [Period(p.start, p.end, None, energy=p.energy) for p in usage.periods]
    assert price([START_AND_ENERGY], Usage(free)).total == (0, 0)


def test_the_night_of_a_change_of_clocks_has_its_own_hours():
    """On 2026-10-25 Berlin's clocks show 02:00 to 03:00 twice: three hours from 01:30 to 03:30."""
    night = tariff(
        {"of": [of("TIME", 1.0)], "when": {"start_time": "22:00", "end_time": "03:30"}},
        {"of": [of("TIME", 2.0)]},
    )
    began = datetime.fromisoformat("2026-10-24T23:30:00+00:00")
    three = began + timedelta(hours=3)
    one = three + timedelta(hours=1)
    periods = [
        Period(began, three, "12", charging=Decimal(3)),
        Period(three, one, "12", charging=Decimal(1)),
    ]
    assert price([night], Usage(periods, BERLIN)).total.excl_vat == 5
