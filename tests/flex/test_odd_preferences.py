"""ChargingPreferences that the CPO accepts, however they are spelled (mod_sessions, PUT Method)."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from flex.models import PreferenceCopy
from hub.ocpi.datatypes import Role
from party.messages import Reply
from tests.flex.agreements import agree
from tests.hub.deviations.counts import counts_of
from tests.hub.strangers import until
from tests.scripted import Actor

LEAVES = datetime(2026, 3, 1, 18, tzinfo=UTC)
WISHES: dict[str, Any] = {
    "profile_type": "CHEAP",
    "departure_time": "2026-03-01T18:00:00Z",
    "energy_need": 12.5,
    "discharge_allowed": True,
}
READ = {
    "profile_type": "CHEAP",
    "departure_time": LEAVES,
    "energy_need": Decimal("12.5"),
    "discharge_allowed": True,
}
# What is changed, and what the hub's copy has then.
ODD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "UTC": ({"departure_time": "2026-03-01T18:00:00+00:00"}, {}),
    "OFFSET": ({"departure_time": "2026-03-01T19:30:00+01:30"}, {}),
    "SHORT-OFFSET": ({"departure_time": "2026-03-01T19:00:00+0100"}, {}),
    "BLANK": ({"departure_time": "2026-03-01 18:00:00+00:00"}, {}),
    "NO-ZONE": ({"departure_time": "2026-03-01T18:00:00"}, {}),
    "MILLIS": ({"departure_time": "2026-03-01T18:00:00.000+00:00"}, {}),
    "NO-SECONDS": ({"departure_time": "2026-03-01T18:00Z"}, {}),
    "NO-TIME": ({"departure_time": "soon"}, {"departure_time": None}),
    "EMPTY": ({"departure_time": ""}, {"departure_time": None}),
    "NO-UTC": ({"departure_time": "9999-12-31T23:59:59-14:00"}, {"departure_time": None}),
    "TIME-NULL": ({"departure_time": None}, {"departure_time": None}),
    "SECONDS": ({"departure_time": 1772388000}, {"departure_time": None}),
    "KWH-TEXT": ({"energy_need": "12.5"}, {}),
    "KWH-WORD": ({"energy_need": "much"}, {"energy_need": None}),
    "KWH-NAN": ({"energy_need": "NaN"}, {"energy_need": None}),
    "KWH-NULL": ({"energy_need": None}, {"energy_need": None}),
    "KWH-OBJECT": ({"energy_need": {}}, {"energy_need": None}),
    "TYPE-NULL": ({"profile_type": None}, {"profile_type": ""}),
    "TYPE-LOWER": ({"profile_type": "cheap"}, {}),
    "TYPE-UNKNOWN": ({"profile_type": "SLOW_AND_STEADY"}, {"profile_type": "SLOW_AND_STEADY"}),
    "TYPE-LONG": ({"profile_type": "x" * 300}, {"profile_type": "X" * 40}),
    "TYPE-NUL": ({"profile_type": "CH\u0000EAP"}, {}),
    "TYPE-LIST": ({"profile_type": ["CHEAP"]}, {"profile_type": ""}),
    "V2G-TEXT": ({"discharge_allowed": "true"}, {"discharge_allowed": None}),
    "V2G-NUMBER": ({"discharge_allowed": 1}, {"discharge_allowed": None}),
}


def wish(cast, session_id: str, body: bytes):
    path = f"sender/sessions/{session_id}/charging_preferences"
    return cast.emsp.send("PUT", path, body)


@pytest.mark.parametrize("name", ODD)
def test_what_the_cpo_accepts_reaches_the_fsp_unchanged_and_is_read_field_by_field(cast, name):
    session_id, (changes, expected) = f"ODD-{name}", ODD[name]
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session(session_id, cast.emsp, kwh="3.25")
    body = f" {json.dumps(WISHES | changes)}\n".encode()
    assert wish(cast, session_id, body).json()["data"] == "ACCEPTED"
    assert cast.cpo.got(session_id)[-1].body == body
    given = cast.scsp.wait_for(session_id, count=2)[-1]
    assert (given.interface, given.body) == ("sender", body)
    copy = PreferenceCopy.objects.get(session__session_id=session_id)
    assert bytes(copy.document) == body
    for field, value in (READ | expected | {"kwh_at_receipt": Decimal("3.25")}).items():
        assert getattr(copy, field) == value
    assert str(copy)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'"CHEAP"', b"5"])
def test_what_says_nothing_that_the_hub_can_read_is_passed_on_all_the_same(cast, body):
    session_id = f"BARE-{body.hex()}"
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session(session_id, cast.emsp)
    assert wish(cast, session_id, body).json()["data"] == "ACCEPTED"
    assert cast.scsp.wait_for(session_id, count=2)[-1].body == body
    copy = PreferenceCopy.objects.get(session__session_id=session_id)
    assert (copy.profile_type, copy.departure_time, copy.energy_need) == ("", None, None)


def test_preferences_in_a_list_of_one_are_read(cast):
    cast.cpo.put_session("LIST-1", cast.emsp)
    wish(cast, "LIST-1", json.dumps([WISHES]).encode())
    copy = PreferenceCopy.objects.get(session__session_id="LIST-1")
    assert {name: getattr(copy, name) for name in READ} == READ


@pytest.mark.parametrize(
    ("session_id", "changes", "is_told"),
    [
        ("CANNOT-1", {"departure_time": "2026-03-01T18:00:00+00:00"}, True),
        ("CANNOT-2", {"energy_need": "12.5"}, True),
        ("CANNOT-3", {"departure_time": "soon"}, False),
        ("CANNOT-4", {"profile_type": "SLOW"}, False),
    ],
)
def test_what_the_cpo_refuses_is_told_unless_it_may_be_what_it_refused(
    cast, session_id, changes, is_told
):
    """An EVSE that is not capable is answered with 404 and 2001; the FSP can still use them."""
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.answers(session_id, Reply(http_status=404, status_code=2001))
    assert wish(cast, session_id, json.dumps(WISHES | changes).encode()).status_code == 404
    copies = PreferenceCopy.objects.filter(session__session_id=session_id)
    assert copies.count() == int(is_told)
    if is_told:
        assert len(cast.scsp.wait_for(session_id, count=2)) == 2


def test_what_deviates_is_counted_for_the_emsp(cast):
    emsp = Actor(cast.hub, Role.EMSP)
    cast.cpo.put_session("COUNTED", emsp)
    body = WISHES | {"departure_time": "2026-03-01T18:00:00+00:00", "profile_type": "SLOW"}
    emsp.send("PUT", "sender/sessions/COUNTED/charging_preferences", body)
    expected = {
        ("date-time", "ChargingPreferences.departure_time"): 1,
        ("unknown-enum-value", "ChargingPreferences.profile_type"): 1,
    }
    until(lambda: counts_of(emsp.party) == expected)
