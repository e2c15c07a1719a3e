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
    stop = threading.Event()
    model, pk, owner = type(row), row.pk, process_name()

    def renew() -> None:
        try:
            while not stop.wait(LEASE.total_seconds() / 3):
                try:
                    close_old_connections()
                    model._default_manager.filter(pk=pk, lease_owner=owner).update(
                        lease_until=timezone.now() + LEASE
                    )
                except DatabaseError:
                    continue
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name=f"lease {pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def lock_name(name: str) -> None:
    """Serialise on a name until the transaction ends; for rows that do not exist yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
