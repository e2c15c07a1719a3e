"""Locks: one order, what is repeated after a deadlock, what answers while a table is locked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests
from django.conf import settings
from django.db import DataError, connection, transaction

from hub.db.notify import connection_parameters
from hub.models import Party, Platform, PlatformHealth, locking
from hub.ocpi.datatypes import Role
from hub.parties import onboarding, party_status
from hub.routing.directory import holder
from simulators.testing import PATIENCE
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import Stranger, ask, until

_WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock' AND query ~ %s"
)


_HEARD = "^ *INSERT INTO hub_platformhealth"


@pytest.fixture
def other(hub) -> Iterator["psycopg.Connection"]:
    """A connection of somebody else, in a transaction."""
    with psycopg.connect(**connection_parameters()) as database:
        yield database
        database.rollback()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads whose database connections are closed after each call."""
    with ThreadPoolExecutor(24) as pool:
        yield pool


def _closing(function, *arguments):
    try:
        return function(*arguments)
    finally:
        connection.close()


def _waiting(query: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [query])
        return [pid for (pid,) in cursor.fetchall()]


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_an_offline_platform_unregisters_while_it_is_found_to_be_back(hub, other, threads):
    newcomer = Newcomer(hub)
    newcomer.post()
    platform = Party.objects.get(party_id=newcomer.party.party_id).platform_id
    party_status.is_away(platform, "it hangs")
    before = _deadlocks()
    # Both have to be in the middle when they meet.
    other.execute("SELECT FROM hub_party WHERE platform_id = %s FOR UPDATE", [platform])
    back = threads.submit(_closing, party_status.is_back, platform)
    until(lambda: _waiting("hub_party"))
    deleted = threads.submit(newcomer.delete)
    # Beside them it may be written down when the platform was heard.
    until(lambda: len(set(_waiting("hub_party|hub_platform")) - set(_waiting(_HEARD))) >= 2)
    other.rollback()
    assert deleted.result().said == (200, 1000)
    back.result()
    assert Party.objects.get(platform=platform).status == "SUSPENDED"
    assert _deadlocks() == before


def test_the_version_of_the_directory_is_nobodys_to_wait_for(hub, other, threads):
    one, two = (hub.join(Stranger(Role.CPO, listens=False)).simulator.party for _ in range(2))
    first, second = (Party.objects.get(party_id=p.party_id).platform_id for p in (one, two))
    # In the middle of a change, and not at its commit yet.
    other.execute("UPDATE hub_party SET name = 'changed' WHERE platform_id = %s", [first])
    threads.submit(_closing, onboarding.suspend, two).result(PATIENCE)
    assert Party.objects.get(platform=second).status == "SUSPENDED"


def test_what_loses_a_deadlock_is_done_once_more(hub, other, threads):
    one, two = (Platform.objects.create(name=name) for name in ("One", "Two"))
    lock = "SELECT FROM hub_platform WHERE id = %s FOR UPDATE"
    began = []

    @locking.whole
    def both() -> None:
        began.append(1)
        if len(began) > 1:
            waits.result()  # The other one has it before this one asks for it again.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
            cursor.execute(lock, [one.pk])
            holds.set()
            goes_on.wait()
            cursor.execute(lock, [two.pk])
        Platform.objects.filter(pk=two.pk).update(name="Done")

    holds, goes_on = threading.Event(), threading.Event()
    other.execute("SET LOCAL deadlock_timeout = '1min'")
    other.execute(lock, [two.pk])
    done = threads.submit(_closing, both)
    holds.wait()
    waits = threads.submit(other.execute, lock, [one.pk])
    until(lambda: _waiting("hub_platform WHERE id"))
    goes_on.set()
    waits.result()
    other.rollback()
    done.result()
    assert len(began) == 2
    assert Platform.objects.get(pk=two.pk).name == "Done"
    PlatformHealth.objects.filter(pk__in=[one.pk, two.pk]).delete()


def test_versions_and_health_answer_while_a_table_is_locked(hub, other, threads):
    cpos = [hub.join(Stranger(Role.CPO, listens=False)) for _ in range(3)]
    other.execute("LOCK TABLE hub_party IN ACCESS EXCLUSIVE MODE")
    asked = [
        threads.submit(ask, hub, cpos[number % 3], "GET", "hubclientinfo") for number in range(12)
    ]
    # All of Django's threads that OCPI has.
    until(lambda: len(_waiting("hub_party")) >= 8)
    for path in ("/ocpi/versions", "/ocpi/2.2.1"):
        assert ask(hub, cpos[0], "GET", path).said == (200, 1000)
    assert requests.get(f"{hub.url}/health", timeout=PATIENCE).text == "ok\n"
    # The directory has not changed, so nothing of it is read.
    threads.submit(_closing, holder.refresh).result(PATIENCE)
    # What waits too long is ended by its timeouts, here by us.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_cancel_backend(%s)", [_waiting("SELECT.*hub_party")[0]])
    until(lambda: any(one.done() for one in asked))
    other.rollback()
    answers = [one.result() for one in asked]
    assert sorted(answer.code for answer in answers) == [1000] * 11 + [3000]
    (ended,) = [answer for answer in answers if answer.code == 3000]
    assert ended.status == 200
    assert ended.headers["retry-after"] == "1"


def test_no_connection_waits_for_ever(hub, threads):
    def asked() -> list[str]:
        with connection.cursor() as cursor:
            return [
                cursor.execute(f"SHOW {name}").fetchone()[0]
                for name in ("lock_timeout", "statement_timeout")
            ]

    connection.close()  # The one by which the tables were made has had limits of its own.
    limits = ["50s", "1min"]  # The first is of tests (tests/conftest.py).
    assert threads.submit(_closing, asked).result() == limits
    assert f"-c lock_timeout={settings.LOCK_TIMEOUT * 1000:.0f} " in settings.DATABASE_TIMEOUTS
    with locking.taking_long():
        assert asked() == ["50s", "0"]
    assert asked() == limits
    with pytest.raises(DataError), locking.taking_long(), transaction.atomic():
        connection.cursor().execute("SELECT 1 / 0")
    assert asked() == limits
    with psycopg.connect(**connection_parameters()) as database:
        assert database.execute("SHOW statement_timeout").fetchone() == ("1min",)
        assert database.info.get_parameters()["keepalives_idle"] == "10"
