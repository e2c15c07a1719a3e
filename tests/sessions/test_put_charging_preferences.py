"""PUT of ChargingPreferences through the hub (mod_sessions, Sender Interface, PUT Method)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from flex.models import PreferenceCopy
from party.messages import Reply
from tests.scripted import Exactly, code

WISHES: dict[str, Any] = {
    "profile_type": "CHEAP",
    "departure_time": "2026-03-01T18:00:00Z",
    "energy_need": 12.5,
}


def path(session_id: str) -> str:
    return f"sender/sessions/{session_id}/charging_preferences"


def copies(session_id: str) -> list[PreferenceCopy]:
    return list(PreferenceCopy.objects.filter(session__session_id=session_id).order_by("id"))


def test_preferences_reach_the_cpo_byte_for_byte(cast):
    cast.cpo.put_session("PREF-1", cast.emsp)
    body = b'{ "energy_need" : 12.50,\n"profile_type":"CHEAP", "x_soc": 0.10 }'
    cast.emsp.send("PUT", path("PREF-1"), body, to=cast.cpo)
    [message] = cast.cpo.got("PREF-1")
    assert message.body == body
    assert message.parts == ("PREF-1", "charging_preferences")
    assert (message.from_party, message.to_party) == (cast.emsp.party, cast.cpo.party)
    assert bytes(copies("PREF-1")[0].document) == body


@pytest.mark.parametrize(
    "said",
    [
        "ACCEPTED",
        "DEPARTURE_REQUIRED",
        "ENERGY_NEED_REQUIRED",
        "NOT_POSSIBLE",
        "PROFILE_TYPE_NOT_SUPPORTED",
    ],
)
def test_every_response_of_the_cpo_is_passed_on_and_kept(cast, said):
    session_id = f"PREF-2-{said}"[:36]
    cast.cpo.put_session(session_id, cast.emsp)
    content = b'{"data":"%s","status_code":1000, "timestamp":"2026-03-01T10:00:00Z"}'
    cast.cpo.answers(session_id, Exactly(content=content % said.encode()))
    response = cast.emsp.send("PUT", path(session_id), WISHES, to=cast.cpo)
    assert (response.status_code, response.content) == (200, content % said.encode())
    [copy] = copies(session_id)
    assert (copy.cpo_http_status, copy.cpo_status_code, copy.cpo_answer) == (200, 1000, said)


def test_an_evse_that_cannot_is_told_with_404_and_2001_and_the_wishes_are_kept(cast):
    cast.cpo.put_session("PREF-3", cast.emsp, kwh=3.25)
    refusal = Reply(http_status=404, status_code=2001, message="not capable")
    cast.cpo.answers("PREF-3", refusal)
    response = cast.emsp.send("PUT", path("PREF-3"), WISHES, to=cast.cpo)
    assert (response.status_code, code(response)) == (404, 2001)
    assert response.json()["status_message"] == "not capable"
    [copy] = copies("PREF-3")
    assert (copy.cpo_http_status, copy.cpo_status_code, copy.cpo_answer) == (404, 2001, "")
    assert (copy.profile_type, copy.energy_need) == ("CHEAP", Decimal("12.5"))
    assert copy.departure_time == datetime(2026, 3, 1, 18, tzinfo=UTC)
    assert copy.kwh_at_receipt == Decimal("3.25")
    assert copy.discharge_allowed is None


def test_a_response_in_a_list_of_one_is_understood_and_passed_on_as_it_is(cast):
    cast.cpo.put_session("PREF-4", cast.emsp)
    cast.cpo.answers("PREF-4", Reply(["NOT_POSSIBLE"]))
    response = cast.emsp.send("PUT", path("PREF-4"), WISHES, to=cast.cpo)
    assert response.json()["data"] == ["NOT_POSSIBLE"]
    assert copies("PREF-4")[0].cpo_answer == "NOT_POSSIBLE"


@pytest.mark.parametrize(
    ("session_id", "status_code", "data", "kept"),
    [
        ("PREF-O1", b"100000", b'"ACCEPTED"', (None, "ACCEPTED")),
        ("PREF-O2", b"-1", b'"ACCEPTED"', (None, "ACCEPTED")),
        ("PREF-O3", b"99999999999999999999999", b"[]", (None, "")),
        ("PREF-O4", b"1000", b'"ACC\\u0000EPTED"', (1000, "ACCEPTED")),
    ],
)
def test_an_odd_answer_of_the_cpo_is_passed_on_and_the_wishes_are_kept(
    cast, session_id, status_code, data, kept
):
    cast.cpo.put_session(session_id, cast.emsp)
    content = b'{"status_code":%s,"data":%s}' % (status_code, data)
    cast.cpo.answers(session_id, Exactly(content=content))
    response = cast.emsp.send("PUT", path(session_id), WISHES, to=cast.cpo)
    assert (response.status_code, response.content) == (200, content)
    [copy] = copies(session_id)
    assert (copy.cpo_status_code, copy.cpo_answer) == kept


def test_every_wish_is_kept_the_newest_last(cast):
    cast.cpo.put_session("PREF-5", cast.emsp)
    for energy in (1, 2, 3):
        cast.emsp.send("PUT", path("PREF-5"), WISHES | {"energy_need": energy}, to=cast.cpo)
    assert [copy.energy_need for copy in copies("PREF-5")] == [1, 2, 3]


def test_without_to_the_session_names_the_cpo_in_any_case(cast):
    cast.cpo.put_session("Pref-6", cast.emsp)
    response = cast.emsp.send("PUT", path("pREF-6"), WISHES)
    assert response.json()["data"] == "ACCEPTED"
    [message] = cast.cpo.got("PREF-6")
    assert message.to_party == cast.cpo.party
    assert message.parts[0] == "pREF-6"
    assert len(copies("Pref-6")) == 1


def test_without_to_two_sessions_of_that_id_are_refused_with_both_cpos_named(cast):
    cast.cpo.put_session("PREF-7", cast.emsp)
    cast.other_cpo.put_session("PREF-7", cast.emsp)
    response = cast.emsp.send("PUT", path("PREF-7"), WISHES)
    assert (response.status_code, code(response)) == (200, 4001)
    reason = response.json()["status_message"]
    assert str(cast.cpo) in reason
    assert str(cast.other_cpo) in reason
    assert cast.cpo.got("PREF-7") == cast.other_cpo.got("PREF-7") == []


def test_with_to_the_right_one_of_two_is_reached_and_kept(cast):
    cast.cpo.put_session("PREF-8", cast.emsp)
    cast.other_cpo.put_session("PREF-8", cast.emsp)
    cast.emsp.send("PUT", path("PREF-8"), WISHES, to=cast.other_cpo)
    assert len(cast.other_cpo.got("PREF-8")) == 1
    assert cast.cpo.got("PREF-8") == []
    assert [copy.session.owner for copy in copies("PREF-8")] == [cast.other_cpo.party]


def test_another_emsps_session_of_the_same_id_does_not_make_it_ambiguous(cast):
    cast.cpo.put_session("PREF-9", cast.emsp)
    cast.other_cpo.put_session("PREF-9", cast.other_emsp)
    response = cast.emsp.send("PUT", path("PREF-9"), WISHES)
    assert response.json()["data"] == "ACCEPTED"
    assert len(cast.cpo.got("PREF-9")) == 1
    assert cast.other_cpo.got("PREF-9") == []


def test_a_stranger_is_told_404_and_the_cpo_is_not_bothered(cast):
    cast.cpo.put_session("PREF-10", cast.emsp)
    response = cast.other_emsp.send("PUT", path("PREF-10"), WISHES, to=cast.cpo)
    assert response.status_code == 404
    assert 2000 <= code(response) < 3000
    assert cast.cpo.got("PREF-10") == []
    assert copies("PREF-10") == []


def test_without_to_a_stranger_learns_nothing_of_the_session(cast):
    cast.cpo.put_session("PREF-11", cast.emsp)
    response = cast.other_emsp.send("PUT", path("PREF-11"), WISHES)
    unknown = cast.other_emsp.send("PUT", path("PREF-00"), WISHES)
    assert code(response) == code(unknown) == 4001
    assert str(cast.cpo) not in response.text
    assert (
        response.json()["status_message"].replace("PREF-11", "PREF-00")
        == (unknown.json()["status_message"])
    )
    assert cast.cpo.got("PREF-11") == []


def test_a_session_that_the_hub_does_not_know_is_left_to_the_cpo(cast):
    cast.cpo.answers("PREF-12", Reply(status_code=2001, message="no such session"))
    response = cast.emsp.send("PUT", path("PREF-12"), WISHES, to=cast.cpo)
    assert (response.status_code, code(response)) == (200, 2001)
    assert copies("PREF-12") == []


def test_a_cpo_that_fails_is_passed_on_and_the_wishes_are_kept(cast):
    cast.cpo.put_session("PREF-13", cast.emsp)
    content = b"<h1>Internal Server Error</h1>"
    cast.cpo.answers("PREF-13", Exactly(http_status=500, content=content))
    response = cast.emsp.send("PUT", path("PREF-13"), WISHES, to=cast.cpo)
    assert response.status_code == 500
    assert code(response) == 4000
    [copy] = copies("PREF-13")
    assert (copy.cpo_http_status, copy.cpo_status_code, copy.cpo_answer) == (500, None, "")


@pytest.mark.parametrize(
    ("session_id", "body"),
    [
        ("PREF-14-A", {}),
        ("PREF-14-B", {"profile_type": "SLOW"}),
        ("PREF-14-C", {"profile_type": "CHEAP", "energy_need": "much"}),
        ("PREF-14-D", {"profile_type": "CHEAP", "energy_need": "NaN"}),
        ("PREF-14-E", {"profile_type": "CHEAP", "departure_time": "soon"}),
        ("PREF-14-F", {"profile_type": "CHEAP", "departure_time": "9999-12-31T23:59:59-14:00"}),
    ],
)
def test_what_is_no_charging_preferences_is_for_the_cpo_to_refuse(cast, session_id, body):
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.answers(session_id, Reply(status_code=2001))
    response = cast.emsp.send("PUT", path(session_id), body, to=cast.cpo)
    assert (response.status_code, code(response)) == (200, 2001)
    assert copies(session_id) == []


@pytest.mark.parametrize(
    ("session_id", "kwh", "need"),
    [
        ("PREF-15-A", 1, "1e12"),
        ("PREF-15-B", 1, "1e400"),
        ("PREF-15-C", 1, "-1e30"),
        ("PREF-15-D", 1, "12.123456789"),
        ("PREF-15-E", 1e30, "1"),
        ("PREF-15-F", 1, "999999.99999"),
    ],
)
def test_numbers_of_any_size_are_no_error_of_the_hub(cast, session_id, kwh, need):
    cast.cpo.put_session(session_id, cast.emsp, kwh=kwh)
    body = b'{"profile_type":"CHEAP","energy_need":%s}' % need.encode()
    response = cast.emsp.send("PUT", path(session_id), body, to=cast.cpo)
    assert (response.status_code, response.json()["data"]) == (200, "ACCEPTED")
    assert [bytes(copy.document) for copy in copies(session_id)] == [body]


def test_what_is_not_json_never_reaches_the_cpo(cast):
    cast.cpo.put_session("PREF-16", cast.emsp)
    response = cast.emsp.send("PUT", path("PREF-16"), b"{", to=cast.cpo)
    assert response.status_code == 400
    assert cast.cpo.got("PREF-16") == []


def test_the_suffix_is_required(cast):
    cast.cpo.put_session("PREF-17", cast.emsp)
    response = cast.emsp.send("PUT", "sender/sessions/PREF-17", WISHES, to=cast.cpo)
    assert response.status_code == 404
    assert cast.cpo.got("PREF-17") == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_preferences_know_put_alone(cast, method):
    response = cast.emsp.send(method, path("PREF-18"), WISHES, to=cast.cpo)
    assert response.status_code == 405


def test_a_nul_in_the_url_is_no_error_of_the_hub(cast):
    for to in (None, cast.cpo):
        response = cast.emsp.send("PUT", path("A%00B"), WISHES, to=to)
        assert response.status_code < 500
