"""Results and answers however a CPO spells them (mod_charging_profiles, Object description)."""

import json

import pytest

from charging_profiles.models import CommandState, ProfileCommand
from hub.ocpi.datatypes import Role
from party.messages import Reply
from tests.hub.deviations.counts import counts_of
from tests.hub.strangers import until
from tests.scripted import PROFILE, Actor, Exactly, code, url_given

ACTIVE = {"start_date_time": "2026-03-01T10:00:00Z", "charging_profile": PROFILE}


def active(**changes) -> bytes:
    return json.dumps({"result": "ACCEPTED", "profile": ACTIVE | changes}).encode()


PERIOD = {"start_period": 0.0, "limit": 8.0}
RESULTS = {
    "UTC": (active(start_date_time="2026-03-01T10:00:00+00:00"), "ACCEPTED"),
    "BLANK": (active(start_date_time="2026-03-01 10:00:00"), "ACCEPTED"),
    "NO-TIME": (active(start_date_time=None), "ACCEPTED"),
    "NO-PROFILE": (active(charging_profile=None), "ACCEPTED"),
    "EMPTY-PROFILE": (b'{"result":"ACCEPTED","profile":{}}', "ACCEPTED"),
    "TEXT-PROFILE": (b'{"result":"ACCEPTED","profile":"none"}', "ACCEPTED"),
    "FLOAT": (
        active(charging_profile=PROFILE | {"charging_profile_period": [PERIOD]}),
        "ACCEPTED",
    ),
    "DURATION": (active(charging_profile=PROFILE | {"duration": 900.0}), "ACCEPTED"),
    "LIST": (b'[ {"result":"REJECTED"} ]', "REJECTED"),
    "ENVELOPE": (b'{"status_code":1000,"data":{"result":"UNKNOWN"}}', "UNKNOWN"),
    "ENVELOPE-LIST": (b'{"status_code":1000,"data":[{"result":"REJECTED"}]}', "REJECTED"),
    "LOWER": (b'{"result":"accepted"}', "ACCEPTED"),
    "MIXED": (b'{"result":" Rejected "}', "REJECTED"),
    "NEW": (b'{"result":"ON_ITS_WAY"}', "OTHER"),
    "LONG": (b'{"result":"%s"}' % (b"x" * 3000), "OTHER"),
    "HUGE": (b'{"result":"ACCEPTED","n":%s}' % (b"9" * 5000), "ACCEPTED"),
    "HUGE-2": (b'{"result":"ACCEPTED","data":%s}' % (b"9" * 5000), "ACCEPTED"),
    "TWICE": (b'{"result":"REJECTED","result":"ACCEPTED"}', "ACCEPTED"),
}


def row(session_id: str) -> ProfileCommand:
    return ProfileCommand.objects.get(session_id_sent=session_id)


def accepted(cast, session_id: str, method: str = "GET") -> str:
    cast.cpo.put_session(session_id, cast.emsp)
    assert cast.emsp.command(method, session_id).json()["data"]["result"] == "ACCEPTED"
    return url_given(cast.cpo.asked(session_id)[0])


@pytest.mark.parametrize("name", RESULTS)
def test_whatever_result_the_cpo_posts_reaches_the_fsp_to_the_byte(cast, name):
    session_id, (body, said) = f"ODD-{name}", RESULTS[name]
    response = cast.cpo.post_result(accepted(cast, session_id), body)
    assert (response.status_code, code(response)) == (200, 1000)
    assert cast.emsp.results(session_id)[0].body == body
    command = row(session_id)
    assert (command.result, command.state) == (said, f"RESULT_{said}")


ANSWERS = {
    "LOWER": (b'{"result":"accepted","timeout":45}', 45),
    "FLOAT": (b'{"result":"ACCEPTED","timeout":45.0}', 45),
    "TEXT": (b'{"result":"ACCEPTED","timeout":"45"}', 45),
    "WORD": (b'{"result":"ACCEPTED","timeout":"soon"}', None),
    "NULL": (b'{"result":"ACCEPTED","timeout":null}', None),
    "HUGE": (b'{"result":"ACCEPTED","timeout":1e400}', None),
    "HUGE-INT": (b'{"result":"ACCEPTED","timeout":%s}' % (b"9" * 5000), None),
    "LIST": (b'[{"result":"ACCEPTED","timeout":45}]', 45),
    "BARE": (b'"ACCEPTED"', None),
    "BARE-LIST": (b'["accepted"]', None),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_answer_of_the_cpo_is_passed_on_and_understood(cast, name):
    session_id, (data, timeout) = f"ANS-{name}", ANSWERS[name]
    cast.cpo.put_session(session_id, cast.emsp)
    content = b'{"status_code":1000,"data": %s }' % data
    cast.cpo.answers(session_id, Exactly(content=content))
    assert cast.emsp.put_profile(session_id).content == content
    command = row(session_id)
    assert command.state == CommandState.ACCEPTED
    assert command.result_by is not None
    assert command.answered_at is not None
    if timeout is not None:
        assert (command.result_by - command.answered_at).total_seconds() == timeout
    cast.cpo.post_result(url_given(cast.cpo.asked(session_id)[0]), {"result": "ACCEPTED"})
    assert len(cast.emsp.results(session_id)) == 1


@pytest.mark.parametrize("data", [b'"NO"', b'{"result":5}'])
def test_an_answer_that_accepts_nothing_is_a_refusal_and_passes(cast, data):
    session_id = f"NOT-{data.hex()}"
    cast.cpo.put_session(session_id, cast.emsp)
    content = b'{"status_code":1000,"data":%s}' % data
    cast.cpo.answers(session_id, Exactly(content=content))
    assert cast.emsp.put_profile(session_id).content == content
    assert row(session_id).state == CommandState.REFUSED


def test_an_update_of_the_active_profile_passes_to_the_byte(cast):
    cast.cpo.put_session("UPD-1", cast.emsp)
    cast.emsp.put_profile("UPD-1")
    body = b'{ "start_date_time":"2026-03-01 10:00:00+00:00","charging_profile":{} }'
    response = cast.cpo.send("PUT", "sender/chargingprofiles/UPD-1", body)
    assert code(response) == 1000
    assert cast.emsp.got("UPD-1", module="chargingprofiles", method="PUT")[-1].body == body


def test_what_deviates_is_counted_for_who_sent_it(cast):
    cpo, emsp = Actor(cast.hub, Role.CPO), Actor(cast.hub, Role.EMSP)
    cpo.put_session("COUNTED", emsp)
    cpo.answers("COUNTED", Reply({"result": "ACCEPTED", "timeout": 30}))
    emsp.put_profile("COUNTED", charging_profile=PROFILE | {"duration": 900.0})
    cpo.post_result(url_given(cpo.asked("COUNTED")[0]), b'{"result":"accepted"}')
    at_emsp = {("whole-number", "SetChargingProfile.charging_profile.duration")}
    until(lambda: set(counts_of(emsp.party)) == at_emsp)
    until(lambda: set(counts_of(cpo.party)) == {("unknown-enum-value", "ProfileResult.result")})
