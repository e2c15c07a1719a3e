"""Who works on a row: leases that end by themselves when their process dies."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from secrets import token_hex

from django.db import close_old_connections, connection, models
from django.db.utils import Error as DatabaseError
from django.utils import timezone

# A dead worker's rows are free again after this long; a living one renews three times within it.
LEASE = timedelta(seconds=6)


@cache
def _name(pid: int) -> str:
    return f"{socket.gethostname()[:30]}-{pid}-{token_hex(4)}"


def process_name() -> str:
    """A name for this process that no other ever has."""
    return _name(os.getpid())


@contextmanager
def renewed(row: models.Model) -> Iterator[None]:
    """Keep the lease on `row` while a slow call runs.

    The thread dies with its process, and the lease soon after. A renewal that fails (the database
    is away) is tried again at the next beat; should the lease end meanwhile, the row's own state
    check refuses the second answer.
    """
    key = (type(row), row.pk)
    with _lock:
        _held.add(key)
        if not _renewer.is_set():
            _renewer.set()
            threading.Thread(target=_renew, name="leases", daemon=True).start()
    try:
        yield
    finally:
        with _lock:
            _held.discard(key)


_lock = threading.Lock()
_held: set[tuple[type[models.Model], int]] = set()
_renewer = threading.Event()


def _renew() -> None:
    pause = threading.Event()
    while not pause.wait(LEASE.total_seconds() / 3):
        with _lock:
            held = list(_held)
        for model in {model for model, _ in held}:
            try:
                close_old_connections()
                model._default_manager.filter(
                    pk__in=[pk for m, pk in held if m is model], lease_owner=process_name()
                ).update(lease_until=timezone.now() + LEASE)
            except DatabaseError:
                continue


def lock_name(name: str) -> None:
    """Serialise on a name until the transaction ends; for rows that do not exist yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
