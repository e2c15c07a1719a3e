"""GET of the ActiveChargingProfile through the hub (mod_charging_profiles, Receiver Interface)."""

from urllib.parse import quote

import pytest

from charging_profiles.models import ProfileCommand
from tests.scripted import code, url_given

PATH = "receiver/chargingprofiles/"


def test_the_cpo_gets_the_duration_and_a_url_of_the_hub(cast):
    cast.cpo.put_session("GET-1", cast.emsp)
    assert cast.emsp.get_profile("GET-1").json()["data"]["result"] == "ACCEPTED"
    [message] = cast.cpo.asked("GET-1")
    assert (message.method, message.body) == ("GET", b"")
    assert message.query["duration"] == "900"
    assert url_given(message).startswith(f"{cast.hub.url}/")
    assert set(message.query) == {"duration", "response_url"}
    assert (message.from_party, message.to_party) == (cast.emsp.party, cast.cpo.party)


def test_the_example_of_the_text_has_an_unencoded_url_with_a_query_of_its_own(cast):
    cast.cpo.put_session("GET-2", cast.emsp)
    url = f"{cast.emsp.response_url('GET-2')}?request_id=5678"
    cast.emsp.send("GET", f"{PATH}GET-2?duration=900&response_url={url}")
    assert ProfileCommand.objects.get(session_id_sent="GET-2").response_url == url
    [message] = cast.cpo.asked("GET-2")
    assert set(message.query) == {"duration", "response_url"}
    assert message.query["duration"] == "900"


def test_an_unencoded_url_keeps_all_of_its_query_and_a_late_duration_is_found(cast):
    cast.cpo.put_session("GET-3", cast.emsp)
    url = f"{cast.emsp.response_url('GET-3')}?request_id=5678&more=1"
    cast.emsp.send("GET", f"{PATH}GET-3?response_url={url}&duration=60")
    assert ProfileCommand.objects.get(session_id_sent="GET-3").response_url == url
    assert cast.cpo.asked("GET-3")[0].query["duration"] == "60"


def test_an_encoded_url_comes_back_as_it_was(cast):
    cast.cpo.put_session("GET-4", cast.emsp)
    url = f"{cast.emsp.response_url('GET-4')}?a=b%20c&d=%26&duration=5"
    cast.emsp.send("GET", f"{PATH}GET-4?response_url={quote(url, safe='')}&duration=60")
    assert ProfileCommand.objects.get(session_id_sent="GET-4").response_url == url
    assert cast.cpo.asked("GET-4")[0].query["duration"] == "60"


def test_other_parameters_are_passed_on(cast):
    cast.cpo.put_session("GET-5", cast.emsp)
    url = quote(cast.emsp.response_url("GET-5"), safe="")
    cast.emsp.send("GET", f"{PATH}GET-5?x_vendor=a%20b&duration=60&response_url={url}&y=1")
    query = cast.cpo.asked("GET-5")[0].query
    assert (query["x_vendor"], query["y"], query["duration"]) == ("a b", "1", "60")


@pytest.mark.parametrize("duration", ["900.0", "9e2", "0900"])
def test_a_number_without_a_fraction_is_a_whole_number_and_passes_as_it_is(cast, duration):
    cast.cpo.put_session("GET-8", cast.emsp)
    url = quote(cast.emsp.response_url("GET-8"), safe="")
    response = cast.emsp.send("GET", f"{PATH}GET-8?response_url={url}&duration={duration}")
    assert response.json()["data"]["result"] == "ACCEPTED"
    assert cast.cpo.asked("GET-8")[-1].query["duration"] == duration


@pytest.mark.parametrize(
    "duration", ["", "&duration=", "&duration=x", "&duration=-1", "&duration=1.5", "&duration=%B2"]
)
def test_without_a_proper_duration_it_is_refused(cast, duration):
    cast.cpo.put_session("GET-6", cast.emsp)
    url = quote(cast.emsp.response_url("GET-6"), safe="")
    response = cast.emsp.send("GET", f"{PATH}GET-6?response_url={url}{duration}")
    assert (response.status_code, code(response)) == (200, 2001)
    assert "duration" in response.json()["status_message"]
    assert cast.cpo.got("GET-6", module="chargingprofiles") == []


@pytest.mark.parametrize(
    "query",
    [
        "duration=60",
        "duration=60&response_url=",
        "duration=60&response_url=nowhere",
        "duration=60&response_url=http%3A%2F%2F127.0.0.1%2F" + "x" * 239,
        "duration=60&response_url=http%3A%2F%2F127.0.0.1%2F%00",
    ],
    ids=["absent", "empty", "relative", "long", "nul"],
)
def test_without_a_proper_response_url_it_is_refused(cast, query):
    cast.cpo.put_session("GET-7", cast.emsp)
    response = cast.emsp.send("GET", f"{PATH}GET-7?{query}")
    assert (response.status_code, code(response)) == (200, 2001)
    assert cast.cpo.got("GET-7", module="chargingprofiles") == []


def test_a_long_query_is_no_error_of_the_hub(cast):
    cast.cpo.put_session("GET-8", cast.emsp)
    url = quote(cast.emsp.response_url("GET-8"), safe="")
    long = "x" * 2000
    response = cast.emsp.send("GET", f"{PATH}GET-8?duration=60&response_url={url}&pad={long}")
    assert (response.status_code, code(response)) == (200, 2001)


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", b'{"response_url": 1}'])
def test_a_body_means_nothing(cast, body):
    session_id = f"GET-9-{body.hex()[:20]}"
    cast.cpo.put_session(session_id, cast.emsp)
    url = quote(cast.emsp.response_url(session_id), safe="")
    path = f"{PATH}{session_id}?duration=60&response_url={url}"
    assert cast.emsp.send("GET", path, body).json()["data"]["result"] == "ACCEPTED"
    assert cast.cpo.asked(session_id)[0].body == b""


def test_who_was_sent_the_session_may_look(cast):
    cast.cpo.put_session("GET-10", cast.emsp)
    cast.cpo.put_session("GET-10", cast.emsp, to=cast.scsp)
    for looking in (cast.emsp, cast.scsp):
        assert looking.get_profile("GET-10").json()["data"]["result"] == "ACCEPTED"
    assert [message.from_party for message in cast.cpo.asked("GET-10", count=2)] == [
        cast.emsp.party,
        cast.scsp.party,
    ]


def test_a_stranger_may_not_look_and_the_cpo_is_not_bothered(cast):
    cast.cpo.put_session("GET-11", cast.emsp)
    response = cast.other_emsp.get_profile("GET-11", to=cast.cpo)
    assert (code(response), response.json()["data"]["result"]) == (1000, "REJECTED")
    assert cast.other_emsp.get_profile("GET-11").json()["data"]["result"] == "UNKNOWN_SESSION"
    assert cast.cpo.got("GET-11", module="chargingprofiles") == []


def test_looking_makes_nobody_the_fsp(cast):
    cast.cpo.put_session("GET-12", cast.emsp)
    cast.cpo.put_session("GET-12", cast.emsp, to=cast.scsp)
    cast.scsp.get_profile("GET-12")
    assert cast.emsp.put_profile("GET-12").json()["data"]["result"] == "ACCEPTED"


def test_a_session_that_only_the_cpo_knows_is_left_to_it(cast):
    assert cast.scsp.get_profile("GET-13", to=cast.cpo).json()["data"]["result"] == "ACCEPTED"
    assert len(cast.cpo.asked("GET-13")) == 1
