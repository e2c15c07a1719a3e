"""Commands of one session keep their order, whoever sends them and whoever carries them."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from charging_profiles import order, tasks, verification
from charging_profiles.carrier import Carrying
from charging_profiles.models import CommandState, InForce, ProfileCommand
from flex.assignment import assign
from flex.choice import Choice
from flex.models import FspAssignment
from hub.ocpi.datatypes import Role
from party.messages import Received, Reply
from sessions.models import Session
from simulators.testing import PATIENCE
from tests.charging_profiles.test_sweep import left, somebody_has_looked, state
from tests.running_hub import changed_setting
from tests.scripted import ACCEPTED, PROFILE, Actor, Held, code, url_given

SECOND = timedelta(seconds=1)
REFUSED = {"result": "TOO_OFTEN", "timeout": 0}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as threads:
        yield threads


def held(cast, session_id: str, pool, answer: dict[str, Any] = ACCEPTED) -> tuple[Held, Future]:
    """A PUT of the eMSP's that the CPO has got and does not answer yet."""
    cast.cpo.put_session(session_id, cast.emsp)
    holding = Held(answer)
    cast.cpo.answers(session_id, holding)
    first = pool.submit(cast.emsp.put_profile, session_id)
    assert holding.has_come.wait(PATIENCE)
    return holding, first


def methods(cast, session_id: str) -> list[str]:
    """What the CPO was sent of a session, in order."""
    found = cast.cpo.got(session_id, module="chargingprofiles")
    return [message.method for message in found if message.interface == "receiver"]


def written(session_id: str, number: int) -> None:
    """So many commands have come to the hub."""
    rows = ProfileCommand.objects.filter(session_id_sent__iexact=session_id)
    assert wait(lambda: rows.count() == number)


def wait(predicate: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if predicate():
            return True
        pause.wait(0.02)
    return False


def test_a_command_waits_for_the_answer_to_the_one_before_and_a_get_for_none(cast, pool):
    holding, first = held(cast, "ORDER-1", pool)
    second = pool.submit(cast.emsp.delete_profile, "order-1")
    written("ORDER-1", 2)
    assert cast.emsp.get_profile("ORDER-1").json()["data"] == ACCEPTED
    somebody_has_looked(cast, "ORDER-1")
    assert methods(cast, "ORDER-1") == ["PUT", "GET"]
    assert not second.done()
    holding.may_go.set()
    # Its result is not waited for.
    assert (
        second.result(PATIENCE).json()["data"] == first.result(PATIENCE).json()["data"] == ACCEPTED
    )
    assert methods(cast, "ORDER-1") == ["PUT", "GET", "DELETE"]


def test_a_newer_command_ends_an_older_one_that_has_not_left(cast, pool):
    holding, first = held(cast, "ORDER-2", pool)
    second = pool.submit(cast.emsp.put_profile, "ORDER-2")
    written("ORDER-2", 2)
    third = pool.submit(cast.emsp.delete_profile, "ORDER-2")
    told = second.result(PATIENCE)
    assert (told.status_code, code(told)) == (200, 1000)
    assert told.json()["data"] == {"result": "REJECTED", "timeout": 0}
    message = told.json()["status_message"]
    assert message.startswith(f"Replaced by the DELETE of {cast.emsp.party} that followed it")
    *_, replaced, newest = ProfileCommand.objects.filter(session_id_sent="ORDER-2").order_by("pk")
    assert newest.correlation_id in message
    assert (replaced.state, replaced.problem) == (CommandState.SUPERSEDED, message)
    holding.may_go.set()
    assert (
        first.result(PATIENCE).json()["data"] == third.result(PATIENCE).json()["data"] == ACCEPTED
    )
    assert methods(cast, "ORDER-2") == ["PUT", "DELETE"]


def test_one_that_certainly_did_not_arrive_is_ended_by_a_newer_one(cast, pool):
    gone = Actor(cast.hub, Role.CPO)
    gone.put_session("ORDER-3", cast.emsp)
    gone.running.set_faults(gone=True)
    tried = ProfileCommand.objects.filter(session_id_sent="ORDER-3", attempts__gte=1)
    with changed_setting("CONNECT_TIMEOUT", PATIENCE):
        first = pool.submit(cast.emsp.put_profile, "ORDER-3")
        assert wait(tried.exists)
        second = pool.submit(cast.emsp.delete_profile, "ORDER-3")
        assert first.result(PATIENCE).json()["data"]["result"] == "REJECTED"
        gone.running.clear_faults()
        assert second.result(PATIENCE).json()["data"] == ACCEPTED
    assert [message.method for message in gone.asked("ORDER-3")] == ["DELETE"]


def test_what_a_dead_worker_may_have_sent_is_not_sent_again_and_is_waited_for(cast, pool):
    """Its PUT may be on its way still: a DELETE that left now could arrive before it."""
    cast.cpo.put_session("ORDER-4", cast.emsp)
    changes = {"state": CommandState.SENDING, "fence": 1, "method": "PUT", "attempts": 1}
    times = {"sent_at": Now(), "lease_until": Now() - SECOND, "answer_by": Now() + 60 * SECOND}
    dead = left(cast, "ORDER-4", body=b"{}", **changes, **times)
    later = pool.submit(cast.emsp.delete_profile, "ORDER-4")
    written("ORDER-4", 2)
    somebody_has_looked(cast, "ORDER-4")
    assert (methods(cast, "ORDER-4"), state(dead)) == ([], CommandState.SENDING)
    ProfileCommand.objects.filter(pk=dead.pk).update(answer_by=Now())
    assert wait(lambda: tasks.end_overdue() or state(dead) == CommandState.TIMED_OUT)
    assert later.result(PATIENCE).json()["data"] == ACCEPTED
    assert methods(cast, "ORDER-4") == ["DELETE"]


def answer_of_active_profile(
    cast, session_id: str, periods: list[dict[str, Any]], number: int = 1
) -> None:
    """The CPO tells the hub, which asks after a result, what is in force."""
    assert wait(lambda: tasks.end_overdue() or methods(cast, session_id).count("GET") == number)
    found = cast.cpo.got(session_id, module="chargingprofiles", method="GET")[number - 1]
    assert found.query["duration"] == "3600"
    active = {"charging_rate_unit": "A", "charging_profile_period": periods}
    told = {"start_date_time": "2026-03-01T10:00:00Z", "charging_profile": active}
    cast.cpo.post_result(url_given(found), {"result": "ACCEPTED", "profile": told})


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_what_follows_a_time_limit_is_sent_at_once_and_verified(cast, pool, is_overtaken):
    session_id = f"ORDER-5-{is_overtaken}"
    with changed_setting("FORWARD_TIMEOUT", 3.0):
        holding, first = held(cast, session_id, pool)
    newer = {**PROFILE, "charging_profile_period": [{"start_period": 0, "limit": 16.0}]}
    second = cast.emsp.put_profile(session_id, charging_profile=newer)
    assert code(first.result(PATIENCE)) == 4002
    assert second.json()["data"] == ACCEPTED
    holding.may_go.set()
    cast.cpo.post_result(url_given(cast.cpo.asked(session_id, 2)[1]), {"result": "ACCEPTED"})
    old = [{"start_period": 0, "limit": 8}]
    new = [{"start_period": 0.0, "limit": 16.0}]
    answer_of_active_profile(cast, session_id, old if is_overtaken else new)
    follower = ProfileCommand.objects.get(session_id_sent=session_id, follows__isnull=False)

    def verdict() -> str:
        tasks.end_overdue()
        follower.refresh_from_db()
        return follower.in_force

    if not is_overtaken:
        # The first one may still come into force: it is asked once more when that is over.
        assert wait(lambda: verdict() == InForce.DUE)
        assert (verdict(), methods(cast, session_id)) == (InForce.DUE, ["PUT", "PUT", "GET"])
        passed = Now() - verification.DOUBT
        ProfileCommand.objects.filter(pk=follower.follows_id).update(answered_at=passed)
        ProfileCommand.objects.filter(verifies=follower).update(created_at=passed)
        answer_of_active_profile(cast, session_id, new, 2)
    expected = InForce.OVERTAKEN if is_overtaken else InForce.AS_SENT
    assert wait(lambda: verdict() == expected)
    sent = ["PUT", "PUT", "GET", "PUT" if is_overtaken else "GET"]
    assert wait(lambda: methods(cast, session_id) == sent)
    if is_overtaken:
        again = cast.cpo.asked(session_id, 4)[3]
        assert again.json()["charging_profile"] == newer
        cast.cpo.post_result(url_given(again), {"result": "ACCEPTED"})
    tasks.end_overdue()
    # The eMSP is told of what it has asked itself, and of no more.
    assert len(cast.emsp.results(session_id)) == 1
    assert len(methods(cast, session_id)) == len(sent)


@pytest.mark.parametrize(("answer", "fsp"), [(ACCEPTED, "emsp"), (REFUSED, "scsp")])
def test_of_two_first_puts_the_one_that_is_in_force_makes_its_sender_fsp(cast, pool, answer, fsp):
    session_id = f"ORDER-6-{fsp}"
    cast.cpo.put_session(session_id, cast.emsp)
    cast.cpo.put_session(session_id, cast.emsp, to=cast.scsp)
    holding, first = held(cast, session_id, pool, answer)
    second = pool.submit(cast.scsp.put_profile, session_id)
    written(session_id, 2)
    holding.may_go.set()
    assert first.result(PATIENCE).json()["data"] == answer
    told = second.result(PATIENCE).json()
    chosen = FspAssignment.objects.get(session__session_id=session_id).fsp
    assert chosen == getattr(cast, fsp).party
    if fsp == "emsp":
        assert told["data"]["result"] == "REJECTED"
        assert str(cast.emsp.party) in told["status_message"]
        assert len(methods(cast, session_id)) == 1
        # One that was let in before, and written after.
        late = left(cast, session_id, **sender(cast, ProfileCommand.objects.last()))
        assert wait(lambda: state(late) == CommandState.SUPERSEDED)
        assert "is not the flexibility provider" in late.problem
    else:
        assert told["data"] == ACCEPTED
        assert len(methods(cast, session_id)) == 2
    assert FspAssignment.objects.filter(session__session_id=session_id).count() == 1


def test_one_of_an_assignment_that_has_ended_never_leaves_and_ends_nothing(cast, pool):
    session_id = "ORDER-8"
    cast.cpo.put_session(session_id, cast.emsp)
    assert cast.emsp.put_profile(session_id).json()["data"] == ACCEPTED  # It is FSP.
    holding, first = held(cast, session_id, pool)
    second = pool.submit(cast.emsp.delete_profile, session_id)
    written(session_id, 3)
    session = Session.objects.get(session_id=session_id)
    switched = Choice.of_party(cast.scsp.party, session.emsp, "a test")
    current = assign(session, switched, because="the operator has said so")
    assert (current and current.epoch, current and current.fsp) == (2, cast.scsp.party)
    holding.may_go.set()
    assert first.result(PATIENCE).json()["data"] == ACCEPTED
    told = second.result(PATIENCE).json()
    assert told["data"] == {"result": "REJECTED", "timeout": 0}
    assert f"{cast.scsp.party} is flexibility provider of this" in told["status_message"]
    # Of the new FSP one is at the CPO and one waits, when one that was let in before is written.
    holding = Held()
    cast.cpo.answers(session_id, holding)
    third = pool.submit(cast.scsp.put_profile, session_id)
    assert holding.has_come.wait(PATIENCE)
    fourth = pool.submit(cast.scsp.delete_profile, session_id)
    written(session_id, 5)
    hour = timezone.now() + timedelta(hours=1)
    late = left(cast, session_id, session=session, epoch=1, answer_by=hour)
    order.end_older(late.lane)
    holding.may_go.set()
    assert third.result(PATIENCE).json()["data"] == ACCEPTED
    assert fourth.result(PATIENCE).json()["data"] == ACCEPTED
    assert wait(lambda: state(late) == CommandState.SUPERSEDED)
    assert methods(cast, session_id) == ["PUT", "PUT", "PUT", "DELETE"]
    # Nor does one that was let in when nobody was FSP yet, once nobody is again.
    before = FspAssignment.objects.get(session=session, epoch=2).started_at - timedelta(seconds=1)
    assign(session, None, because="the operator has said so")
    stale = left(cast, session_id, session=session, epoch=0, created_at=before, answer_by=hour)
    assert wait(lambda: state(stale) == CommandState.SUPERSEDED)
    assert len(methods(cast, session_id)) == 4


def sender(cast, command: ProfileCommand | None) -> dict[str, Any]:
    assert command is not None
    assert command.fsp == cast.scsp.party
    names = ("fsp_platform_id", "fsp_country_code", "fsp_party_id", "session", "lane", "epoch")
    return {name: getattr(command, name) for name in names}


def test_however_many_come_at_once_one_is_at_the_cpo_and_the_newest_is_the_last(cast, pool):
    """With a second carrier beside the hub's own."""
    session_id = "ORDER-7"
    cast.cpo.put_session(session_id, cast.emsp)
    assert cast.emsp.put_profile(session_id).json()["data"] == ACCEPTED
    at_once, most, limits = 0, 0, []

    async def watched(message: Received) -> Reply:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        limits.append(message.json()["charging_profile"]["charging_profile_period"][0]["limit"])
        await asyncio.sleep(0.05)
        at_once -= 1
        return Reply(ACCEPTED)

    cast.cpo.answers(session_id, watched)
    second = Carrying()
    carrying = threading.Thread(target=second.run, daemon=True)
    carrying.start()

    def put(number: int) -> str:
        period = [{"start_period": 0, "limit": float(number)}]
        profile = {"charging_rate_unit": "A", "charging_profile_period": period}
        answer = cast.emsp.put_profile(session_id, charging_profile=profile)
        return str(answer.json()["data"]["result"])

    answers = list(pool.map(put, range(1, 41)))
    second.stop()
    carrying.join(PATIENCE)
    assert set(answers) <= {"ACCEPTED", "REJECTED"}
    assert answers.count("ACCEPTED") == len(limits)
    assert most == 1
    rows = ProfileCommand.objects.filter(session_id_sent=session_id).order_by("pk")
    sent = [limit_of(row) for row in rows if row.state == CommandState.ACCEPTED][1:]
    assert limits == sent
    assert rows.last().state == CommandState.ACCEPTED
    assert rows.filter(state=CommandState.SUPERSEDED).count() == answers.count("REJECTED")


def limit_of(command: ProfileCommand) -> float:
    body = json.loads(bytes(command.body))
    return float(body["charging_profile"]["charging_profile_period"][0]["limit"])


def test_what_is_in_force_is_told_by_units_and_limits_in_any_spelling():
    def body(limit: str, *, of: str = "W", active: bool = False) -> bytes:
        periods = f'[{{"start_period":0,"limit":{limit}}}]'
        profile = f'{{"charging_rate_unit":"{of}","charging_profile_period":{periods}}}'
        inside = f'{{"charging_profile":{profile}}}'
        return (f'{{"result":"ACCEPTED","profile":{inside}}}' if active else inside).encode()

    outcome, doubtful = verification.outcome, [body("8.0"), b""]
    assert outcome(body("16", active=True), body("16.00"), doubtful) == InForce.AS_SENT
    assert outcome(body("8", active=True), body("16.00"), doubtful) == InForce.OVERTAKEN
    assert outcome(body("8", active=True), b"", doubtful) == InForce.OVERTAKEN
    assert outcome(body("8", of="A", active=True), b"", doubtful) == InForce.UNCLEAR
    assert outcome(b'{"result":"REJECTED"}', b"", doubtful) == InForce.UNCLEAR
    # What would end the turn for all others, should it be read as it stands.
    for odd in (b"[" * 3_000, b'{"profile":%s}' % (b"[" * 3_000), body("1" * 5_000, active=True)):
        assert outcome(odd, b"", doubtful) == InForce.UNCLEAR
    assert outcome(b"not JSON", body("1"), doubtful) == InForce.UNCLEAR


def test_the_get_that_verifies_has_the_query_of_the_endpoints_own_url():
    new = "https://hub.example/new"
    asked = "duration=3600&response_url=https%3A//hub.example/new"
    for url, expected in (
        ("https://cpo.example/cp/S1", asked),
        ("https://cpo.example/cp/S1?tenant=7", f"tenant=7&{asked}"),
        ("https://cpo.example/cp/S1?tenant=7&response_url=x/KEY", f"tenant=7&{asked}"),
        ("https://cpo.example/cp/S1?response_url=x/KEY", asked),
    ):
        found = verification.asked_at(url, "KEY", new)
        assert found == f"https://cpo.example/cp/S1?{expected}", url
