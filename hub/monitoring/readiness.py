"""/readyz: whether the hub works, part by part, in words that a stranger may read.

`ready` and `degraded` are HTTP 200, `not ready` is 503. Without the database, or before its
migrations, a process can do hardly anything; without the broker only the record of messages stops,
and without workers what the hub owes waits: both are degraded (docs/decisions/0047).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Final

import redis
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse

from hub.models import WorkerProcess
from hub.record.recorder import connect

OK: Final = "ok"
NO_ANSWER: Final = "no answer"
_UNKNOWN: Final = "unknown"
# What is not answered by then counts as away; the thread that looks is that of versions, too.
_SECONDS: Final = 2
_APPLIED: Final = "SELECT app, name FROM django_migrations"


def readiness(request: HttpRequest) -> HttpResponse:
    """{"status": "degraded", "database": "ok", "broker": "no answer", "workers": "ok", …}."""
    found = parts()
    status = status_of(found)
    code = HTTPStatus.SERVICE_UNAVAILABLE if status == "not ready" else HTTPStatus.OK
    answer = JsonResponse({"status": status, **found}, status=code)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def parts() -> dict[str, str]:
    """A word for each part; it takes three times `_SECONDS` at most."""
    found = dict.fromkeys(("database", "migrations", "workers", "broker"), _UNKNOWN)
    try:
        with _bounded():
            found["database"] = OK
            found["migrations"] = _migrations()
            found["workers"] = _workers()
    except Error:
        # Which one, its own log tells: strangers need not know.
        asked = next((part for part, word in found.items() if word == _UNKNOWN), "database")
        found["database" if asked == "migrations" else asked] = NO_ANSWER
    found["broker"] = _broker()
    return found


def status_of(found: dict[str, str]) -> str:
    """The worst of the parts."""
    if found["database"] != OK or found["migrations"] not in {OK, "newer"}:
        return "not ready"
    return "ready" if found["workers"] == found["broker"] == OK else "degraded"


@contextmanager
def _bounded() -> Iterator[None]:
    """Nothing here waits for a lock, or works, for longer than that."""
    with transaction.atomic(), connection.cursor() as cursor:
        limit = f"'{_SECONDS}s'"
        cursor.execute(f"SET LOCAL lock_timeout = {limit}; SET LOCAL statement_timeout = {limit}")
        yield


@cache
def _known() -> frozenset[tuple[str, str]]:
    """The migrations that this release has."""
    return frozenset(MigrationLoader(None).disk_migrations)


def _migrations() -> str:
    with connection.cursor() as cursor:
        cursor.execute(_APPLIED)
        applied = frozenset(cursor.fetchall())
    if _known() - applied:
        return "behind"
    own = {app for app, _ in _known()}
    return "newer" if any(app in own for app, _ in applied - _known()) else OK


def _workers() -> str:
    """Which queues nobody works for."""
    idle = [workers.queue for workers in WorkerProcess.by_queue() if not workers.alive]
    return f"none for {', '.join(idle)}" if idle else OK


def _broker() -> str:
    client = connect(settings.CELERY_BROKER_URL)
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return NO_ANSWER
    finally:
        client.close()
    return OK
