"""Tariff and its data types (mod_tariffs, Object description)."""

from decimal import Decimal

import pytest

import tariffs.objects
from hub.ocpi.datatypes import decode
from tariffs.objects import Tariff, TariffElement, TariffRestrictions
from tests.object_cases import (
    EXAMPLES,
    as_body,
    check_enum,
    check_faults,
    check_right,
    document,
    refused,
)

OBJECTS = ["Tariff", "PriceComponent", "TariffElement", "TariffRestrictions"]
ENUMS = ["DayOfWeek", "ReservationRestrictionType", "TariffDimensionType", "TariffType"]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_with_all_fields_or_only_the_required_ones_is_right(name):
    check_right(name, getattr(tariffs.objects, name))


@pytest.mark.parametrize("name", OBJECTS)
def test_a_fault_is_refused_and_its_field_named(name):
    check_faults(name, getattr(tariffs.objects, name))


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_are_those_of_the_text(name):
    check_enum(name, getattr(tariffs.objects, name))


@pytest.mark.parametrize(
    "file",
    sorted({*EXAMPLES.glob("tariff*.json")} - {EXAMPLES / "tariff_put_example.json"}),
    ids=lambda path: path.stem,
)
def test_the_tariffs_of_the_text_are_right(file):
    assert decode(file.read_bytes(), Tariff).elements


def test_the_put_of_the_text_lacks_what_its_table_requires():
    message = refused((EXAMPLES / "tariff_put_example.json").read_bytes(), Tariff)
    assert message == "Object missing required field `last_updated`"


@pytest.mark.parametrize(
    ("sent", "price"),
    [
        ("1.10", "1.10"),
        ("1e3", "1000"),
        ("0.30000000000000004", "0.30000000000000004"),
        (
            "0.1234567890123456789012345678901234567890",
            "0.1234567890123456789012345678901234567890",
        ),
        ("12345678901234567890123", "12345678901234567890123"),
        ("-0.00", "0"),
        ("0", "0"),
    ],
)
def test_a_price_is_read_without_float_damage(sent, price):
    body = as_body(document("Tariff")).replace(b'"price":1.5', b'"price":' + sent.encode())
    read = decode(body, Tariff).elements[0].price_components[0].price
    assert type(read) is Decimal
    assert read == Decimal(price)


@pytest.mark.parametrize("value", ['"0.25"', '"NaN"', '"Infinity"', "true", "[]", "{}", "1e99999"])
def test_a_price_is_a_json_number(value):
    body = as_body(document("Tariff")).replace(b'"price":1.5', b'"price":' + value.encode())
    assert "`$.elements[0].price_components[0].price`" in refused(body, Tariff)


@pytest.mark.parametrize("value", ["24:00", "1:30", "13.30", "13:60"])
@pytest.mark.parametrize("field", ["start_time", "end_time"])
def test_times_of_day_are_hours_and_minutes(field, value):
    assert field in refused(as_body({field: value}), TariffRestrictions)


def test_the_end_of_a_day_may_wrap_around():
    assert decode(as_body({"start_time": "22:00", "end_time": "00:00"}), TariffRestrictions)


@pytest.mark.parametrize(
    "value", ["2015-13-01", "2015-12-32", "0015-12-24", "24-12-2015", "2015-1-01"]
)
@pytest.mark.parametrize("field", ["start_date", "end_date"])
def test_dates_are_year_month_and_day(field, value):
    assert f"`$.{field}`" in refused(as_body({field: value}), TariffRestrictions)


@pytest.mark.parametrize("dimension", ["ENERGY", "PARKING_TIME"])
def test_a_reservation_costs_a_fee_or_time(dimension):
    component = document("PriceComponent") | {"type": dimension}
    element = {"price_components": [component], "restrictions": {"reservation": "RESERVATION"}}
    assert "price_components" in refused(as_body(element), TariffElement)
    element["restrictions"] = {}
    assert decode(as_body(element), TariffElement)
