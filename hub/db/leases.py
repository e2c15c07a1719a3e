"""The one lease: who works on a row, until when, and how its holder knows that it still does.

Two columns of the row: `fence`, a number that no claim ever gets again, and `lease_until`, which
the database's clock alone writes and reads. A write of a former holder names an older
fence, and is refused. No database can call back what is sent, so a holder checks its own end
before each first byte: a moment before the database's, from the time at which it asked, by a clock
that no step touches and that goes on while the machine sleeps (docs/decisions/0027).
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import inf
from secrets import token_hex
from typing import Final

from django.db import close_old_connections, connection, models
from django.db.utils import Error as DatabaseError

from hub.db import sql

logger = logging.getLogger(__name__)
# A dead worker's rows are free again after this long.
LEASE: Final = timedelta(seconds=6)
# The holder counts its lease as over this long before others may take it.
MARGIN: Final = 1.0  # seconds
# A living one renews this often.
RENEW_EVERY: Final = 1.0  # seconds

# In SQL, for statements of their own. The time of a statement, not of its transaction,
# which may have begun long before its holder asked.
NOW: Final = "statement_timestamp()"
UNTIL: Final = f"{NOW} + interval '{LEASE.total_seconds():g} s'"
NEXT_FENCE: Final = "nextval('hub_fence')"
TAKEN: Final = f"fence = {NEXT_FENCE}, lease_until = {UNTIL}"
RENEWED: Final = f"lease_until = {UNTIL}"
RELEASED: Final = "lease_until = NULL"


def free(table: str = "") -> str:
    """The condition under which a row may be taken; `table` where a statement names several."""
    column = f"{table}.lease_until" if table else "lease_until"
    return f"({column} IS NULL OR {column} <= {NOW})"


class Leased(models.Model):
    """A row that one process at a time works on."""

    fence = models.BigIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


# macOS has no such name; its monotonic clock counts sleep by itself.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Seconds since this machine started, asleep or awake; nobody sets this clock."""
    return time.clock_gettime(_CLOCK)


@dataclass(slots=True, eq=False)
class Lease:
    """A lease as its holder sees it: claimed, or renewed, by a statement sent at `asked` (clock()).

    Whoever renews it, or claims the row again, writes that down here.
    """

    fence: int
    asked: float
    seconds: float = LEASE.total_seconds()

    @property
    def is_held(self) -> bool:
        """Whether no other process can have taken it over yet."""
        return clock() < self.asked + self.seconds - MARGIN

    def end(self) -> None:
        """Note that it was given back, or lost."""
        self.asked = -inf


def now() -> datetime:
    """The database's time, for comparisons between hosts."""
    [(moment,)] = sql.run(f"SELECT {NOW}")
    assert isinstance(moment, datetime)  # noqa: S101 - narrows for mypy
    return moment


def take(row: Leased) -> Lease | None:
    """Get the lease of a row; None while somebody else has it."""
    asked = clock()
    found = sql.run(
        f"UPDATE {row._meta.db_table} SET {TAKEN} "  # noqa: S608 - our own table
        f"WHERE id = %s AND {free()} RETURNING fence",
        [row.pk],
    )
    return Lease(found[0][0], asked) if found else None


@contextmanager
def holding(row: Leased, lease: Lease) -> Iterator[None]:
    """Renew the lease on `row` while a slow job runs, and give it back however the job ends."""
    try:
        with renewed(row, lease):
            yield
    finally:
        _release(type(row), row.pk, lease)


@contextmanager
def renewed(row: Leased, lease: Lease) -> Iterator[None]:
    """Renew the lease on `row` while a slow job runs; whoever asks gives it back.

    The renewing thread dies with its process, and the lease soon after. A renewal that fails (the
    database is away) is tried again; should the lease end meanwhile, the row's fence refuses what
    its former holder writes.
    """
    held = (type(row), row.pk, lease)
    with _lock:
        _held.add(held)
        if not _is_renewing.is_set():
            _is_renewing.set()
            threading.Thread(target=_renew_on, name="leases", daemon=True).start()
    try:
        yield
    finally:
        with _lock:
            _held.discard(held)


_lock = threading.Lock()
_held: set[tuple[type[Leased], int, Lease]] = set()
_is_renewing = threading.Event()


def _release(model: type[Leased], pk: int, lease: Lease) -> None:
    """By its fence: a renewal that is under way may come after it only for a lease of its own."""
    lease.end()
    try:
        sql.run(
            f"UPDATE {model._meta.db_table} SET fence = {NEXT_FENCE}, {RELEASED} "  # noqa: S608 - our own table
            f"WHERE id = %s AND fence = %s RETURNING {sql.SOON}",
            [pk, lease.fence],
        )
    except DatabaseError as error:
        logger.warning("a lease ends by itself: %s", error)


def _renew_on() -> None:
    pause = threading.Event()
    while not pause.wait(RENEW_EVERY):
        with _lock:
            held = list(_held)
        if not held:
            continue
        try:
            close_old_connections()
            for model, pk, lease in held:
                _renew(model, pk, lease)
        except DatabaseError as error:
            logger.warning("leases wait to be renewed: %s", error)


def _renew(model: type[Leased], pk: int, lease: Lease) -> None:
    asked = clock()
    found = sql.run(
        f"UPDATE {model._meta.db_table} SET {RENEWED} "  # noqa: S608 - our own table
        "WHERE id = %s AND fence = %s RETURNING id",
        [pk, lease.fence],
    )
    if found:
        lease.asked = asked
    else:
        lease.end()


@cache
def _name(pid: int) -> str:
    return f"{socket.gethostname()[:30]}-{pid}-{token_hex(4)}"


def process_name() -> str:
    """A name for this process that no other ever has."""
    return _name(os.getpid())


def lock_name(name: str) -> None:
    """Serialise on a name until the transaction ends; for rows that do not exist yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
