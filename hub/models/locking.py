"""Locks in one order, and the transaction that PostgreSQL ends for the sake of another one.

The order, wherever more than one is taken: the name "parties of platforms", PlatformHealth,
Platform, its parties by id; other platforms' parties. The version of the directory comes last by
itself: its triggers run at the commit.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import psycopg.errors
from django.db import OperationalError, connection, transaction

from hub.models import Party, Platform

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
# The other one of the two went on; nothing of this one has happened.
_REPEATED = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


def whole(function: Callable[P, T]) -> Callable[P, T]:
    """Run in a transaction, and once more after a deadlock or a serialization failure.

    Within another transaction it is part of that, which alone can be repeated. The function reads
    what it changes itself: what it has done to its arguments would still be there.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        is_outermost = not connection.in_atomic_block
        try:
            with transaction.atomic():
                return function(*args, **kwargs)
        except OperationalError as error:
            if not (is_outermost and isinstance(error.__cause__, _REPEATED)):
                raise
            logger.warning("%s is begun anew: %s", function.__qualname__, error.__cause__)
        with transaction.atomic():
            return function(*args, **kwargs)

    return run


@contextmanager
def taking_long() -> Iterator[None]:
    """Without STATEMENT_TIMEOUT: what looks through whole tables. Also as a decorator."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    try:
        yield
    finally:
        # A transaction that is rolled back takes the setting back itself.
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")


def lock_platform(platform_id: int) -> tuple[Platform, list[Party]] | None:
    """Lock a platform with its health and its parties; None when it is gone."""
    with connection.cursor() as cursor:
        lock = "SELECT FROM hub_platformhealth WHERE platform_id = %s FOR UPDATE"
        cursor.execute(lock, [platform_id])
        if not cursor.rowcount:
            cursor.execute(
                "INSERT INTO hub_platformhealth (platform_id, last_heard_at, problem) "
                "SELECT id, statement_timestamp(), '' FROM hub_platform WHERE id = %s "
                "ON CONFLICT DO NOTHING",
                [platform_id],
            )
            cursor.execute(lock, [platform_id])
    platform = Platform.objects.select_for_update().filter(pk=platform_id).first()
    if platform is None:
        return None
    return platform, list(platform.parties.select_for_update().order_by("pk"))
