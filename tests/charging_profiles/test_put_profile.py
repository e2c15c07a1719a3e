"""PUT of a ChargingProfile through the hub (mod_charging_profiles, Receiver Interface)."""

from typing import Any

import msgspec
import pytest

from charging_profiles.models import CommandState, ProfileCommand
from tests.running_hub import changed_setting
from tests.scripted import PROFILE, code, url_given


def command(session_id: str) -> ProfileCommand:
    return ProfileCommand.objects.get(session_id_sent__iexact=session_id)


def test_the_cpo_gets_the_bytes_of_the_sender_but_for_the_response_url(cast):
    cast.cpo.put_session("PUT-1", cast.emsp)
    own = cast.emsp.response_url("PUT-1").encode()
    body = (
        b'{"x_before":1.50,"response_url":"%s","charging_profile":{ "charging_rate_unit": "A",'
        b'"min_charging_rate":6.0,"x_vendor":[1e2,null,"\\u00e9"],"charging_profile_period":'
        b'[{"limit":8.10,"start_period":0}]},"x_after":{"b":1,"a":0.10}}' % own
    )
    response = cast.emsp.send("PUT", "receiver/chargingprofiles/PUT-1", body, to=cast.cpo)
    assert (response.status_code, response.json()["data"]["result"]) == (200, "ACCEPTED")
    [message] = cast.cpo.asked("PUT-1")
    assert message.body == body.replace(own, url_given(message).encode())
    assert (message.method, message.parts) == ("PUT", ("PUT-1",))
    assert (message.from_party, message.to_party) == (cast.emsp.party, cast.cpo.party)


def test_ids_of_the_message_are_as_the_text_wants_them(cast):
    cast.cpo.put_session("PUT-2", cast.emsp)
    body = {"charging_profile": PROFILE, "response_url": cast.emsp.response_url("PUT-2")}
    sent = {"X-Request-ID": "request-2", "X-Correlation-ID": "correlation-2"}
    path = "receiver/chargingprofiles/PUT-2"
    response = cast.emsp.send("PUT", path, body, to=cast.cpo, headers=sent)
    [message] = cast.cpo.asked("PUT-2")
    assert message.headers["X-Correlation-ID"] == "correlation-2"
    assert message.headers["X-Request-ID"] not in ("", "request-2")
    back = response.headers
    assert (back["X-Request-ID"], back["X-Correlation-ID"]) == ("request-2", "correlation-2")
    assert (back["OCPI-from-country-code"], back["OCPI-from-party-id"]) == cast.cpo.party
    assert (back["OCPI-to-country-code"], back["OCPI-to-party-id"]) == cast.emsp.party


def test_each_command_gets_a_url_of_the_hub_that_fits_and_is_its_own(cast):
    cast.cpo.put_session("PUT-3", cast.emsp)
    for _ in range(2):
        cast.emsp.put_profile("PUT-3", to=cast.cpo)
    first, second = (url_given(message) for message in cast.cpo.asked("PUT-3", count=2))
    assert first.startswith(f"{cast.hub.url}/")
    assert first != second
    assert len(first) <= 255


def test_without_to_the_session_names_the_cpo_in_any_case(cast):
    cast.cpo.put_session("Put-4", cast.emsp)
    response = cast.emsp.put_profile("pUT-4")
    assert response.json()["data"]["result"] == "ACCEPTED"
    [message] = cast.cpo.asked("PUT-4")
    assert (message.to_party, message.parts) == (cast.cpo.party, ("pUT-4",))
    assert command("PUT-4").session is not None


def test_without_to_two_sessions_of_that_id_are_refused_with_both_cpos_named(cast):
    cast.cpo.put_session("PUT-5", cast.emsp)
    cast.other_cpo.put_session("PUT-5", cast.emsp)
    response = cast.emsp.put_profile("PUT-5")
    assert (response.status_code, code(response)) == (200, 4001)
    reason = response.json()["status_message"]
    assert str(cast.cpo) in reason
    assert str(cast.other_cpo) in reason
    assert cast.emsp.put_profile("PUT-5", to=cast.other_cpo).json()["data"]["result"] == "ACCEPTED"
    assert len(cast.other_cpo.asked("PUT-5")) == 1
    assert cast.cpo.got("PUT-5", module="chargingprofiles") == []


def test_another_emsps_session_of_the_same_id_does_not_make_it_ambiguous(cast):
    cast.cpo.put_session("PUT-6", cast.emsp)
    cast.other_cpo.put_session("PUT-6", cast.other_emsp)
    assert cast.emsp.put_profile("PUT-6").json()["data"]["result"] == "ACCEPTED"
    assert len(cast.cpo.asked("PUT-6")) == 1


def test_a_session_that_nobody_knows_is_an_unknown_session(cast):
    response = cast.emsp.put_profile("PUT-7")
    assert (response.status_code, code(response)) == (200, 1000)
    data = response.json()["data"]
    assert data["result"] == "UNKNOWN_SESSION"
    assert isinstance(data["timeout"], int)


def test_without_to_a_stranger_does_not_learn_that_the_session_exists(cast):
    cast.cpo.put_session("PUT-8", cast.emsp)
    strange = cast.other_emsp.put_profile("PUT-8").json()
    assert strange["data"]["result"] in {"UNKNOWN_SESSION", "REJECTED"}
    assert str(cast.cpo) not in str(strange)
    assert cast.cpo.got("PUT-8", module="chargingprofiles") == []


def test_a_session_that_only_the_cpo_knows_is_left_to_it_when_an_emsp_asks(cast):
    assert cast.emsp.put_profile("PUT-9", to=cast.cpo).json()["data"]["result"] == "ACCEPTED"
    assert len(cast.cpo.asked("PUT-9")) == 1
    rejected = cast.scsp.put_profile("PUT-9", to=cast.cpo)
    assert rejected.json()["data"]["result"] == "REJECTED"
    assert len(cast.cpo.asked("PUT-9")) == 1


def test_an_unknown_receiver_is_answered_with_4001(cast):
    response = cast.emsp.put_profile("PUT-10", to=type(cast.cpo.party)("QQ", "QQQ"))
    assert (response.status_code, code(response)) == (200, 4001)


def good(**changes: Any) -> dict[str, Any]:
    """A SetChargingProfile without its response_url."""
    return {"charging_profile": PROFILE} | changes


@pytest.mark.parametrize(
    "wrong",
    [
        good(response_url=None),
        good(response_url=17),
        good(response_url=""),
        good(response_url="/results/1"),
        good(response_url="ftp://127.0.0.1/results"),
        good(response_url="http://"),
        good(response_url="http://user:secret@127.0.0.1/results"),
        good(response_url="http://127.0.0.1/" + "x" * 239),
        good(response_url="http://127.0.0.1/\u0000"),
    ],
    ids=str,
)
def test_a_response_url_that_nobody_could_call_is_refused_and_the_cpo_not_bothered(cast, wrong):
    cast.cpo.put_session("PUT-11", cast.emsp)
    body = {"response_url": cast.emsp.response_url("PUT-11")} | wrong
    response = cast.emsp.send("PUT", "receiver/chargingprofiles/PUT-11", body, to=cast.cpo)
    assert (response.status_code, code(response)) == (200, 2001)
    assert cast.cpo.got("PUT-11", module="chargingprofiles") == []


@pytest.mark.parametrize(
    "odd",
    [
        good(charging_profile=None),
        good(charging_profile=[PROFILE]),
        good(charging_profile=PROFILE | {"charging_rate_unit": "kW"}),
        good(charging_profile=PROFILE | {"duration": "an hour"}),
        good(charging_profile=PROFILE | {"charging_profile_period": [{"start_period": 0}]}),
        good(charging_profile=PROFILE | {"charging_profile_period": {"start_period": 0}}),
        good(charging_profile=PROFILE | {"start_date_time": "soon"}),
        good(charging_profile=PROFILE | {"min_charging_rate": "six"}),
        good(charging_profile=PROFILE | {"duration": 3600.0}),
        good(charging_profile=PROFILE | {"start_date_time": "2026-03-01T10:00:00+00:00"}),
        good(charging_profile=PROFILE | {"start_date_time": "2026-03-01 10:00:00"}),
        good(charging_profile=PROFILE | {"min_charging_rate": ""}),
        good(charging_profile=PROFILE | {"charging_profile_period": []}),
        good(charging_profile={}),
        {},
    ],
    ids=str,
)
def test_the_profile_is_the_cpos_to_judge(cast, odd):
    session_id = f"ODD-{abs(hash(str(odd))) % 10**9}"
    cast.cpo.put_session(session_id, cast.emsp)
    body = {"response_url": cast.emsp.response_url(session_id)} | odd
    path = f"receiver/chargingprofiles/{session_id}"
    assert cast.emsp.send("PUT", path, body).json()["data"]["result"] == "ACCEPTED"
    [message] = cast.cpo.asked(session_id)
    assert message.json() | {"response_url": ""} == body | {"response_url": ""}
    result = b'{ "result":"REJECTED" }'
    assert code(cast.cpo.post_result(url_given(message), result)) == 1000
    assert cast.emsp.results(session_id)[0].body == result


def test_without_a_response_url_it_is_refused(cast):
    cast.cpo.put_session("PUT-12", cast.emsp)
    path = "receiver/chargingprofiles/PUT-12"
    response = cast.emsp.send("PUT", path, good(), to=cast.cpo)
    assert (response.status_code, code(response)) == (200, 2001)
    assert "response_url" in response.json()["status_message"]
    assert cast.cpo.got("PUT-12", module="chargingprofiles") == []


def test_a_response_url_of_255_characters_is_taken(cast):
    cast.cpo.put_session("PUT-13", cast.emsp)
    url = f"{cast.emsp.response_url('PUT-13')}?pad="
    body = good(response_url=url.ljust(255, "x"))
    response = cast.emsp.send("PUT", "receiver/chargingprofiles/PUT-13", body, to=cast.cpo)
    assert response.json()["data"]["result"] == "ACCEPTED"
    assert command("PUT-13").response_url == body["response_url"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x",
        "http://localhost:1/x",
        "http://10.1.2.3/x",
        "http://192.168.1.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://0.0.0.0/x",
        "http://2130706433/x",
    ],
)
def test_a_response_url_in_a_private_network_is_refused_where_that_is_not_allowed(cast, url):
    cast.cpo.put_session("PUT-14", cast.emsp)
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        body = good(response_url=url)
        response = cast.emsp.send("PUT", "receiver/chargingprofiles/PUT-14", body, to=cast.cpo)
    assert (response.status_code, code(response)) == (200, 2001)
    assert cast.cpo.got("PUT-14", module="chargingprofiles") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]]", b"\xff"])
def test_what_is_not_json_is_answered_with_400(cast, body):
    cast.cpo.put_session("PUT-15", cast.emsp)
    response = cast.emsp.send("PUT", "receiver/chargingprofiles/PUT-15", body, to=cast.cpo)
    assert response.status_code == 400
    assert cast.cpo.got("PUT-15", module="chargingprofiles") == []


def test_a_session_id_longer_than_the_text_allows_is_taken_up_to_a_limit(cast):
    url = cast.emsp.response_url("LONG")
    response = cast.emsp.put_profile("x" * 255, to=cast.cpo, response_url=url)
    assert response.json()["data"]["result"] == "ACCEPTED"
    response = cast.emsp.put_profile("x" * 256, to=cast.cpo, response_url=url)
    assert (response.status_code, code(response)) == (200, 2001)
    assert cast.cpo.got("x" * 256) == []


def test_a_session_id_counts_its_characters_not_their_encoding(cast):
    encoded = "a%20" * 17 + "aa"
    response = cast.emsp.put_profile(encoded, to=cast.cpo)
    assert response.json()["data"]["result"] == "ACCEPTED"
    assert cast.cpo.asked("a " * 17 + "aa")[0].path.endswith(f"/{encoded}")


def test_a_nul_in_the_session_id_is_no_error_of_the_hub(cast):
    for to in (None, cast.cpo):
        assert cast.emsp.put_profile("A%00B", to=to).status_code < 500


def test_fields_that_are_null_are_as_good_as_absent(cast):
    cast.cpo.put_session("PUT-16", cast.emsp)
    profile = PROFILE | {"start_date_time": None, "duration": None, "min_charging_rate": None}
    response = cast.emsp.put_profile("PUT-16", charging_profile=profile)
    assert response.json()["data"]["result"] == "ACCEPTED"
    assert cast.cpo.asked("PUT-16")[0].json()["charging_profile"] == profile


def test_the_command_is_written_down(cast):
    cast.cpo.put_session("PUT-17", cast.emsp)
    cast.emsp.put_profile("PUT-17")
    row = command("PUT-17")
    assert (row.method, row.fsp, row.cpo) == ("PUT", cast.emsp.party, cast.cpo.party)
    assert row.response_url == cast.emsp.response_url("PUT-17")
    assert (row.state, row.attempts) == (CommandState.ACCEPTED, 1)
    assert msgspec.json.decode(bytes(row.answer_body))["data"]["result"] == "ACCEPTED"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_other_methods_are_not_allowed(cast, method):
    path = "receiver/chargingprofiles/PUT-18"
    assert cast.emsp.send(method, path, {}, to=cast.cpo).status_code == 405


def test_a_cpo_without_the_module_is_told(cast):
    response = cast.emsp.put_profile("PUT-19", to=cast.without_profiles)
    assert (response.status_code, code(response)) == (200, 4000)
    assert str(cast.without_profiles) in response.json()["status_message"]
