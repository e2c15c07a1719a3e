"""Session and ChargingPreferences (mod_sessions, Object description)."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

import sessions.objects
from hub.ocpi.datatypes import decode, utc
from hub.ocpi.patches import partial
from sessions.objects import ChargingPreferences, Session
from tests.object_cases import (
    EXAMPLES,
    as_body,
    check_enum,
    check_faults,
    check_right,
    document,
    refused,
)

OBJECTS = ["Session", "ChargingPreferences"]
ENUMS = ["ChargingPreferencesResponse", "ProfileType", "SessionStatus"]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_with_all_fields_or_only_the_required_ones_is_right(name):
    check_right(name, getattr(sessions.objects, name))


@pytest.mark.parametrize("name", OBJECTS)
def test_a_fault_is_refused_and_its_field_named(name):
    check_faults(name, getattr(sessions.objects, name))


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_are_those_of_the_text(name):
    check_enum(name, getattr(sessions.objects, name))


@pytest.mark.parametrize(
    "file", ["session_example_1_simple_start", "session_example_2_short_finished"]
)
def test_the_sessions_of_the_text_are_right(file):
    assert decode((EXAMPLES / f"{file}.json").read_bytes(), Session).id == "101"


@pytest.mark.parametrize("file", ["charging_period", "total_cost"])
def test_the_patches_of_the_text_are_right(file):
    body = (EXAMPLES / f"session_patch_example_{file}.json").read_bytes()
    assert decode(body, partial(Session)).last_updated.year == 2019


def test_a_patch_is_checked_by_the_same_rules():
    check_faults("Session", partial(Session), is_patch=True)


def test_a_reservation_has_no_evse_yet():
    session = document("Session") | {"evse_uid": "#NA", "connector_id": "#NA"}
    assert decode(as_body(session), Session).evse_uid == "#NA"


@pytest.mark.parametrize(
    ("sent", "second", "microsecond"),
    [
        ("2015-06-29T20:39:09Z", 9, 0),
        ("2015-06-29T20:39:09", 9, 0),
        ("2016-12-29T17:45:09.2Z", 9, 200_000),
        ("2016-12-29T17:45:09.2", 9, 200_000),
        ("2018-01-01T01:08:01.123Z", 1, 123_000),
        ("2018-01-01T01:08:01.123", 1, 123_000),
        ("2018-01-01T01:08:01.123456Z", 1, 123_456),
    ],
)
def test_a_time_is_utc_with_or_without_saying_so(sent, second, microsecond):
    read = utc(decode(as_body(document("Session") | {"last_updated": sent}), Session).last_updated)
    year, month, day = (int(part) for part in sent[:10].split("-"))
    hour, minute = int(sent[11:13]), int(sent[14:16])
    assert read == datetime(year, month, day, hour, minute, second, microsecond, UTC)


@pytest.mark.parametrize(
    "sent",
    [
        "2015-06-29T20:39:09+00:00", "2015-06-29T20:39:09.5-01:00", "2015-06-29T20:39:09-00:00",
        "2015-06-29 20:39:09Z", "2015-06-29t20:39:09Z", "2015-06-29T20:39:09z", "2015-06-29T20:39Z",
        "2015-06-29", "1970-1-1T00:00:00Z", "2015-06-29T20:39:60Z",
    ],
)  # fmt: skip
def test_a_time_in_another_form_is_refused(sent):
    body = as_body(document("Session") | {"last_updated": sent})
    assert "`$.last_updated`" in refused(body, Session)
    # The same, spelled with escapes, in a patch.
    escaped = body.replace(b"T20", b"\\u005420").replace(b" 20", b"\\u002020")
    assert "`$.last_updated`" in refused(escaped, partial(Session))


def test_energy_is_read_without_float_damage():
    body = b'{"profile_type":"FAST","energy_need":0.30000000000000004}'
    assert decode(body, ChargingPreferences).energy_need == Decimal("0.30000000000000004")
