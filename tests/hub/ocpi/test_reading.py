"""What the hub must be able to read of an object that it answers for, and what it reports."""

import json
from datetime import UTC, datetime

import pytest

from hub.ocpi.errors import InvalidParameters, NotJson
from hub.ocpi.reading import UnusableObject, glance, is_right, read
from locations.models import ESSENTIALS as LOCATIONS
from locations.objects import Location
from tariffs.models import ESSENTIALS as TARIFF
from tests.object_cases import as_body, document, properties
from tokens.models import ESSENTIALS as TOKEN

ESSENTIALS = {one.kind.__name__: one for one in (*LOCATIONS, TARIFF, TOKEN)}
REQUIRED = [
    (name, each.name) for name in ESSENTIALS for each in properties(name) if each.card in "1+"
]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
EXACT = [("Tariff", "currency")] + [
    ("Token", name) for name in ("uid", "type", "contract_id", "valid", "whitelist")
]


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_a_required_field_that_is_absent_null_or_of_another_kind_is_refused(name, field):
    whole = document(name)
    without = {one: value for one, value in whole.items() if one != field}
    for wrong in (without, whole | {field: None}, whole | {field: {"a": 1}}, whole | {field: True}):
        if wrong.get(field) is True and isinstance(whole[field], bool):
            continue  # A boolean is what belongs there.
        if isinstance(wrong.get(field), dict) and isinstance(whole[field], dict):
            continue
        with pytest.raises(UnusableObject) as refusal:
            read(json.dumps(wrong).encode(), ESSENTIALS[name])
        assert f"`{field}`" in refusal.value.message or f"`$.{field}`" in refusal.value.message
        assert refusal.value.difference.deviation.path == f"{name}.{field}"


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_a_patch_need_not_have_it_but_may_not_take_it_away(name, field):
    essentials = ESSENTIALS[name]
    dated = {"last_updated": "2026-01-01T00:00:00Z"}
    assert read(as_body(dated), essentials, is_patch=True).differences == ()
    with pytest.raises(UnusableObject):
        read(json.dumps(dated | {field: None}).encode(), essentials, is_patch=True)


def test_a_number_and_a_numeric_text_are_of_one_kind():
    connector = document("Connector") | {"max_voltage": "400", "max_amperage": 16.0, "id": 5}
    reading = read(as_body(connector), LOCATIONS[2])
    assert (reading.sent.max_voltage, reading.sent.max_amperage, reading.sent.id) == (400, 16, "5")
    assert {one.rule for one in reading.deviations} == {
        "number-as-text",
        "whole-number",
        "text-as-number",
    }
    with pytest.raises(UnusableObject, match=r"Expected an integer, got many .*\$\.max_voltage"):
        read(as_body(connector | {"max_voltage": "many"}), LOCATIONS[2])
    # Of the right kind, if no voltage.
    assert read(as_body(connector | {"max_voltage": 230.5}), LOCATIONS[2]).differences


@pytest.mark.parametrize(("name", "field"), EXACT)
def test_of_what_decides_access_or_money_nothing_is_tolerated(name, field):
    for value in (5, "", "x" * 300, "a\nb", "\u00fc", "NO_SUCH"):
        if field == "currency" and value == "\u00fc":
            continue
        changed = document(name) | {field: value}
        if is_right(json.dumps(changed).encode(), ESSENTIALS[name].kind):
            continue
        with pytest.raises(UnusableObject) as refusal:
            read(json.dumps(changed).encode(), ESSENTIALS[name])
        assert field in refusal.value.message
        if field not in {"currency", "type", "whitelist", "valid"} and value:
            assert str(value) not in refusal.value.message or value == 5  # It may be logged.


@pytest.mark.parametrize(
    "change",
    [
        {"price": "2"},
        {"price": None},
        {"type": "HOUR"},
        {"type": "time"},
        {"type": None},
    ],
)
def test_of_a_price_component_type_and_price_are_read_to_the_letter(change):
    tariff = document("Tariff")
    tariff["elements"][0]["price_components"][0] |= change
    with pytest.raises(UnusableObject, match=r"\$\.elements\[0\]\.price_components\[0\]"):
        read(as_body(tariff), TARIFF)


@pytest.mark.parametrize("components", [None, {}, [None], ["x"], "x"])
def test_a_tariff_whose_prices_are_nowhere_is_refused(components):
    tariff = document("Tariff") | {"elements": [{"price_components": components}]}
    with pytest.raises(UnusableObject, match="price_components"):
        read(as_body(tariff), TARIFF)
    for elements in ([None], ["x"], [{}]):
        with pytest.raises(UnusableObject, match="elements"):
            read(as_body(document("Tariff") | {"elements": elements}), TARIFF)


def test_what_else_a_tariff_or_token_says_oddly_is_noted():
    tariff = document("Tariff") | {"type": "CHEAP", "min_price": {}, "elements": []}
    assert len(read(as_body(tariff), TARIFF).differences) == 3
    restricted = document("Tariff")
    restricted["elements"][0] |= {"restrictions": {"start_time": "24:00", "day_of_week": ["MON"]}}
    restricted["elements"][0]["price_components"][0] |= {"step_size": 1.0, "vat": "19"}
    assert len(read(as_body(restricted), TARIFF).differences) == 4
    token = document("Token") | {"issuer": "x" * 65, "language": "eng", "group_id": ""}
    assert len(read(as_body(token), TOKEN).differences) == 2


@pytest.mark.parametrize(
    ("evses", "place"),
    [
        ([{"uid": None}], "$.evses[0].uid"),
        ([{"uid": "1"}, {"status": "AVAILABLE"}], "$.evses[1]"),
        ([{"uid": "1"}, None], "$.evses[1]"),
        ({}, "$.evses"),
        ("1", "$.evses"),
        ([{"uid": "1", "connectors": {}}], "$.evses[0].connectors"),
        ([{"uid": "1", "connectors": [5]}], "$.evses[0].connectors[0]"),
        ([{"uid": "1", "connectors": [{"id": "1"}, {"id": ""}]}], "$.evses[0].connectors[1].id"),
    ],
)
def test_parts_need_a_name_and_the_place_is_told(evses, place):
    with pytest.raises(UnusableObject) as refusal:
        read(as_body(document("Location") | {"evses": evses}), LOCATIONS[0])
    assert f"`{place}`" in refusal.value.message


@pytest.mark.parametrize("evses", [None, [], [{"uid": "1"}], [{"uid": 1, "connectors": None}]])
def test_parts_need_nothing_but_a_name(evses):
    assert read(as_body(document("Location") | {"evses": evses}), LOCATIONS[0])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T12:00:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01 12:00:00+00:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01T14:00:00.5+02:00", "2026-03-01T12:00:00.500000+00:00"),
        ("2026-03-01t12:00z", "2026-03-01T12:00:00+00:00"),
    ],
)
def test_last_updated_is_the_moment_that_it_means(text, moment):
    reading = read(as_body(document("Location") | {"last_updated": text}), LOCATIONS[0])
    assert reading.last_updated.isoformat() == moment


@pytest.mark.parametrize("value", ["yesterday", "", 1772359200, None, {}, "2026-02-30T00:00:00Z"])
def test_without_a_readable_last_updated_only_what_was_accepted_is_read(value):
    body = as_body(document("Location") | {"last_updated": value})
    with pytest.raises(UnusableObject, match="last_updated"):
        read(body, LOCATIONS[0])
    assert glance(body, LOCATIONS[0], NOW).last_updated == NOW


def test_of_what_was_accepted_nothing_is_refused_but_all_is_noted():
    reading = glance(b'{"id":5,"evses":[{"uid":null}],"publish":"no"}', LOCATIONS[0], NOW)
    assert reading.sent.id == "5"
    assert {"missing", "null", "wrong-kind"} <= {one.rule for one in reading.deviations}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN"])
def test_what_is_no_json_is_none_anywhere(body):
    for function in (read, lambda *given: glance(*given, NOW)):
        with pytest.raises(NotJson):
            function(body, LOCATIONS[0])


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null"])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(UnusableObject):
        read(body, LOCATIONS[0])


def test_under_strict_the_first_deviation_is_refused_with_its_cure():
    location = document("Location") | {"parking_type": "ON_WATER", "time_zone": "x" * 300}
    reading = read(as_body(location), LOCATIONS[0])
    with pytest.raises(InvalidParameters) as refusal:
        reading.refuse_deviations()
    message = refusal.value.message
    for said in (
        "ON_WATER",
        "one of ALONG_MOTORWAY, PARKING_GARAGE",
        "strict",
        "beside this one: 1",
    ):
        assert said in message
    read(as_body(document("Location")), LOCATIONS[0]).refuse_deviations()


def test_a_right_object_is_read_as_its_struct():
    reading = read(as_body(document("Location")), LOCATIONS[0])
    assert isinstance(reading.sent, Location)
    assert reading.deviations == []
