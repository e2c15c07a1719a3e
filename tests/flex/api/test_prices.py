"""A Tariff as a price per step (mod_tariffs)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flex.api.prices import Driven, is_of_the_clock_alone, steps, unclear
from hub.ocpi.datatypes import decode
from tariffs.objects import Tariff
from tests.cases import case

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
BEGAN = datetime(2026, 3, 1, 18, 5, tzinfo=UTC)
DRIVEN = Driven(BEGAN, Decimal(10))


def tariff(*elements: str, more: str = "") -> Tariff:
    return decode(
        (
            '{"country_code":"NL","party_id":"CPO","id":"T1","currency":"EUR",'
            f'"elements":[{",".join(elements)}],{more}"last_updated":"2026-01-01T00:00:00Z"}}'
        ).encode(),
        Tariff,
    )


def element(price: str, restrictions: str = "", kind: str = "ENERGY") -> str:
    limits = f',"restrictions":{restrictions}' if restrictions else ""
    return f'{{"price_components":[{{"type":"{kind}","price":{price},"step_size":1000}}]{limits}}}'


def prices(of: Tariff, zone: Any = AMSTERDAM, hours: int = 2) -> list[Decimal | None]:
    begin = BEGAN + timedelta(minutes=30)
    return [one.per_kwh for one in steps(of, DRIVEN, zone, begin, begin + timedelta(hours=hours))]


def test_each_quarter_of_an_hour_has_the_price_of_its_local_time():
    night = tariff(element("0.20", '{"start_time":"20:30","end_time":"07:00"}'), element("0.40"))
    # From 19:30 of Amsterdam, and by its clock: 18:30 in UTC.
    found = steps(night, DRIVEN, AMSTERDAM, BEGAN + timedelta(minutes=30), BEGAN.replace(hour=20))
    assert found[0].start == datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
    assert [one.per_kwh for one in found] == [Decimal("0.40")] * 4 + [Decimal("0.20")] * 3
    assert is_of_the_clock_alone(night)
    assert unclear(night) == []


def test_what_pricing_cannot_say_is_unclear_here_too():
    with case("no time zone"):
        night = tariff(element("0.20", '{"start_time":"20:30"}'), element("0.40"))
        [step, *_] = steps(night, DRIVEN, None, BEGAN, BEGAN + timedelta(minutes=1))
        assert step.per_kwh is None
        assert "time zone" in step.why
    with case("a price by power"):
        quick = tariff(element("0.60", '{"min_power":22}'), element("0.40"))
        assert prices(quick, hours=1) == [None] * 5
        assert "depends on the power" in unclear(quick)[0]
        assert not is_of_the_clock_alone(quick)
    with case("a change within a quarter of an hour"):
        odd = tariff(element("0.20", '{"start_time":"20:07"}'), element("0.40"))
        assert prices(odd, hours=1) == [Decimal("0.4")] * 2 + [None] + [Decimal("0.2")] * 2


def test_what_no_step_can_show_is_flagged_with_its_element():
    mixed = tariff(
        element("0.30", '{"max_kwh":5}'),
        element("0.40"),
        element("1", kind="FLAT"),
        element("2", kind="PARKING_TIME"),
        element("3", '{"reservation":"RESERVATION"}', kind="TIME"),
        more='"max_price":{"excl_vat":20},',
    )
    assert prices(mixed, hours=1)[0] == Decimal("0.40")
    flags = unclear(mixed)
    assert [flag.split(" of Tariff")[0] for flag in flags[:3]] == [
        "elements[0]",
        "elements[2]",
        "elements[3]",
    ]
    assert "greatest price" in flags[3]


def test_charging_by_the_hour_has_its_price_beside_that_of_energy():
    timed = tariff(element("0.25"), element("1.20", kind="TIME"))
    [step, *_] = steps(timed, DRIVEN, AMSTERDAM, BEGAN, BEGAN + timedelta(minutes=1))
    assert (step.per_kwh, step.per_hour) == (Decimal("0.25"), Decimal("1.20"))
