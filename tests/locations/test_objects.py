"""Location, EVSE, Connector and their data types (mod_locations, Object description)."""

import pytest

import locations.objects
from hub.ocpi import datatypes
from hub.ocpi.datatypes import decode
from hub.ocpi.patches import partial
from locations.objects import EVSE, Connector, Hours, Location
from tests.object_cases import (
    EXAMPLES,
    as_body,
    check_enum,
    check_faults,
    check_right,
    document,
    refused,
)

OBJECTS = [
    "Location", "EVSE", "Connector", "AdditionalGeoLocation", "BusinessDetails", "EnergyMix",
    "EnergySource", "EnvironmentalImpact", "ExceptionalPeriod", "GeoLocation", "Hours", "Image",
    "PublishTokenType", "RegularHours", "StatusSchedule",
]  # fmt: skip
ENUMS = [
    "Capability", "ConnectorFormat", "ConnectorType", "EnergySourceCategory",
    "EnvironmentalImpactCategory", "Facility", "ImageCategory", "ParkingRestriction", "ParkingType",
    "PowerType", "Status",
]  # fmt: skip


def named(name):
    return getattr(locations.objects, name, None) or getattr(datatypes, name)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_with_all_fields_or_only_the_required_ones_is_right(name):
    check_right(name, named(name))


@pytest.mark.parametrize("name", OBJECTS)
def test_a_fault_is_refused_and_its_field_named(name):
    check_faults(name, named(name))


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_are_those_of_the_text(name):
    check_enum(name, named(name))


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("location_example*.json")), ids=lambda p: p.stem
)
def test_the_locations_of_the_text_are_right(file):
    assert decode(file.read_bytes(), Location).id


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("location_hours*.json")), ids=lambda p: p.stem
)
def test_the_hours_of_the_text_are_right(file):
    assert (
        decode(file.read_bytes(), Hours).exceptional_openings is not None or "closing" in file.stem
    )


@pytest.mark.parametrize(
    "file",
    [*EXAMPLES.glob("location_energymix*.json"), EXAMPLES / "location_regularhours_example.json"],
    ids=lambda p: p.stem,
)
def test_the_parts_of_a_location_in_the_text_are_right(file):
    body = b'{"last_updated":"2019-06-24T12:39:09Z",' + file.read_bytes().lstrip()[1:]
    assert decode(body, partial(Location))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("location_patch_example_location", Location),
        ("location_patch_example_status", EVSE),
        ("location_patch_example_remove_evse", EVSE),
        ("location_patch_example_tariff", Connector),
    ],
)
def test_the_patches_of_the_text_are_right(file, expected):
    patch = decode((EXAMPLES / f"{file}.json").read_bytes(), partial(expected))
    assert patch.last_updated.year == 2019


def test_the_evse_of_the_text_lacks_what_its_table_requires():
    message = refused((EXAMPLES / "location_put_example_add_evse.json").read_bytes(), EVSE)
    assert message == "Object missing required field `power_type` - at `$.connectors[0]`"


@pytest.mark.parametrize("name", ["Location", "EVSE", "Connector"])
def test_a_patch_is_checked_by_the_same_rules(name):
    check_faults(name, partial(named(name)), is_patch=True)


@pytest.mark.parametrize("name", ["Location", "EVSE", "Connector"])
def test_a_patch_needs_nothing_but_last_updated(name):
    full = document(name)
    for field, value in full.items():
        patch = decode(
            as_body({field: value, "last_updated": full["last_updated"]}), partial(named(name))
        )
        assert getattr(patch, field) is not None


def test_the_path_leads_to_a_fault_deep_inside():
    wrong = document("Location")
    wrong["evses"] *= 2
    wrong["evses"][1] = document("EVSE") | {"uid": "x" * 37}
    assert refused(as_body(wrong), Location) == (
        "Expected `str` of length <= 36 - at `$.evses[1].uid`"
    )
    wrong["evses"][1] = document("EVSE") | {"uid": "ü"}
    assert "`$.evses[1].uid`" in refused(as_body(wrong), Location)
    wrong["evses"][1] = document("EVSE")
    wrong["evses"][1]["connectors"][0]["last_updated"] = "2019-06-24T12:39:09+00:00"
    assert "`$.evses[1].connectors[0].last_updated`" in refused(as_body(wrong), Location)


@pytest.mark.parametrize(
    ("latitude", "is_right"),
    [
        ("50.77077", True), ("-0.7707741", True), ("#NA", True), ("50.7707", False),
        ("50.77077412", False), ("150.77077", False), ("+50.77077", False), ("50,770774", False),
        ("", False), ("50.77077\n", False),
    ],
)  # fmt: skip
def test_latitude_has_five_to_seven_decimals(latitude, is_right):
    body = as_body(
        document("Location") | {"coordinates": {"latitude": latitude, "longitude": "4.12345"}}
    )
    if is_right:
        assert decode(body, Location).coordinates.latitude == latitude
    else:
        assert "`$.coordinates" in refused(body, Location)


def test_a_wrong_longitude_is_named():
    body = as_body({"latitude": "50.770774", "longitude": "4.1"})
    assert "longitude" in refused(body, locations.objects.GeoLocation)


@pytest.mark.parametrize("value", ["24:00", "8:00", "08.00", "08:60", "#NA", "08:000", ""])
def test_regular_hours_are_hours_and_minutes(value):
    for field in ("period_begin", "period_end"):
        body = as_body(document("RegularHours") | {field: value})
        assert field in refused(body, locations.objects.RegularHours)


@pytest.mark.parametrize("weekday", [0, 8])
def test_a_week_has_seven_days(weekday):
    body = as_body(document("RegularHours") | {"weekday": weekday})
    assert "`$.weekday`" in refused(body, locations.objects.RegularHours)


@pytest.mark.parametrize("end", ["08:00", "07:59", "00:00"])
def test_period_end_must_be_later_than_period_begin(end):
    body = as_body(document("RegularHours") | {"period_end": end})
    assert "period_end" in refused(body, locations.objects.RegularHours)


@pytest.mark.parametrize(
    ("hours", "is_right"),
    [
        ({"twentyfourseven": True}, True),
        ({"twentyfourseven": True, "regular_hours": []}, True),
        ({"twentyfourseven": True, "regular_hours": [document("RegularHours")]}, False),
        ({"twentyfourseven": False, "regular_hours": [document("RegularHours")]}, True),
        ({"twentyfourseven": False, "regular_hours": []}, False),
        ({"twentyfourseven": False}, False),
    ],
)
def test_regular_hours_are_for_what_is_not_open_around_the_clock(hours, is_right):
    body = as_body(document("Location") | {"opening_times": hours})
    if is_right:
        assert decode(body, Location).opening_times
    else:
        message = refused(body, Location)
        assert "regular_hours" in message
        assert "`$.opening_times`" in message


@pytest.mark.parametrize(
    ("token", "lacks"),
    [
        ({"uid": "1", "type": "RFID"}, None),
        ({"visual_number": "1", "issuer": "A"}, None),
        ({"group_id": "1"}, None),
        ({"uid": "1"}, "type"),
        ({"visual_number": "1"}, "issuer"),
        ({"type": "RFID", "issuer": "A"}, "uid, visual_number and group_id"),
        ({}, "uid, visual_number and group_id"),
    ],
)
def test_a_publish_token_is_identified_by_one_of_three_ways(token, lacks):
    body = as_body(document("Location") | {"publish_allowed_to": [token]})
    if lacks is None:
        assert decode(body, Location).publish_allowed_to
    else:
        message = refused(body, Location)
        assert lacks in message
        assert "`$.publish_allowed_to[0]`" in message


def test_what_is_published_is_not_published_to_some():
    assert "publish_allowed_to" in refused(
        as_body(document("Location") | {"publish": True}), Location
    )


@pytest.mark.parametrize("percentage", [-0.1, 100.1])
def test_a_percentage_is_from_0_to_100(percentage):
    body = as_body({"source": "WIND", "percentage": percentage})
    assert "percentage" in refused(body, locations.objects.EnergySource)
