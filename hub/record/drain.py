"""From Valkey to PostgreSQL: batches are copied into the table, each exactly once.

A thread of the worker that keeps house (hub/celery.py), since jobs in its queue may wait for slow
parties. Several of them are no harm: one drains, the others find nothing to do.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec
import redis
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.db import DataError, close_old_connections, connection, transaction
from django.db.utils import Error as DatabaseError

from hub.record import partitions, strangers, tallies
from hub.record.models import DrainedBatch
from hub.record.note import Row
from hub.record.recorder import FIELD, STREAM, Batch, Count, connect, recorder

logger = logging.getLogger(__name__)
SECONDS: Final = 1.0
QUEUE: Final = "upkeep"
_BATCHES_AT_ONCE: Final = 50
_PARTITIONS_EVERY: Final = 600
_decode = msgspec.msgpack.Decoder(Batch).decode
_COPY: Final = f"COPY {partitions.TABLE} ({', '.join(Row._fields)}) FROM STDIN"
Entry = tuple[bytes, dict[bytes, bytes]]


def drain(valkey: "redis.Redis | None" = None) -> int:
    """Copy what waits; how many rows that were. A second drain beside this one gets 0."""
    client = valkey or connect(settings.CELERY_BROKER_URL)
    total = 0
    while True:
        with transaction.atomic():
            if not _is_mine():
                return total
            entries = cast(list[Entry], client.xrange(STREAM, count=_BATCHES_AT_ONCE))
            total += _keep(entries)
        # Only now that they are kept. Should this fail, DrainedBatch tells what is known already.
        if entries:
            client.xdel(STREAM, *(entry_id for entry_id, _ in entries))
        if len(entries) < _BATCHES_AT_ONCE:
            return total


def _is_mine() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('message drain', 0))")
        return bool(cursor.fetchone()[0])


def _keep(entries: Sequence[Entry]) -> int:
    drained = set(DrainedBatch.objects.values_list("batch_id", flat=True))
    batches = [batch for batch in map(_read, entries) if batch is not None]
    # What Valkey has no more need not be remembered.
    DrainedBatch.objects.exclude(batch_id__in=[batch.id for batch in batches]).delete()
    new = [batch for batch in batches if batch.id not in drained]
    if not new:
        return 0
    DrainedBatch.objects.bulk_create([DrainedBatch(batch_id=batch.id) for batch in new])
    rows = [row for batch in new for row in batch.rows]
    counts = [count for batch in new for count in batch.counts]
    nobodies = 0
    try:
        with transaction.atomic():
            _copy(rows)
            nobodies = strangers.write(one for batch in new for one in batch.strangers)
    except DataError:
        # One that the table does not take must not hold up all others for ever.
        logger.exception("%s messages cannot be recorded", len(rows))
        counts.append(Count("unrecorded", (), len(rows)))
        rows = []
    if nobodies:
        counts.append(Count("strangers", (), nobodies))
    tallies.add(rows, counts)
    return len(rows)


def _read(entry: Entry) -> Batch | None:
    try:
        return _decode(entry[1][FIELD])
    except (msgspec.MsgspecError, KeyError) as error:
        # Of another release, perhaps.
        logger.warning("a batch of messages cannot be read: %s", error)
        return None


def _copy(rows: Sequence[Row]) -> None:
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(_COPY) as copy,
    ):
        for row in rows:
            copy.write_row((datetime.fromtimestamp(row.at, UTC), *row[1:]))


class Drainer(threading.Thread):
    """Drains about every second until it is stopped, and keeps partitions ahead."""

    def __init__(self) -> None:
        super().__init__(name="drain", daemon=True)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Drain once more, then end."""
        self._stopping.set()
        self.join(5)

    def run(self) -> None:
        """PostgreSQL and Valkey may be away for a while; then it tries again."""
        valkey = connect(settings.CELERY_BROKER_URL)
        due = 0.0
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(SECONDS)
            due -= SECONDS
            try:
                close_old_connections()
                if due <= 0:
                    partitions.make_ahead()
                    due = _PARTITIONS_EVERY
                if is_last:
                    recorder.flush()
                drain(valkey)
            except (DatabaseError, redis.RedisError, OSError) as error:
                logger.warning("messages wait to be recorded: %s", error)
        connection.close()


@worker_ready.connect
def _start(sender: Any, **_: object) -> None:
    """In the worker of the queue `upkeep` alone."""
    if QUEUE in sender.app.amqp.queues.consume_from:
        drainer = Drainer()
        drainer.start()
        worker_shutting_down.connect(lambda **_: drainer.stop(), weak=False)
