"""POST of a result on the hub's response_url (mod_charging_profiles, Sender Interface)."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.utils import timezone

from charging_profiles import tasks
from charging_profiles.models import CommandState, ProfileCommand
from hub.models import Delivery
from hub.ocpi.datatypes import Role
from party.messages import Received, Reply
from simulators.testing import PATIENCE
from tests.running_hub import changed_setting, new_party
from tests.scripted import ACCEPTED, PROFILE, Actor, code, url_given

DONE = {"result": "ACCEPTED"}


def row(session_id: str) -> ProfileCommand:
    return ProfileCommand.objects.get(session_id_sent=session_id)


def owed(session_id: str) -> int:
    """How many pushes of results the hub has ever owed the sender for this command."""
    return Delivery.objects.filter(path=row(session_id).response_url).count()


def waited(session_id: str) -> timedelta:
    """How long after the CPO's answer the command expires."""
    command = row(session_id)
    assert command.result_by is not None
    assert command.answered_at is not None
    return command.result_by - command.answered_at


def accepted(cast, session_id: str, method: str = "PUT") -> str:
    """A command that the CPO has accepted; returns the URL that the CPO was given."""
    cast.cpo.put_session(session_id, cast.emsp)
    response = cast.emsp.command(method, session_id)
    assert response.json()["data"]["result"] == "ACCEPTED"
    return url_given(cast.cpo.asked(session_id)[0])


def test_the_result_arrives_byte_for_byte_at_the_original_url_with_its_query(cast):
    cast.cpo.put_session("RES-1", cast.emsp)
    url = cast.emsp.response_url("RES-1", "?request_id=56%2078&x=1")
    cast.emsp.put_profile("RES-1", response_url=url)
    body = b'{ "x_vendor": 1.50,\n"result" : "ACCEPTED", "profile":null }'
    given = url_given(cast.cpo.asked("RES-1")[0])
    response = cast.cpo.post_result(given, body)
    assert (response.status_code, code(response)) == (200, 1000)
    assert "data" not in response.json()
    [message] = cast.emsp.results("RES-1")
    assert message.body == body
    assert dict(message.query) == {"request_id": "56 78", "x": "1"}
    assert (message.from_party, message.to_party) == (cast.cpo.party, cast.emsp.party)
    assert message.connection is not None


def test_result_and_command_share_a_correlation_id(cast):
    cast.cpo.put_session("RES-2", cast.emsp)
    body = {"charging_profile": PROFILE, "response_url": cast.emsp.response_url("RES-2")}
    sent = {"X-Correlation-ID": "correlation-of-res-2"}
    cast.emsp.send("PUT", "receiver/chargingprofiles/RES-2", body, headers=sent)
    cast.cpo.post_result(url_given(cast.cpo.asked("RES-2")[0]), DONE)
    [message] = cast.emsp.results("RES-2")
    assert message.headers["X-Correlation-ID"] == "correlation-of-res-2"


def test_the_answer_to_a_result_carries_the_parties_swapped(cast):
    response = cast.cpo.post_result(accepted(cast, "RES-3"), DONE)
    back = response.headers
    assert (back["OCPI-from-country-code"], back["OCPI-from-party-id"]) == cast.emsp.party
    assert (back["OCPI-to-country-code"], back["OCPI-to-party-id"]) == cast.cpo.party


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("said", ["ACCEPTED", "REJECTED", "UNKNOWN"])
def test_every_result_ends_its_command_and_is_passed_on(cast, method, said):
    session_id = f"RES-4-{method}-{said}"
    given = accepted(cast, session_id, method)
    assert code(cast.cpo.post_result(given, {"result": said})) == 1000
    [message] = cast.emsp.results(session_id)
    assert message.json() == {"result": said}
    assert row(session_id).state == f"RESULT_{said}"
    assert not row(session_id).is_late


def test_the_active_profile_is_in_the_result_of_a_get(cast):
    active = {"start_date_time": "2026-03-01T10:00:00Z", "charging_profile": PROFILE}
    result = {"result": "ACCEPTED", "profile": active}
    cast.cpo.post_result(accepted(cast, "RES-5", "GET"), result)
    assert cast.emsp.results("RES-5")[0].json() == result


def test_a_result_that_comes_before_the_answer_follows_it(cast):
    posted, may_answer = threading.Event(), threading.Event()

    async def hurry(message: Received) -> Reply:
        await asyncio.to_thread(cast.cpo.post_result, url_given(message), DONE)
        posted.set()
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return Reply(ACCEPTED)

    cast.cpo.put_session("RES-6", cast.emsp)
    cast.cpo.answers("RES-6", hurry)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cast.emsp.put_profile, "RES-6")
        assert posted.wait(PATIENCE)
        tasks.end_overdue()
        owed_before = owed("RES-6")
        may_answer.set()
        assert answer.result(PATIENCE).json()["data"] == ACCEPTED
    assert owed_before == 0
    assert len(cast.emsp.results("RES-6")) == 1
    assert row("RES-6").state == CommandState.RESULT_ACCEPTED
    assert not row("RES-6").is_late


def test_a_result_before_a_refusal_is_passed_on_after_it(cast):
    async def contradict(message: Received) -> Reply:
        await asyncio.to_thread(cast.cpo.post_result, url_given(message), {"result": "REJECTED"})
        return Reply({"result": "REJECTED", "timeout": 0})

    cast.cpo.put_session("RES-7", cast.emsp)
    cast.cpo.answers("RES-7", contradict)
    assert cast.emsp.put_profile("RES-7").json()["data"]["result"] == "REJECTED"
    assert len(cast.emsp.results("RES-7")) == 1


def test_a_repeated_result_is_accepted_and_passed_on_once(cast):
    given = accepted(cast, "RES-8")
    assert [code(cast.cpo.post_result(given, DONE)) for _ in range(3)] == [1000] * 3
    assert len(cast.emsp.results("RES-8")) == 1
    assert owed("RES-8") == 1


def test_results_at_the_same_moment_are_passed_on_once(cast):
    given = accepted(cast, "RES-9")
    begin = threading.Barrier(5)

    def post(_: int) -> int:
        begin.wait(PATIENCE)
        return code(cast.cpo.post_result(given, DONE))

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(post, range(5))) == [1000] * 5
    assert len(cast.emsp.results("RES-9")) == 1
    assert owed("RES-9") == 1


def test_the_first_result_stands(cast):
    given = accepted(cast, "RES-10")
    cast.cpo.post_result(given, {"result": "REJECTED"})
    cast.cpo.post_result(given, {"result": "ACCEPTED"})
    assert [message.json()["result"] for message in cast.emsp.results("RES-10")] == ["REJECTED"]
    command = row("RES-10")
    assert (command.state, command.result) == (CommandState.RESULT_REJECTED, "REJECTED")
    assert bytes(command.result_body) == b'{"result": "REJECTED"}'
    assert not command.is_late


def test_without_a_result_the_command_expires_at_the_cpos_timeout(cast):
    cast.cpo.answers("RES-11", Reply({"result": "ACCEPTED", "timeout": 45}))
    accepted(cast, "RES-11")
    command = row("RES-11")
    assert waited("RES-11") == timedelta(seconds=45)
    tasks.end_overdue()
    assert row("RES-11").state == CommandState.ACCEPTED
    ProfileCommand.objects.filter(pk=command.pk).update(result_by=timezone.now())
    tasks.end_overdue()
    assert row("RES-11").state == CommandState.EXPIRED
    assert cast.emsp.got("RES-11", method="POST") == []


@pytest.mark.parametrize(("timeout", "seconds"), [(10**9, 7), (-5, 1), (0, 1)])
def test_the_cpos_timeout_is_capped(cast, timeout, seconds):
    session_id = f"RES-12-{timeout}"
    cast.cpo.answers(session_id, Reply({"result": "ACCEPTED", "timeout": timeout}))
    with changed_setting("PROFILE_RESULT_MAX_WAIT", 7):
        accepted(cast, session_id)
    assert waited(session_id) == timedelta(seconds=seconds)


def test_a_late_result_is_passed_on_and_marked_late(cast):
    given = accepted(cast, "RES-13")
    ProfileCommand.objects.filter(session_id_sent="RES-13").update(result_by=timezone.now())
    tasks.end_overdue()
    assert row("RES-13").state == CommandState.EXPIRED
    assert code(cast.cpo.post_result(given, DONE)) == 1000
    assert cast.emsp.results("RES-13")[0].json() == DONE
    assert row("RES-13").is_late
    assert row("RES-13").result == "ACCEPTED"


def test_a_result_after_4002_is_passed_on_and_marked_late(cast):
    may_answer = threading.Event()

    async def hesitate(message: Received) -> Reply:
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return Reply(ACCEPTED)

    cast.cpo.put_session("RES-14", cast.emsp)
    cast.cpo.answers("RES-14", hesitate)
    with changed_setting("FORWARD_TIMEOUT", 2.0):
        assert code(cast.emsp.put_profile("RES-14")) == 4002
    may_answer.set()
    cast.cpo.running.wait_for(lambda: row("RES-14").state == CommandState.TIMED_OUT)
    cast.cpo.post_result(url_given(cast.cpo.asked("RES-14")[0]), DONE)
    assert len(cast.emsp.results("RES-14")) == 1
    assert row("RES-14").is_late


@pytest.mark.parametrize("who", ["other_cpo", "emsp", "other_emsp"])
def test_nobody_else_may_post_a_result(cast, who):
    session_id = f"RES-15-{who}"
    given = accepted(cast, session_id)
    response = getattr(cast, who).send("POST", given, DONE)
    assert response.status_code == 404
    assert 2000 <= code(response) < 3000
    assert row(session_id).result == ""
    assert owed(session_id) == 0
    assert code(cast.cpo.post_result(given, DONE)) == 1000


def test_without_a_token_a_result_is_answered_with_401(cast):
    given = accepted(cast, "RES-16")
    response = cast.hub.http("POST", given, body=b'{"result":"ACCEPTED"}')
    assert response.status_code == 401
    assert row("RES-16").result == ""


def test_an_unknown_key_is_answered_with_404(cast):
    given = accepted(cast, "RES-17")
    before, _, key = given.rpartition("/")
    for wrong in (key[:-1], f"{key}x", key.swapcase(), "%00", "x" * 300):
        assert cast.cpo.post_result(f"{before}/{wrong}", DONE).status_code == 404
    assert row("RES-17").result == ""


def test_a_trailing_slash_and_a_query_do_no_harm(cast):
    given = accepted(cast, "RES-18")
    assert code(cast.cpo.post_result(f"{given}/?x=1", DONE)) == 1000
    assert len(cast.emsp.results("RES-18")) == 1


@pytest.mark.parametrize(
    ("session_id", "wrong"),
    [
        ("RES-19-A", b"{}"),
        ("RES-19-B", b"[]"),
        ("RES-19-C", b'"ACCEPTED"'),
        ("RES-19-F", b'{"result": null}'),
        ("RES-19-G", b'{"result": ""}'),
        ("RES-19-H", b'{"result": ["ACCEPTED"]}'),
        ("RES-19-I", b'{"data": {}, "status_code": 1000}'),
        ("RES-19-J", b'[{"result": "ACCEPTED"}, {"result": "ACCEPTED"}]'),
    ],
)
def test_what_is_no_result_is_refused_and_a_right_one_may_follow(cast, session_id, wrong):
    given = accepted(cast, session_id)
    response = cast.cpo.post_result(given, wrong)
    assert (response.status_code, code(response)) == (200, 2001)
    assert row(session_id).result == ""
    assert code(cast.cpo.post_result(given, DONE)) == 1000
    assert cast.emsp.results(session_id)[0].json() == DONE


@pytest.mark.parametrize("wrong", [b"", b"{", b"\xff"])
def test_what_is_not_json_is_answered_with_400(cast, wrong):
    session_id = f"RES-20-{wrong.hex()}"
    given = accepted(cast, session_id)
    assert cast.cpo.post_result(given, wrong).status_code == 400
    assert row(session_id).result == ""


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_works_there(cast, method):
    session_id = f"RES-21-{method}"
    given = accepted(cast, session_id)
    assert cast.cpo.send(method, given, DONE).status_code == 405
    assert row(session_id).result == ""


def test_a_sender_that_is_away_for_a_moment_gets_its_result(cast):
    away = Actor(cast.hub, Role.EMSP)
    cast.cpo.put_session("RES-22", away)
    away.put_profile("RES-22")
    away.running.set_faults(gone=0.5)
    cast.cpo.post_result(url_given(cast.cpo.asked("RES-22")[0]), DONE)

    got = away.running.wait_for(lambda: away.got("RES-22", method="POST"))
    assert len(got) == 1


def test_each_party_of_a_platform_gets_its_own_results(cast):
    second = new_party()
    emsp = Actor(cast.hub, Role.EMSP, more=[(second, Role.EMSP)])
    document = cast.cpo.session("RES-23", emsp, cdr_token={"party_id": second.party_id})
    cast.cpo.send("PUT", cast.cpo.session_path("RES-23"), document, to=second)
    body = {"charging_profile": PROFILE, "response_url": emsp.response_url("RES-23")}
    emsp.send("PUT", "receiver/chargingprofiles/RES-23", body, to=cast.cpo, from_=second)
    [asked] = cast.cpo.asked("RES-23")
    assert asked.from_party == second
    cast.cpo.post_result(url_given(asked), DONE)
    assert emsp.results("RES-23")[0].to_party == second
