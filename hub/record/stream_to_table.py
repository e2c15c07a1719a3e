"""From Valkey to PostgreSQL: batches are copied into the table, each exactly once.

A turn by the clock of the worker that keeps house. Several at a time do no harm: one drains, the
others find nothing to do.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final, cast

import msgspec
import redis
from celery import shared_task
from django.conf import settings
from django.db import DataError, connection, transaction

from hub.record import minutes, partitions, strangers, tallies
from hub.record.models import DrainedBatch
from hub.record.note import Row
from hub.record.objects import object_in
from hub.record.recorder import FIELD, STREAM, Batch, Count, connect

logger = logging.getLogger(__name__)
_BATCHES_AT_ONCE: Final = 50
_decode = msgspec.msgpack.Decoder(Batch).decode
_COLUMNS: Final = ", ".join((*Row._fields, "object_id"))
_COPY: Final = f"COPY {partitions.TABLE} ({_COLUMNS}) FROM STDIN"
Entry = tuple[bytes, dict[bytes, bytes]]
_connected = cache(connect)


def copy_to_table(valkey: "redis.Redis | None" = None) -> int:
    """Copy what waits; how many rows that were. A second drain beside this one gets 0."""
    client = valkey or _connected(settings.CELERY_BROKER_URL)
    total = 0
    while client.xlen(STREAM):
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
        # One that the table does not take must not hold up all others without end.
        logger.exception("%s messages cannot be recorded", len(rows))
        counts.append(Count("unrecorded", (), len(rows)))
        rows = []
    if nobodies:
        counts.append(Count("strangers", (), nobodies))
    tallies.add(rows, counts)
    minutes.add(rows)
    return len(rows)


def _read(entry: Entry) -> Batch | None:
    try:
        return _decode(entry[1][FIELD])
    except (msgspec.MsgspecError, KeyError) as error:
        # It may come from another release.
        logger.warning("a batch of messages cannot be read: %s", error)
        return None


def _copy(rows: Sequence[Row]) -> None:
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(_COPY) as copy,
    ):
        for row in rows:
            about = object_in(row.path, row.method)
            copy.write_row((datetime.fromtimestamp(row.at, UTC), *row[1:], about))


@shared_task(name="record.copy_to_table")
def drain_messages() -> None:
    """By the clock; while Valkey is away, messages wait there."""
    try:
        copy_to_table()
    except (redis.RedisError, OSError) as error:
        logger.warning("messages wait to be recorded: %s", error)


@shared_task(name="record.make_partitions")
def make_partitions() -> None:
    """By the clock, long before they are needed; minutes that are past their time go."""
    partitions.make_ahead()
    minutes.forget()
