"""DELETE of a ChargingProfile through the hub (mod_charging_profiles, Receiver Interface)."""

import pytest

from charging_profiles.models import ProfileCommand
from tests.scripted import code, url_given

PATH = "receiver/chargingprofiles/"


def test_the_cpo_gets_a_url_of_the_hub_and_no_body(cast):
    cast.cpo.put_session("DEL-1", cast.emsp)
    assert cast.emsp.delete_profile("DEL-1").json()["data"]["result"] == "ACCEPTED"
    [message] = cast.cpo.asked("DEL-1")
    assert (message.method, message.body, set(message.query)) == ("DELETE", b"", {"response_url"})
    assert url_given(message).startswith(f"{cast.hub.url}/")


def test_the_example_of_the_text_has_an_unencoded_url(cast):
    cast.cpo.put_session("DEL-2", cast.emsp)
    url = cast.emsp.response_url("DEL-2")
    cast.emsp.send("DELETE", f"{PATH}DEL-2?response_url={url}")
    assert ProfileCommand.objects.get(session_id_sent="DEL-2").response_url == url


def test_without_a_response_url_it_is_refused(cast):
    cast.cpo.put_session("DEL-3", cast.emsp)
    response = cast.emsp.send("DELETE", f"{PATH}DEL-3")
    assert (response.status_code, code(response)) == (200, 2001)
    assert cast.cpo.got("DEL-3", module="chargingprofiles") == []


@pytest.mark.parametrize("body", [b"not json", b"[]"])
def test_a_body_means_nothing(cast, body):
    session_id = f"DEL-4-{body.hex()}"
    cast.cpo.put_session(session_id, cast.emsp)
    path = f"{PATH}{session_id}?response_url={cast.emsp.response_url(session_id)}"
    assert cast.emsp.send("DELETE", path, body).json()["data"]["result"] == "ACCEPTED"


def test_a_stranger_is_rejected_and_the_cpo_not_bothered(cast):
    cast.cpo.put_session("DEL-5", cast.emsp)
    response = cast.other_emsp.delete_profile("DEL-5", to=cast.cpo)
    assert (code(response), response.json()["data"]["result"]) == (1000, "REJECTED")
    assert cast.cpo.got("DEL-5", module="chargingprofiles") == []


def test_a_delete_makes_nobody_the_fsp(cast):
    cast.cpo.put_session("DEL-6", cast.emsp)
    cast.cpo.put_session("DEL-6", cast.emsp, to=cast.scsp)
    assert cast.scsp.delete_profile("DEL-6").json()["data"]["result"] == "ACCEPTED"
    assert cast.emsp.put_profile("DEL-6").json()["data"]["result"] == "ACCEPTED"
