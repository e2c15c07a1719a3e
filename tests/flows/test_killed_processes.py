"""Commands and deliveries survive kill -9 and a lost Valkey (real processes)."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from aiohttp import web
from django.db import connection, transaction
from django.utils import timezone

from cdrs.models import Cdr, Posting
from charging_profiles.models import CommandState, ProfileCommand
from flex.models import PreferenceCopy
from hub.deliveries.keeper import Keeper
from hub.models import Delivery, DeliveryState, Job, WorkerProcess
from hub.models.pulls import Pull, PullState
from hub.models.workers import QUEUES
from hub.ocpi.datatypes import Role
from hub.parties import still_alive
from hub.sync import pull_tasks
from locations.models import Location
from party.messages import Received, Reply
from sessions.models import Session
from simulators.testing import Running
from tests.flows.processes import HubProcesses
from tests.hub.lists import Lists, location
from tests.hub.pushing import T2, Owner, tariff_of
from tests.hub.strangers import Gate, Stranger, ask, raw
from tests.hub.strangers import Reply as Answer
from tests.minimal import as_json, cdr, token
from tests.scripted import ACCEPTED, Cast, code, url_given

pytestmark = pytest.mark.long
# Each wait ends as soon as it can; on a machine that is busy with other tests that may be late: a
# process alone may take a minute to start.
PATIENCE = 240
GONE = (requests.ConnectionError, OSError)
DONE = {"result": "ACCEPTED"}


@pytest.fixture(scope="module")
def processes(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[HubProcesses]:
    with (
        django_db_blocker.unblock(),
        HubProcesses(tmp_path_factory.mktemp("processes")) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def cast(processes: HubProcesses) -> Cast:
    return Cast(processes)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class FirstHangs:
    """Takes the first message and never answers it in time; answers the others at once."""

    def __init__(self, answer: Reply) -> None:
        self.answer = answer
        self.arrived = threading.Event()
        self.may_answer = threading.Event()

    async def __call__(self, message: Received) -> Reply:
        if not self.arrived.is_set():
            self.arrived.set()
            await asyncio.to_thread(self.may_answer.wait, 2 * PATIENCE)
        return self.answer


def row(session_id: str) -> ProfileCommand:
    """The party's command; the hub may have asked what is in force besides."""
    return ProfileCommand.objects.get(session_id_sent=session_id, purpose="")


def changes(cast, session_id: str) -> list[str]:
    """The methods of what came to the CPO, without GETs, some of which are the hub's own."""
    return [one.method for one in cast.cpo.asked(session_id) if one.method != "GET"]


def deliveries(session_id: str) -> list[Delivery]:
    return list(Delivery.objects.filter(path=row(session_id).response_url))


def until(cast: Cast, predicate: Callable[[], bool], timeout: float = PATIENCE) -> None:
    cast.emsp.running.wait_for(predicate, timeout)


def is_written(session_id: str) -> bool:
    return ProfileCommand.objects.filter(session_id_sent=session_id).exists()


def test_each_web_process_says_that_it_lives(processes, cast):
    """Two share a socket under the runner: nobody could ask one of them."""
    for name in ("web-1", "web-2"):
        until(cast, processes.children[name].has_beaten)


def test_a_command_accepted_by_one_web_process_takes_its_result_at_the_other(processes, cast, pool):
    hanging = FirstHangs(Reply(ACCEPTED))
    cast.cpo.put_session("TWO-1", cast.emsp)
    cast.cpo.answers("TWO-1", hanging)
    answer = pool.submit(cast.emsp.put_profile, "TWO-1")
    assert hanging.arrived.wait(PATIENCE)
    given = url_given(cast.cpo.asked("TWO-1")[0])
    assert given.startswith(processes.url)
    elsewhere = given.replace(processes.url, processes.other_url)
    assert code(cast.cpo.post_result(elsewhere, DONE)) == 1000
    assert cast.emsp.got("TWO-1", method="POST") == []
    hanging.may_answer.set()
    assert answer.result(PATIENCE).json()["data"] == ACCEPTED
    assert len(cast.emsp.results("TWO-1", timeout=PATIENCE)) == 1
    assert row("TWO-1").state == CommandState.RESULT_ACCEPTED


def test_a_put_of_a_dead_worker_never_follows_the_delete_that_came_after_it(processes, cast, pool):
    hanging = FirstHangs(Reply(ACCEPTED))
    cast.cpo.put_session("WORKER-1", cast.emsp)
    cast.cpo.answers("WORKER-1", hanging)
    answer = pool.submit(cast.emsp.put_profile, "WORKER-1")
    assert hanging.arrived.wait(PATIENCE)
    processes.kill("profiles")
    processes.start("profiles")
    deleted = pool.submit(cast.emsp.delete_profile, "WORKER-1")
    of_session = ProfileCommand.objects.filter(session_id_sent="WORKER-1", purpose="")
    until(cast, lambda: of_session.count() == 2)
    # A GET is carried meanwhile, so the new worker has looked.
    assert cast.emsp.get_profile("WORKER-1").json()["data"] == ACCEPTED
    assert of_session.filter(method="DELETE", state=CommandState.WAITING).exists()
    # Nobody can know before its time limit that the CPO does not answer: shorten that.
    of_session.filter(method="PUT").update(answer_by=timezone.now(), lease_until=None)
    assert code(answer.result(PATIENCE)) == 4002
    assert deleted.result(PATIENCE).json()["data"] == ACCEPTED
    hanging.may_answer.set()
    assert changes(cast, "WORKER-1") == ["PUT", "DELETE"]
    url = url_given(cast.cpo.asked("WORKER-1")[0])
    assert code(cast.cpo.post_result(url, DONE)) == 1000
    assert len(cast.emsp.results("WORKER-1", timeout=PATIENCE)) == 1
    assert of_session.get(method="PUT").is_late


def test_a_cpo_that_takes_longer_than_a_lease_gets_its_command_once(cast, pool):
    hanging = FirstHangs(Reply(ACCEPTED))
    cast.cpo.put_session("SLOW-1", cast.emsp)
    cast.cpo.answers("SLOW-1", hanging)
    answer = pool.submit(cast.emsp.put_profile, "SLOW-1")
    assert hanging.arrived.wait(PATIENCE)
    first_lease = row("SLOW-1").lease_until
    assert first_lease is not None
    until(cast, lambda: timezone.now() > first_lease + timedelta(seconds=2))
    hanging.may_answer.set()
    assert answer.result(PATIENCE).json()["data"] == ACCEPTED
    assert changes(cast, "SLOW-1") == ["PUT"]
    assert row("SLOW-1").attempts == 1


def test_a_result_survives_the_web_process_in_which_its_sender_waits(processes, cast, pool):
    hanging = FirstHangs(Reply(ACCEPTED))
    cast.cpo.put_session("WEB-1", cast.emsp)
    cast.cpo.answers("WEB-1", hanging)
    answer = pool.submit(cast.emsp.put_profile, "WEB-1")
    assert hanging.arrived.wait(PATIENCE)
    processes.kill("web-1")
    with pytest.raises(requests.ConnectionError):
        answer.result(PATIENCE)
    hanging.may_answer.set()
    until(cast, lambda: row("WEB-1").state == CommandState.ACCEPTED)
    processes.start("web-1")
    given = url_given(cast.cpo.asked("WEB-1")[0])
    assert code(cast.cpo.post_result(given, DONE)) == 1000
    # Nobody can know that nobody waits before the time to answer is over: shorten that.
    ProfileCommand.objects.filter(session_id_sent="WEB-1").update(answer_by=timezone.now())
    [message] = cast.emsp.results("WEB-1", timeout=PATIENCE)
    assert message.json() == DONE
    assert changes(cast, "WEB-1") == ["PUT"]
    cast.cpo.put_session("WEB-2", cast.emsp)
    assert cast.emsp.put_profile("WEB-2").json()["data"] == ACCEPTED


def journey(cast, name: str) -> float:
    """How long a session, a command and its result take."""
    begun = time.monotonic()
    assert code(cast.cpo.put_session(name, cast.emsp)) == 1000
    assert cast.emsp.put_profile(name).json()["data"] == ACCEPTED
    given = url_given(cast.cpo.asked(name)[0])
    assert code(cast.cpo.post_result(given, DONE)) == 1000
    assert len(cast.emsp.results(name, timeout=PATIENCE)) == 1
    return time.monotonic() - begun


def everything_works(processes, cast, name: str, well: float) -> None:
    """As fast as when all is `well`, and a job is run."""
    limit = max(4.0, 4 * well)
    # Whoever waits for Valkey waits each time; a busy machine is slow now and then.
    quickest = journey(cast, name)
    for number in range(4):
        if quickest < limit:
            break
        quickest = min(quickest, journey(cast, f"{name}-{number}"))
    assert quickest < limit, f"a session, a command and its result took {quickest:.1f} s"
    still_alive.queue_check(row(name).cpo_platform_id)
    until(cast, lambda: not Job.objects.exists())


def present() -> set[tuple[str, str]]:
    """Which workers say that they are there: their queues and names."""
    return set(WorkerProcess.objects.values_list("queue", "name"))


def test_nothing_needs_valkey_whether_it_hangs_or_is_gone(processes, cast):
    """No beat runs at all; the workers live on, and start, without their broker."""
    child = processes.valkey.child
    well = journey(cast, "WELL-1")
    child.send(signal.SIGSTOP)
    try:
        everything_works(processes, cast, "HANGS-1", well)
        # Told to end, it does so without its broker; and starts without it.
        processes.children["profiles"].send(signal.SIGTERM)
        processes.kill("deliveries")
        assert processes.children["profiles"].wait(PATIENCE)
        before = present()
        for name in ("profiles", "deliveries"):
            processes.start(name)
        until(cast, lambda: {queue for queue, _ in present() - before} == set(QUEUES))
        everything_works(processes, cast, "HANGS-2", well)
        child.send(signal.SIGCONT)
        processes.valkey.stop()
        everything_works(processes, cast, "GONE-1", well)
    finally:
        child.send(signal.SIGCONT)
        processes.valkey.stop()
        processes.valkey.start()
    everything_works(processes, cast, "BACK-1", well)


def test_a_worker_of_profiles_alone_carries_commands_to_their_ends(processes, cast):
    """Without a broker or any other worker: one to its result, one until it expires."""
    processes.kill("deliveries")
    processes.valkey.stop()
    try:
        for session_id in ("ALONE-1", "ALONE-2"):
            cast.cpo.put_session(session_id, cast.emsp)
            cast.emsp.put_profile(session_id)
            assert row(session_id).state == CommandState.ACCEPTED
        assert code(cast.cpo.post_result(url_given(cast.cpo.asked("ALONE-1")[0]), DONE)) == 1000
        assert row("ALONE-1").state == CommandState.RESULT_ACCEPTED
        ProfileCommand.objects.filter(session_id_sent="ALONE-2").update(result_by=timezone.now())
        until(cast, lambda: row("ALONE-2").state == CommandState.EXPIRED)
    finally:
        processes.valkey.start()
        processes.start("deliveries")
    assert len(cast.emsp.results("ALONE-1", timeout=3 * PATIENCE)) == 1


def test_a_delivery_survives_the_worker_that_carries_it(processes, cast):
    hanging = FirstHangs(Reply())
    cast.cpo.put_session("GIVE-1", cast.emsp)
    cast.emsp.put_profile("GIVE-1")
    cast.emsp.answers("GIVE-1", hanging)
    assert code(cast.cpo.post_result(url_given(cast.cpo.asked("GIVE-1")[0]), DONE)) == 1000
    assert hanging.arrived.wait(PATIENCE)
    processes.kill("deliveries")
    processes.start("deliveries")
    until(cast, lambda: deliveries("GIVE-1")[0].state == DeliveryState.DELIVERED)
    hanging.may_answer.set()
    assert {message.body for message in cast.emsp.results("GIVE-1", timeout=PATIENCE)} == {
        b'{"result": "ACCEPTED"}'
    }
    assert len(deliveries("GIVE-1")) == 1
    assert len(cast.emsp.got("GIVE-1", method="POST")) == 2


def test_a_pull_goes_on_where_its_worker_was_killed(processes, cast):
    cpo = processes.join(Stranger(Role.CPO, listens=False))
    party = cpo.simulator.party
    lists = Lists(cpo.simulator, locations=[location(party, f"L{number}") for number in range(6)])
    arrived, may_answer = threading.Event(), threading.Event()

    async def second_page_hangs(message: Received) -> web.Response:
        page = lists.say(message)
        if message.query["offset"] == "2" and not arrived.is_set():
            arrived.set()
            await asyncio.to_thread(may_answer.wait, 2 * PATIENCE)
        return page

    cpo.simulator.says = second_page_hangs
    (wanted,) = pull_tasks.request(party, ["locations"])
    assert arrived.wait(PATIENCE)
    processes.kill("deliveries")
    processes.start("deliveries")
    until(cast, lambda: Pull.objects.get(pk=wanted.pk).state == PullState.FINISHED)
    may_answer.set()
    assert lists.offsets("locations") == [0, 2, 2, 4]
    assert Pull.objects.get(pk=wanted.pk).stored == 6
    assert Location.objects.filter(owner=str(party)).count() == 6


# --- CDRs and commands in the web process (mod_cdrs, mod_commands) --------------------------------


@pytest.fixture(scope="module")
def strangers(processes: HubProcesses) -> tuple[Running[Stranger], Running[Stranger]]:
    """A CPO and an eMSP that offer every module."""
    return processes.join(Stranger(Role.CPO)), processes.join(Stranger(Role.EMSP))


def posted(emsp) -> list[bytes]:
    return [message.body for message in emsp.simulator.got if message.method == "POST"]


def is_writing() -> bool:
    """Whether the hub waits for the table of CDRs, which the test holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE relation = 'ocpi_cdrs_cdr'::regclass AND NOT granted"
        )
        return cursor.fetchone() is not None


def test_a_cdr_whose_hub_died_between_the_emsps_answer_and_its_own_write_can_be_sent_again(
    processes, strangers
):
    cpo, emsp = strangers
    body = as_json(cdr(cpo.simulator.party, emsp.simulator.party, "KILLED"))
    emsp.simulator.says = lambda message: raw(status=201)

    def post() -> Answer:
        return ask(processes, cpo, "POST", "receiver/cdrs", body=body)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE ocpi_cdrs_cdr IN SHARE ROW EXCLUSIVE MODE")
            answer: Future[Answer] = pool.submit(post)
            emsp.wait_for(is_writing, PATIENCE)
            processes.kill("web-1")
        with pytest.raises(GONE):
            answer.result(PATIENCE)
    assert posted(emsp) == [body]
    assert not Cdr.objects.filter(object_id="KILLED").exists()
    processes.start("web-1")
    # The hub waits until the dead process could not be at it any more: shorten that.
    Posting.objects.filter(object_id="KILLED").update(lease_until=timezone.now())
    for _ in range(2):
        again = post()
        assert again.said == (201, 1000)
        assert again.headers["location"].startswith(processes.url)
    assert posted(emsp) == [body] * 2
    assert Cdr.objects.filter(object_id="KILLED").count() == 1
    assert not Posting.objects.exists()


def test_what_an_owner_told_beside_a_call_is_told_again_though_the_worker_of_the_call_was_killed(
    processes, strangers
):
    """The older call may arrive last, and its worker alone knew that it was open."""
    cpo, emsp = strangers
    tariffs = Owner(processes, cpo, "tariffs")
    gate = Gate()
    emsp.simulator.says = lambda m: raw() if m.from_party == tariffs.party else gate(m)
    assert tariffs.put("BESIDE", body=tariff_of(tariffs.party, "BESIDE")).code == 1000
    emsp.wait_for(lambda: tariffs.heard(emsp, "BESIDE"), PATIENCE)
    newest = tariff_of(tariffs.party, "BESIDE", currency="NOK", last_updated=T2)
    assert tariffs.put("BESIDE", body=newest, to=emsp).code == 1000
    processes.kill("deliveries")
    emsp.simulator.says = Stranger.says_yes
    gate.is_open.set()
    processes.start("deliveries")

    def times_told() -> int:
        return [message.json() for message in tariffs.heard(emsp, "BESIDE")].count(newest)

    emsp.wait_for(lambda: times_told() == 2, PATIENCE)


def test_a_result_comes_through_after_the_hub_was_killed_and_started_again(processes, strangers):
    cpo, emsp = strangers
    start = {
        "response_url": f"{emsp.simulator.endpoint_url('commands', 'sender')}/START_SESSION/7",
        "token": token(emsp.simulator.party, "APP-7", type="APP_USER"),
        "location_id": "LOC1",
    }
    path = "receiver/commands/START_SESSION"
    assert ask(processes, emsp, "POST", path, to=cpo, body=as_json(start)).code == 1000
    url = cpo.simulator.got[-1].json()["response_url"]
    for name in ("web-1", "web-2"):
        processes.kill(name)
        processes.start(name)
    result = b'{"result":"ACCEPTED"}'
    assert ask(processes, cpo, "POST", url, body=result).code == 1000
    # Its lists may be asked for meanwhile.
    message = [one for one in emsp.simulator.got if one.method == "POST"][-1]
    assert (message.body, message.parts) == (result, ("START_SESSION", "7"))


def test_a_session_on_its_way_outlives_its_web_process_only_with_what_was_accepted_of_it(
    processes, cast, pool
):
    """Its eMSP speaks of it at the other web process before it answers (ocpi/ocpi#378)."""
    hanging = {name: FirstHangs(Reply()) for name in ("WAY-SPEAKS", "WAY-SILENT")}
    answers = []
    for session_id, one in hanging.items():
        cast.emsp.answers(session_id, one)
        answers.append(pool.submit(cast.cpo.put_session, session_id, cast.emsp))
        assert one.arrived.wait(PATIENCE)
    path = f"{processes.other_url}/ocpi/2.2.1/sender/sessions/WAY-SPEAKS/charging_preferences"
    assert cast.emsp.send("PUT", path, {"profile_type": "CHEAP"}).json()["data"] == "ACCEPTED"
    processes.kill("web-1")
    for answer in answers:
        with pytest.raises(GONE):
            answer.result(PATIENCE)
    for session_id, one in hanging.items():
        one.may_answer.set()
        found = Session.objects.named(session_id)
        assert not found.get().is_accepted
        # Nobody can know that nobody answers before the time to answer is over: shorten that.
        found.update(underway_until=timezone.now())
        until(cast, lambda of=found: not of.filter(underway_until__isnull=False).exists())
        assert found.exists() == (session_id == "WAY-SPEAKS")
    processes.start("web-1")
    for session_id, copies in (("WAY-SPEAKS", 1), ("WAY-SILENT", 0)):
        assert code(cast.cpo.put_session(session_id, cast.emsp)) == 1000
        found = Session.objects.named(session_id)
        assert found.get().is_accepted
        assert PreferenceCopy.objects.filter(session=found.get()).count() == copies


def test_a_worker_that_was_stopped_for_longer_than_its_lease_sends_nothing_more(
    processes, cast, pool
):
    hanging = FirstHangs(Reply())
    cast.cpo.put_session("STOP-1", cast.emsp)
    cast.emsp.put_profile("STOP-1")
    cast.emsp.answers("STOP-1", hanging)
    assert code(cast.cpo.post_result(url_given(cast.cpo.asked("STOP-1")[0]), DONE)) == 1000
    assert hanging.arrived.wait(PATIENCE)
    [first] = deliveries("STOP-1")
    behind, beside = deliveries("STOP-1") * 2
    for one, body, key in ((behind, b'"behind"', first.ordering_key), (beside, b'"beside"', "-")):
        one.pk, one.body, one.ordering_key = None, body, key
        one.save()
    # Whoever has sent this one has claimed the one that waits behind the first.
    until(cast, lambda: len(cast.emsp.got("STOP-1", method="POST")) == 2)
    worker = processes.children["deliveries"]
    worker.send(signal.SIGSTOP)
    hanging.may_answer.set()
    keeper = Keeper()
    taking_over = pool.submit(keeper.run)
    until(cast, lambda: {one.state for one in deliveries("STOP-1")} == {DeliveryState.DELIVERED})
    worker.send(signal.SIGCONT)
    until(cast, lambda: any("taken over" in line for line in worker.tail))
    keeper.stop()
    taking_over.result(PATIENCE)
    bodies = [message.body for message in cast.emsp.got("STOP-1", method="POST")]
    # The first one twice: its answer came to a worker that was stopped.
    assert [body for body in bodies if body != b'"beside"'] == [bytes(first.body)] * 2 + [
        b'"behind"'
    ]
