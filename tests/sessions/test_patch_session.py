"""PATCH of a Session through the hub (mod_sessions, Receiver Interface, PATCH Method)."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from party.messages import Reply
from sessions.models import Session
from tests.scripted import code

LATER = "2026-03-01T11:00:00Z"


def period(hour: int) -> dict[str, Any]:
    return {
        "start_date_time": f"2026-03-01T{hour}:00:00Z",
        "dimensions": [{"type": "ENERGY", "volume": hour}],
    }


def kept(session_id: str) -> dict[str, Any]:
    [session] = Session.objects.named(session_id)
    document = msgspec.json.decode(bytes(session.document))
    assert isinstance(document, dict)
    return document


def test_a_patch_reaches_the_emsp_byte_for_byte(cast):
    cast.cpo.put_session("PATCH-1", cast.emsp)
    body = b'{ "kwh":1.50,\n "x\\u0031": 1e1, "last_updated":"2026-03-01T11:00:00Z" }'
    response = cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-1"), body, to=cast.emsp)
    assert (response.status_code, code(response)) == (200, 1000)
    assert [message.body for message in cast.emsp.got("PATCH-1", method="PATCH")] == [body]


def test_only_the_named_fields_change_and_numbers_keep_their_spelling(cast):
    document = (
        b'{"country_code":"%s","party_id":"%s","id":"PATCH-2","kwh":1.500,"x_own":{"deep":0.10},'
        b'"start_date_time":"2026-03-01T10:00:00Z","cdr_token":{"country_code":"%s",'
        b'"party_id":"%s","uid":"T","type":"RFID","contract_id":"C","x":1E2},"auth_method":'
        b'"WHITELIST","location_id":"L","evse_uid":"E","connector_id":"1","currency":"EUR",'
        b'"status":"PENDING","total_cost":{"excl_vat":4.00},"last_updated":"2026-03-01T10:00:00Z"}'
        % tuple(part.encode() for part in (*cast.cpo.party, *cast.emsp.party))
    )
    cast.cpo.send("PUT", cast.cpo.session_path("PATCH-2"), document, to=cast.emsp)
    patch = b'{"status":"ACTIVE","x_new":2.0,"last_updated":"2026-03-01T11:00:00Z"}'
    cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-2"), patch, to=cast.emsp)
    [session] = Session.objects.named("PATCH-2")
    now = bytes(session.document)
    for same in (b'"kwh":1.500', b'"deep":0.10', b'"x":1E2', b'"excl_vat":4.00', b'"x_new":2.0'):
        assert same in now
    document_now = kept("PATCH-2")
    assert document_now == msgspec.json.decode(document) | msgspec.json.decode(patch)
    assert session.status == "ACTIVE"


def test_charging_periods_are_added(cast):
    cast.cpo.put_session("PATCH-3", cast.emsp, charging_periods=[period(10)])
    patch = {"charging_periods": [period(11), period(12)], "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-3"), patch, to=cast.emsp)
    assert kept("PATCH-3")["charging_periods"] == [period(10), period(11), period(12)]


def test_a_patch_that_goes_to_two_parties_adds_its_charging_periods_once(cast):
    cast.cpo.put_session("PATCH-3B", cast.emsp, charging_periods=[period(10)])
    patch = {"kwh": 5, "charging_periods": [period(11)], "last_updated": LATER}
    for receiver in (cast.emsp, cast.scsp):
        response = cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-3B"), patch, to=receiver)
        assert code(response) == 1000
    assert kept("PATCH-3B")["charging_periods"] == [period(10), period(11)]
    more = {"charging_periods": [period(12)], "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-3B"), more, to=cast.emsp)
    assert kept("PATCH-3B")["charging_periods"] == [period(10), period(11), period(12)]


def test_charging_periods_are_added_where_there_were_none(cast):
    cast.cpo.put_session("PATCH-4", cast.emsp)
    patch = {"charging_periods": [period(11)], "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-4"), patch, to=cast.emsp)
    assert kept("PATCH-4")["charging_periods"] == [period(11)]


@pytest.mark.parametrize("changes", [{}, {"charging_periods": []}, {"charging_periods": None}])
def test_no_charging_periods_in_a_patch_change_none(cast, changes):
    session_id = f"PATCH-5-{changes.get('charging_periods', 'absent')}"[:20].replace("[]", "E")
    cast.cpo.put_session(session_id, cast.emsp, charging_periods=[period(10)])
    patch = changes | {"kwh": 7, "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path(session_id), patch, to=cast.emsp)
    assert kept(session_id)["charging_periods"] == [period(10)]
    assert kept(session_id)["kwh"] == 7


@pytest.mark.parametrize("last_updated", [{}, {"last_updated": None}, {"last_updated": "now"}])
def test_a_patch_without_a_readable_last_updated_counts_as_what_came_last(cast, last_updated):
    session_id = f"PATCH-6-{last_updated.get('last_updated', 'absent')}"
    cast.cpo.put_session(session_id, cast.emsp, kwh=1)
    path = cast.cpo.session_path(session_id)
    assert code(cast.cpo.send("PATCH", path, {"kwh": 2} | last_updated, to=cast.emsp)) == 1000
    [session] = Session.objects.named(session_id)
    assert session.kwh == 2
    assert session.last_updated == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_an_older_patch_never_wins_and_an_equally_old_one_does(cast):
    cast.cpo.put_session("PATCH-7", cast.emsp, kwh=1)
    path = cast.cpo.session_path("PATCH-7")
    older = {"kwh": 2, "charging_periods": [period(9)], "last_updated": "2026-03-01T09:00:00Z"}
    assert code(cast.cpo.send("PATCH", path, older, to=cast.emsp)) == 1000
    assert kept("PATCH-7")["kwh"] == 1
    assert not kept("PATCH-7").get("charging_periods")
    equal = {"kwh": 3, "last_updated": "2026-03-01T10:00:00Z"}
    cast.cpo.send("PATCH", path, equal, to=cast.emsp)
    assert kept("PATCH-7")["kwh"] == 3


def test_a_refused_patch_changes_nothing(cast):
    cast.cpo.put_session("PATCH-8", cast.emsp, kwh=1)
    cast.emsp.answers("PATCH-8", Reply(status_code=2003, message="Who is this?"))
    patch = {"kwh": 2, "last_updated": LATER}
    response = cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-8"), patch, to=cast.emsp)
    assert (code(response), response.json()["status_message"]) == (2003, "Who is this?")
    assert kept("PATCH-8")["kwh"] == 1


def test_without_to_the_kept_session_names_the_receiver_in_any_case(cast):
    cast.cpo.put_session("Patch-9", cast.emsp)
    path = cast.cpo.session_path("pATCH-9").lower().replace("receiver/", "receiver/")
    response = cast.cpo.send("PATCH", path, {"kwh": 2, "last_updated": LATER})
    assert code(response) == 1000
    [message] = cast.emsp.got("Patch-9", method="PATCH")
    assert message.to_party == cast.emsp.party
    assert kept("PATCH-9")["kwh"] == 2


def test_without_to_a_session_that_nobody_knows_is_answered_with_4001(cast):
    path = cast.cpo.session_path("PATCH-10")
    response = cast.cpo.send("PATCH", path, {"kwh": 2, "last_updated": LATER})
    assert (response.status_code, code(response)) == (200, 4001)


def test_without_to_somebody_elses_session_of_that_id_is_not_taken_for_ones_own(cast):
    cast.other_cpo.put_session("PATCH-11", cast.emsp, kwh=1)
    path = cast.cpo.session_path("PATCH-11")
    response = cast.cpo.send("PATCH", path, {"kwh": 2, "last_updated": LATER})
    assert code(response) == 4001
    assert kept("PATCH-11")["kwh"] == 1


def test_a_patch_of_another_cpos_session_changes_nothing(cast):
    cast.cpo.put_session("PATCH-12", cast.emsp, kwh=1)
    patch = {"kwh": 2, "last_updated": LATER}
    cast.other_cpo.send("PATCH", cast.cpo.session_path("PATCH-12"), patch, to=cast.emsp)
    assert kept("PATCH-12")["kwh"] == 1


def test_a_patch_of_a_session_that_the_hub_never_saw_is_passed_on_and_not_kept(cast):
    path = cast.cpo.session_path("PATCH-13")
    response = cast.cpo.send("PATCH", path, {"kwh": 2, "last_updated": LATER}, to=cast.emsp)
    assert code(response) == 1000
    assert len(cast.emsp.got("PATCH-13")) == 1
    assert not Session.objects.named("PATCH-13").exists()


@pytest.mark.parametrize("changes", [{"id": "OTHER"}, {"party_id": "ZZZ"}, {"country_code": "QQ"}])
def test_a_patch_cannot_give_a_session_another_identity(cast, changes):
    session_id = f"PATCH-14-{next(iter(changes))}"
    cast.cpo.put_session(session_id, cast.emsp, kwh=1)
    patch = changes | {"kwh": 2, "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path(session_id), patch, to=cast.emsp)
    assert kept(session_id) == cast.cpo.session(session_id, cast.emsp, kwh=1)


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"status": "GONE"}, ("status", "GONE")),
        ({"last_updated": "0001-01-01T00:00:00+14:00"}, ("status", "ACTIVE")),
        ({"charging_periods": 5}, ("status", "ACTIVE")),
        ({"cdr_token": None}, ("token_uid", "TOKEN-1")),
        ({"location_id": ""}, ("location_id", "LOC1")),
    ],
)
def test_a_patch_that_its_receiver_took_is_kept_whatever_it_leaves(cast, changes, column):
    session_id = f"PATCH-15-{next(iter(changes))}"
    cast.cpo.put_session(session_id, cast.emsp, kwh=1)
    patch = {"kwh": 2, "last_updated": LATER} | changes
    response = cast.cpo.send("PATCH", cast.cpo.session_path(session_id), patch, to=cast.emsp)
    assert (response.status_code, code(response)) == (200, 1000)
    assert kept(session_id)["kwh"] == 2
    [session] = Session.objects.named(session_id)
    name, value = column
    assert getattr(session, name) == value
    assert session.emsp == cast.emsp.party


def test_a_patch_that_is_no_object_is_passed_on_and_not_kept(cast):
    cast.cpo.put_session("PATCH-16", cast.emsp, kwh=1)
    response = cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-16"), b"[]", to=cast.emsp)
    assert (response.status_code, code(response)) == (200, 1000)
    assert kept("PATCH-16")["kwh"] == 1


def test_a_field_can_be_taken_back_with_null(cast):
    cast.cpo.put_session("PATCH-17", cast.emsp, total_cost={"excl_vat": 1})
    patch = {"total_cost": None, "last_updated": LATER}
    cast.cpo.send("PATCH", cast.cpo.session_path("PATCH-17"), patch, to=cast.emsp)
    assert kept("PATCH-17")["total_cost"] is None


def test_inner_objects_have_no_url_of_their_own(cast):
    path = f"{cast.cpo.session_path('PATCH-18')}/cdr_token"
    response = cast.cpo.send("PATCH", path, {"last_updated": LATER}, to=cast.emsp)
    assert response.status_code == 404
    assert cast.emsp.got("PATCH-18") == []


def test_a_nul_in_the_url_is_no_error_of_the_hub(cast):
    patch = {"kwh": 2, "last_updated": LATER}
    for to in (None, cast.emsp):
        response = cast.cpo.send("PATCH", cast.cpo.session_path("A%00B"), patch, to=to)
        assert response.status_code < 500
