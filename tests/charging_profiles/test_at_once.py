"""A web process carries what may leave at once, and a worker what waits or is left behind."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db.models.functions import Now

from charging_profiles import at_once, tasks
from charging_profiles.models import CommandState, ProfileCommand
from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.notify import connection_parameters
from hub.ocpi.headers import authorization
from hub.outbound.platform_calls import AsyncCaller
from hub.workers.wake import CHANNEL
from party.messages import Received, Reply
from simulators.testing import PATIENCE
from tests.at_once import run_at_once
from tests.charging_profiles.test_order import methods, wait, written
from tests.charging_profiles.test_sweep import has_left, somebody_has_looked, state
from tests.flex.agreements import agree
from tests.running_hub import changed_setting
from tests.scripted import ACCEPTED, PROFILE, Cast, Held, code


@pytest.fixture(scope="module", autouse=True)
def scsp_may_act(cast: Cast) -> None:
    agree(cast.scsp, cpo=cast.cpo)


@pytest.fixture
def told() -> Iterator[psycopg.Connection]:
    """A connection that hears what the carriers of workers hear."""
    with psycopg.connect(autocommit=True, **connection_parameters()) as database:
        database.execute(f"LISTEN {CHANNEL}profiles")
        yield database


def heard(database: psycopg.Connection) -> list[str]:
    """What they were told until now."""
    database.execute(f"SELECT pg_notify('{CHANNEL}profiles', 'now')")
    found = [one.payload for one in database.notifies(timeout=PATIENCE, stop_after=1)]
    while found[-1] != "now":
        found += [one.payload for one in database.notifies(timeout=PATIENCE, stop_after=1)]
    return found[:-1]


def command(session_id: str, **more: object) -> ProfileCommand:
    return ProfileCommand.objects.get(session_id_sent=session_id, **more)


def another_of(cast: Cast, session_id: str, method: str = "PUT", key: str = "") -> ProfileCommand:
    """One like that which the FSP has just sent, not written yet."""
    getattr(cast.scsp, f"{method.lower()}_profile")(session_id)
    one = ProfileCommand.objects.filter(session_id_sent=session_id).latest("pk")
    one.pk, one.key, one._state.adding = None, key or f"{one.key[:-1]}!", True
    one.state, one.attempts, one.fence = CommandState.WAITING, 0, 0
    one.sent_at = one.answered_at = one.passed_on_at = one.result_by = None
    return one


def test_what_may_leave_at_once_wakes_no_worker(cast, told):
    cast.cpo.put_session("ONCE-1", cast.emsp)
    heard(told)
    assert cast.scsp.put_profile("ONCE-1").json()["data"] == ACCEPTED
    assert cast.scsp.get_profile("ONCE-1").json()["data"] == ACCEPTED
    assert cast.scsp.delete_profile("ONCE-1").json()["data"] == ACCEPTED
    assert heard(told) == []
    assert methods(cast, "ONCE-1") == ["PUT", "GET", "DELETE"]
    for one in ProfileCommand.objects.filter(session_id_sent="ONCE-1"):
        assert (one.state, one.attempts, one.lease_until) == (CommandState.ACCEPTED, 1, None)
        assert one.fence
        assert one.sent_at


def test_what_waits_for_another_of_its_session_is_a_workers(cast, told):
    cast.cpo.put_session("ONCE-2", cast.emsp)
    holding = Held()
    cast.cpo.answers("ONCE-2", holding)
    heard(told)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cast.scsp.put_profile, "ONCE-2")
        assert holding.has_come.wait(PATIENCE)
        second = pool.submit(cast.scsp.delete_profile, "ONCE-2")
        written("ONCE-2", 2)
        assert heard(told) == ["profiles"]
        assert state(command("ONCE-2", method="DELETE")) == CommandState.WAITING
        holding.may_go.set()
        assert first.result(PATIENCE).json()["data"] == ACCEPTED
        assert second.result(PATIENCE).json()["data"] == ACCEPTED
    # Once more, when there was room for it.
    assert heard(told) == ["profiles"]
    assert methods(cast, "ONCE-2") == ["PUT", "DELETE"]


def test_who_hangs_up_takes_no_command_back(cast):
    cast.cpo.put_session("ONCE-3", cast.emsp)
    holding = Held()
    cast.cpo.answers("ONCE-3", holding)
    wish = {"charging_profile": PROFILE, "response_url": cast.scsp.response_url("ONCE-3")}
    headers = {
        "Authorization": authorization(cast.scsp.platform.hub.sends),
        "OCPI-from-country-code": cast.scsp.party.country_code,
        "OCPI-from-party-id": cast.scsp.party.party_id,
    }
    with closing(HTTPConnection(urlsplit(cast.hub.url).netloc, timeout=PATIENCE)) as connection:
        path = "/ocpi/2.2.1/receiver/chargingprofiles/ONCE-3"
        connection.request("PUT", path, json.dumps(wish), headers)
        assert holding.has_come.wait(PATIENCE)
    holding.may_go.set()
    has_left(command("ONCE-3"), cast)
    assert cast.scsp.delete_profile("ONCE-3").json()["data"] == ACCEPTED


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_get_of_a_dead_web_process_is_carried_by_a_worker_and_a_put_is_not(cast, method):
    """It may have sent it: what comes later waits until nobody can hear of it any more."""
    session_id = f"ONCE-4-{method}"
    cast.cpo.put_session(session_id, cast.emsp)
    dead = another_of(cast, session_id, method=method)
    django = DjangoThreads(1)
    lease = run_at_once(lambda writer: at_once.add(writer, django, dead))
    django.close()
    assert lease is not None
    assert state(dead) == CommandState.SENDING
    ProfileCommand.objects.filter(pk=dead.pk).update(lease_until=Now())
    if method == "GET":
        has_left(dead, cast)
        assert (dead.attempts, methods(cast, session_id)) == (2, ["GET", "GET"])
        return
    somebody_has_looked(cast, session_id)
    assert (state(dead), methods(cast, session_id)) == (CommandState.SENDING, ["PUT"])
    ProfileCommand.objects.filter(pk=dead.pk).update(answer_by=Now())
    assert wait(lambda: tasks.end_overdue() or state(dead) == CommandState.TIMED_OUT)


def test_what_nobody_knows_to_be_taken_is_a_workers(cast):
    """The database has not answered: it may be written, and nothing has left."""
    cast.cpo.put_session("ONCE-5", cast.emsp)
    unsure = another_of(cast, "ONCE-5")
    django = DjangoThreads(1)
    assert run_at_once(lambda writer: at_once.add(writer, django, unsure)) is not None
    django.close()
    unsure.add_after_all()
    has_left(unsure, cast)
    assert methods(cast, "ONCE-5") == ["PUT", "PUT"]


def test_what_a_worker_has_claimed_meanwhile_is_not_given_out_again(cast):
    """The answer of the database was lost, and a worker was first: it may have sent it."""
    cast.cpo.put_session("ONCE-7", cast.emsp)
    unsure = another_of(cast, "ONCE-7")
    holding = Held()
    cast.cpo.answers("ONCE-7", holding)
    unsure.add()
    assert holding.has_come.wait(PATIENCE)
    claimed = ProfileCommand.objects.get(pk=unsure.pk)
    assert (claimed.state, claimed.attempts) == (CommandState.SENDING, 1)
    unsure.add_after_all()
    unsure.refresh_from_db()
    told = [(one.state, one.fence, one.sent_at) for one in (claimed, unsure)]
    holding.may_go.set()
    assert told[0] == told[1]
    has_left(unsure, cast)
    assert methods(cast, "ONCE-7") == ["PUT", "PUT"]


def test_a_burst_takes_no_more_than_the_places_at_a_cpo(cast):
    cast.cpo.put_session("ONCE-8", cast.emsp)
    asked = [another_of(cast, "ONCE-8", method="GET", key=f"of a burst {n}") for n in range(4)]
    *burst, later = asked
    django = DjangoThreads(1)

    async def ask(writer: Writer) -> list[bool]:
        found = await asyncio.gather(*(at_once.add(writer, django, one) for one in burst))
        taken = [lease is not None for lease in found]
        outbound = AsyncCaller()
        assert found[0] is not None
        await at_once.carry(burst[0], found[0], writer, django, outbound)
        lease = await at_once.add(writer, django, later)
        assert lease is not None
        await at_once.carry(later, lease, writer, django, outbound)
        outbound.close()
        return taken

    places = at_once._at_cpo[later.cpo_platform_id] + 1
    with changed_setting("PROFILE_CALLS_PER_RECEIVER", places):
        assert run_at_once(ask) == [True, False, False]
    django.close()
    for one in asked:
        has_left(one, cast)
        assert one.attempts == 1


def test_a_cpo_that_cannot_be_reached_or_says_nothing_of_use_is_told(cast):
    cast.cpo.put_session("ONCE-6", cast.emsp)

    async def odd(_: Received) -> Reply:
        return Reply({"result": "?"}, status_code=2000)

    cast.cpo.answers("ONCE-6", odd)
    assert code(cast.scsp.put_profile("ONCE-6")) == 2000
    assert state(command("ONCE-6")) == CommandState.REFUSED
    cast.cpo.running.set_faults(gone=True)
    try:
        answer = cast.scsp.get_profile("ONCE-6")
    finally:
        cast.cpo.running.clear_faults()
    assert code(answer) == 4003
    assert state(command("ONCE-6", method="GET")) == CommandState.UNREACHABLE
