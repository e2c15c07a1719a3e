"""The CPO's own answer to a profile command, inside the request (mod_charging_profiles, Flow)."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from charging_profiles import tasks
from charging_profiles.models import CommandState, InForce, ProfileCommand
from flex.models import FspAssignment
from hub.models import Agreement
from hub.ocpi.datatypes import Role
from party.messages import Received, Reply
from simulators.testing import PATIENCE
from tests.running_hub import changed_setting
from tests.scripted import ACCEPTED, Actor, Exactly, code, url_given

METHODS = ["GET", "PUT", "DELETE"]


def state(session_id: str) -> str:
    return ProfileCommand.objects.get(session_id_sent=session_id).state


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "said", ["ACCEPTED", "NOT_SUPPORTED", "REJECTED", "TOO_OFTEN", "UNKNOWN_SESSION"]
)
def test_every_answer_is_passed_on_unchanged(cast, method, said):
    session_id = f"{method}-{said}"
    cast.cpo.put_session(session_id, cast.emsp)
    content = (
        b'{ "data" : {"timeout":5.0e1, "x":1.50,"result":"%s"},"status_code":1000,'
        b'\n"timestamp":"2026-03-01T10:00:00Z"}' % said.encode()
    )
    cast.cpo.answers(session_id, Exactly(content=content))
    response = cast.emsp.command(method, session_id)
    assert (response.status_code, response.content) == (200, content)
    ended = CommandState.ACCEPTED if said == "ACCEPTED" else CommandState.REFUSED
    assert state(session_id) == ended
    assert len(cast.cpo.asked(session_id)) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_named", [True, False])
def test_the_answer_is_from_the_cpo_also_when_the_hub_has_found_it(cast, method, is_named):
    """Open response, Hub to requesting platform: FROM is the receiving party."""
    session_id = f"FROM-{method}-{is_named}"
    cast.cpo.put_session(session_id, cast.emsp)
    response = cast.emsp.command(method, session_id, to=cast.cpo if is_named else None)
    found = response.headers
    assert (found["OCPI-from-country-code"], found["OCPI-from-party-id"]) == cast.cpo.party
    assert (found["OCPI-to-country-code"], found["OCPI-to-party-id"]) == cast.emsp.party


@pytest.mark.parametrize(
    ("session_id", "refusal"),
    [
        ("REF-1", Reply(status_code=2001, message="what is this?")),
        ("REF-2", Reply(status_code=3000)),
        ("REF-3", Reply(status_code=2000, http_status=404)),
        ("REF-4", Reply(status_code=2000, http_status=405)),
        ("REF-5", Exactly(http_status=422, content=b'{"detail": "Validation failed"}')),
        ("REF-6", Reply(status_code=1000, http_status=500)),
    ],
)
def test_errors_of_the_cpo_are_passed_on_unchanged(cast, session_id, refusal):
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.answers(session_id, refusal)
    response = cast.emsp.put_profile(session_id)
    assert response.status_code == refusal.http_status
    told = json.loads(refusal.body()) | {"timestamp": response.json().get("timestamp")}
    assert response.json() | {"timestamp": told["timestamp"]} == told
    assert state(session_id) == CommandState.REFUSED
    assert not FspAssignment.objects.filter(session__session_id=session_id).exists()


@pytest.mark.parametrize(
    ("session_id", "status", "content"),
    [
        ("HTML-1", 500, b"<h1>Internal Server Error</h1>"),
        ("HTML-2", 502, b""),
        ("HTML-3", 200, b"OK"),
        ("HTML-4", 200, b"null"),
        ("HTML-5", 200, b"\xff\xfe"),
    ],
)
def test_what_is_not_ocpi_is_told_as_4000(cast, session_id, status, content):
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.answers(session_id, Exactly(http_status=status, content=content))
    response = cast.emsp.put_profile(session_id)
    assert (response.status_code, code(response)) == (status, 4000)
    assert str(cast.cpo) in response.json()["status_message"]
    assert state(session_id) == CommandState.REFUSED


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("data", [None, {}, {"timeout": 30}, {"result": None}, [], 5, [1, 2]])
def test_a_success_without_a_result_is_told_as_4000_and_nobody_knows(cast, method, data):
    """ChargingProfileResponse: `result` has the cardinality 1. What follows it is verified."""
    session_id = f"NONE-{method}-{json.dumps(data)}".replace(" ", "")[:36]
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.answers(session_id, Reply(data))
    response = cast.emsp.command(method, session_id)
    assert (response.status_code, code(response)) == (200, 4000)
    message = response.json()["status_message"]
    assert str(cast.cpo) in message
    assert "without the `result`" in message
    assert state(session_id) == CommandState.NO_RESULT
    assert not FspAssignment.objects.filter(session__session_id=session_id).exists()
    if method != "GET":
        cast.cpo.answers(session_id, Reply(ACCEPTED))
        assert code(cast.emsp.put_profile(session_id)) == 1000
        following = ProfileCommand.objects.filter(session_id_sent=session_id).latest("pk")
        assert following.in_force == InForce.DUE


def test_half_an_envelope_is_not_passed_on_as_json(cast):
    cast.cpo.put_session("HALF-1", cast.emsp)
    cast.cpo.answers("HALF-1", Exactly(content=b'{"status_code": 1000, "da'))
    response = cast.emsp.put_profile("HALF-1")
    assert code(response) == 4000


def test_data_in_a_list_of_one_is_passed_on_and_understood(cast):
    cast.cpo.put_session("LIST-1", cast.emsp)
    cast.cpo.answers("LIST-1", Reply([ACCEPTED]))
    response = cast.emsp.put_profile("LIST-1")
    assert response.json()["data"] == [ACCEPTED]
    assert state("LIST-1") == CommandState.ACCEPTED
    cast.cpo.post_result(url_given(cast.cpo.asked("LIST-1")[0]), {"result": "ACCEPTED"})
    assert len(cast.emsp.results("LIST-1")) == 1


def test_an_accepted_answer_without_a_timeout_is_still_an_accepted_one(cast):
    cast.cpo.put_session("LIST-2", cast.emsp)
    cast.cpo.answers("LIST-2", Reply({"result": "ACCEPTED"}))
    assert cast.emsp.put_profile("LIST-2").json()["data"] == {"result": "ACCEPTED"}
    assert state("LIST-2") == CommandState.ACCEPTED
    assert FspAssignment.objects.get(session__session_id="LIST-2").fsp == cast.emsp.party


@pytest.mark.parametrize("method", METHODS)
def test_a_cpo_that_takes_no_connection_is_told_as_4003(cast, method):
    gone = Actor(cast.hub, Role.CPO)
    session_id = f"GONE-{method}"
    gone.put_session(session_id, cast.emsp)
    gone.running.set_faults(gone=True)
    with changed_setting("CONNECT_TIMEOUT", 0.5):
        response = cast.emsp.command(method, session_id)
    assert (response.status_code, code(response)) == (200, 4003)
    assert state(session_id) == CommandState.UNREACHABLE
    assert not FspAssignment.objects.filter(session__session_id=session_id).exists()


def test_a_cpo_that_is_back_within_the_wait_gets_the_command_once(cast):
    back = Actor(cast.hub, Role.CPO)
    back.put_session("BACK-1", cast.emsp)
    back.running.set_faults(gone=1.0)
    with changed_setting("CONNECT_TIMEOUT", PATIENCE):
        response = cast.emsp.put_profile("BACK-1")
    assert response.json()["data"]["result"] == "ACCEPTED"
    assert len(back.asked("BACK-1")) == 1


def test_a_connection_that_breaks_is_told_as_4003_and_nothing_is_sent_twice(cast):
    cast.cpo.put_session("BREAK-1", cast.emsp)
    cast.cpo.running.set_faults(module="chargingprofiles", hang_up=True)
    try:
        response = cast.emsp.put_profile("BREAK-1")
    finally:
        cast.cpo.running.clear_faults()
    assert (response.status_code, code(response)) == (200, 4003)
    assert len(cast.cpo.asked("BREAK-1")) == 1


def test_no_answer_in_time_is_told_as_4002_and_the_command_has_ended(cast):
    may_answer = threading.Event()

    async def hesitate(message: Received) -> Reply:
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return Reply(ACCEPTED)

    cast.cpo.put_session("SLOW-1", cast.emsp)
    cast.cpo.answers("SLOW-1", hesitate)
    with changed_setting("FORWARD_TIMEOUT", 2.0):
        response = cast.emsp.put_profile("SLOW-1")
    may_answer.set()
    assert (response.status_code, code(response)) == (200, 4002)
    cast.cpo.running.wait_for(lambda: state("SLOW-1") == CommandState.TIMED_OUT)
    assert len(cast.cpo.asked("SLOW-1")) == 1


def test_a_waiting_request_holds_no_thread_of_the_hub(cast):
    may_answer = threading.Event()

    async def hesitate(message: Received) -> Reply:
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return Reply(ACCEPTED)

    ids = [f"MANY-{number}" for number in range(30)]
    cast.cpo.put_session("QUICK-1", cast.emsp)
    for session_id in ids:
        cast.cpo.put_session(session_id, cast.emsp)
        cast.cpo.answers(session_id, hesitate)
    with ThreadPoolExecutor(len(ids)) as pool:
        waiting = [pool.submit(cast.emsp.put_profile, session_id) for session_id in ids]
        cast.cpo.running.wait_for(
            lambda: ProfileCommand.objects.filter(session_id_sent__in=ids).count() == len(ids)
        )
        assert code(cast.cpo.put_session("QUICK-1", cast.emsp)) == 1000
        assert not any(answer.done() for answer in waiting)
        may_answer.set()
        assert {code(answer.result(PATIENCE)) for answer in waiting} == {1000}


def test_a_cpo_that_hangs_leaves_workers_for_the_others(cast):
    may_answer = threading.Event()

    async def hesitate(message: Received) -> Reply:
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return Reply(ACCEPTED)

    hanging = Actor(cast.hub, Role.CPO)
    ids = [f"HANG-{number}" for number in range(12)]
    cast.cpo.put_session("FREE-1", cast.emsp)
    for session_id in ids:
        hanging.put_session(session_id, cast.emsp)
        hanging.answers(session_id, hesitate)
    with (
        changed_setting("PROFILE_CALLS_PER_RECEIVER", 3),
        ThreadPoolExecutor(len(ids)) as pool,
    ):
        waiting = [pool.submit(cast.emsp.put_profile, session_id) for session_id in ids]
        hanging.running.wait_for(
            lambda: ProfileCommand.objects.filter(session_id_sent__in=ids).count() == len(ids)
        )
        assert cast.emsp.put_profile("FREE-1").json()["data"]["result"] == "ACCEPTED"
        assert not any(answer.done() for answer in waiting)
        may_answer.set()

        def all_answered() -> bool:
            tasks.end_overdue()
            return all(answer.done() for answer in waiting)

        hanging.running.wait_for(all_answered)
    assert {answer.result().json()["data"]["result"] for answer in waiting} == {"ACCEPTED"}
    assert {len(hanging.asked(session_id)) for session_id in ids} == {1}


def test_a_closed_pair_is_told_why_with_4003(cast):
    cast.cpo.put_session("CLOSED-1", cast.other_emsp)
    agreement = Agreement.objects.create(
        country_code_a=cast.cpo.party.country_code,
        party_id_a=cast.cpo.party.party_id,
        country_code_b=cast.other_emsp.party.country_code,
        party_id_b=cast.other_emsp.party.party_id,
        module="chargingprofiles",
        is_open=False,
        note="no contract for smart charging",
    )
    try:
        response = cast.emsp.running.wait_for(
            lambda: closed(cast.other_emsp.put_profile("CLOSED-1"))
        )
        assert "no contract for smart charging" in response.json()["status_message"]
        before = len(cast.cpo.got("CLOSED-1", module="chargingprofiles"))
        cast.other_emsp.put_profile("CLOSED-1")
        assert len(cast.cpo.got("CLOSED-1", module="chargingprofiles")) == before
    finally:
        agreement.delete()


def closed(response):
    return response if code(response) == 4003 else None
