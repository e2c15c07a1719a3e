"""PUT of an ActiveChargingProfile by the CPO (mod_charging_profiles, Sender Interface, PUT)."""

import pytest

from party.messages import Reply
from tests.scripted import PROFILE, Exactly, code

ACTIVE = {"start_date_time": "2026-03-01T10:00:00Z", "charging_profile": PROFILE}


def path(session_id: str) -> str:
    return f"sender/chargingprofiles/{session_id}"


def updates(actor, session_id: str):
    found = actor.got(session_id, module="chargingprofiles", method="PUT")
    return [message for message in found if message.interface == "sender"]


def make_fsp(cast, session_id: str, fsp) -> None:
    """By its first PUT that the CPO accepts."""
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.put_session(session_id, cast.emsp, to=cast.scsp)
    assert fsp.put_profile(session_id).json()["data"]["result"] == "ACCEPTED"


def test_an_update_reaches_the_fsp_byte_for_byte(cast):
    make_fsp(cast, "UPD-1", cast.scsp)
    body = (
        b'{ "charging_profile" : {"charging_rate_unit":"A","x":1.50,"charging_profile_period":[]},'
        b'\n"start_date_time":"2026-03-01T10:00:00Z" }'
    )
    content = b'{"status_code":1000, "timestamp":"2026-03-01T10:00:00Z"}'
    cast.scsp.answers("UPD-1", Exactly(content=content))
    response = cast.cpo.send("PUT", path("UPD-1"), body, to=cast.scsp)
    assert response.content == content
    [message] = updates(cast.scsp, "UPD-1")
    assert message.body == body
    assert (message.from_party, message.to_party) == (cast.cpo.party, cast.scsp.party)


def test_without_to_it_goes_to_the_fsp(cast):
    make_fsp(cast, "UPD-2", cast.scsp)
    assert code(cast.cpo.send("PUT", path("upd-2"), ACTIVE)) == 1000
    [message] = updates(cast.scsp, "UPD-2")
    assert message.to_party == cast.scsp.party
    assert message.parts == ("upd-2",)
    assert updates(cast.emsp, "UPD-2") == []


def test_to_the_hub_it_goes_to_the_fsp(cast):
    make_fsp(cast, "UPD-3", cast.scsp)
    hub = next(iter(cast.cpo.platform.hub.parties))
    assert code(cast.cpo.send("PUT", path("UPD-3"), ACTIVE, to=hub)) == 1000
    assert updates(cast.scsp, "UPD-3")[0].to_party == cast.scsp.party


def test_addressed_to_somebody_else_it_goes_to_who_is_fsp_now(cast):
    make_fsp(cast, "UPD-4", cast.scsp)
    response = cast.cpo.send("PUT", path("UPD-4"), ACTIVE, to=cast.emsp)
    assert code(response) == 1000
    assert updates(cast.emsp, "UPD-4") == []
    assert updates(cast.scsp, "UPD-4")[0].to_party == cast.scsp.party
    back = response.headers
    assert (back["OCPI-to-country-code"], back["OCPI-to-party-id"]) == cast.cpo.party


def test_the_fsps_refusal_is_passed_on(cast):
    make_fsp(cast, "UPD-5", cast.emsp)
    cast.emsp.answers("UPD-5", Reply(status_code=2001, message="not mine"))
    response = cast.cpo.send("PUT", path("UPD-5"), ACTIVE, to=cast.emsp)
    assert (code(response), response.json()["status_message"]) == (2001, "not mine")


def test_of_a_session_without_fsp_it_goes_to_whom_the_cpo_names(cast):
    cast.cpo.put_session("UPD-6", cast.emsp)
    assert code(cast.cpo.send("PUT", path("UPD-6"), ACTIVE, to=cast.emsp)) == 1000
    assert len(updates(cast.emsp, "UPD-6")) == 1


def test_of_a_session_without_fsp_and_without_to_it_is_refused(cast):
    cast.cpo.put_session("UPD-7", cast.emsp)
    hub = next(iter(cast.cpo.platform.hub.parties))
    for to in (None, hub):
        response = cast.cpo.send("PUT", path("UPD-7"), ACTIVE, to=to)
        assert (response.status_code, code(response)) == (200, 4001)
    assert updates(cast.emsp, "UPD-7") == []


def test_another_cpos_session_of_the_same_id_is_another_session(cast):
    make_fsp(cast, "UPD-8", cast.scsp)
    response = cast.other_cpo.send("PUT", path("UPD-8"), ACTIVE)
    assert code(response) == 4001
    assert updates(cast.scsp, "UPD-8") == []


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(cast, method):
    assert cast.cpo.send(method, path("UPD-9"), ACTIVE, to=cast.emsp).status_code == 405
    assert cast.emsp.got("UPD-9") == []


def test_a_nul_in_the_session_id_is_no_error_of_the_hub(cast):
    assert cast.cpo.send("PUT", path("A%00B"), ACTIVE).status_code < 500
