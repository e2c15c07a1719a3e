"""/readyz: a word for each part, within a bound, and nothing that a stranger should not know."""

import asyncio
import json
from types import SimpleNamespace

import psycopg
import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from hub.db import sql
from hub.db.django_threads import DjangoThreads
from hub.db.notify import connection_parameters
from hub.gateway.other_pages import Pages
from hub.models import WorkerProcess
from hub.models.workers import QUEUES
from hub.monitoring.readiness import parts, status_of

WELL = {"database": "ok", "migrations": "ok", "workers": "ok", "broker": "ok"}
NOBODY_LISTENS = "redis://:a-secret-password@127.0.0.1:1/0"


@pytest.fixture
def _all_work(db):
    """A worker of each queue is there."""
    for queue in QUEUES:
        sql.run(
            "INSERT INTO hub_workerprocess (name, queue, lease_until) "
            "VALUES ('one', %s, now() + interval '1 h') RETURNING id",
            [queue],
        )


def answer(client):
    response = client.get("/readyz")
    said = response.json()
    assert said.pop("status") == status_of(said)
    return response.status_code, status_of(said), said


@pytest.mark.usefixtures("_all_work")
def test_a_hub_that_works_is_ready(client):
    assert answer(client) == (200, "ready", WELL)


@pytest.mark.usefixtures("_all_work")
def test_without_broker_or_workers_it_works_less_well(client, settings):
    settings.CELERY_BROKER_URL = NOBODY_LISTENS
    assert answer(client) == (200, "degraded", WELL | {"broker": "no answer"})
    WorkerProcess.objects.filter(queue__in=["pulls", "upkeep"]).delete()
    code, status, said = answer(client)
    assert (code, status, said["workers"]) == (200, "degraded", "none for pulls, upkeep")


@pytest.mark.usefixtures("_all_work")
def test_a_schema_of_before_is_not_served_and_one_of_later_is(client):
    applied = MigrationRecorder.Migration.objects
    applied.create(app="hub", name="9999_of_the_next_release")
    # What another program has applied beside is nobody's business here.
    applied.create(app="somebody_else", name="0001_initial")
    assert answer(client) == (200, "ready", WELL | {"migrations": "newer"})
    applied.get(app="hub", name="0037_taken_marks").delete()
    assert answer(client) == (503, "not ready", WELL | {"migrations": "behind"})


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_locked_holds_nobody_up(client):
    limits = lock_timeout()
    with psycopg.connect(**connection_parameters()) as other:
        other.execute("LOCK TABLE hub_workerprocess IN ACCESS EXCLUSIVE MODE")
        found = parts()
    assert found == WELL | {"workers": "no answer"}
    assert lock_timeout() == limits  # the thread has its own limits again


def lock_timeout():
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        return cursor.fetchone()[0]


class _Hurried(Pages):
    READY_WITHIN = 0.2


@pytest.mark.django_db(transaction=True)
def test_while_the_database_hangs_the_answer_comes_all_the_same():
    """Its thread waits for the database; those who ask meanwhile are told so."""
    sent = []

    async def send(message):
        sent.append(message)

    async def asked(threads):
        scope = {"type": "http", "path": "/readyz", "method": "GET", "headers": []}
        scope |= {"query_string": b"", "http_version": "1.1"}
        with psycopg.connect(**connection_parameters()) as other:
            other.execute("SELECT pg_advisory_lock(4711)")
            stuck = asyncio.create_task(threads.run(sql.run, "SELECT pg_advisory_lock(4711)::text"))
            await _Hurried(SimpleNamespace(steady=threads))(scope, None, send)
        await stuck

    threads = DjangoThreads(1, each=1)
    try:
        asyncio.run(asked(threads))
    finally:
        threads.close()
    assert sent[0]["status"] == 503
    told = json.loads(b"".join(message.get("body", b"") for message in sent))
    assert told == {"status": "not ready", "database": "no answer"}
