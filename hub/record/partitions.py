"""One partition for each day: made ahead, dropped whole when its time is over."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from hub.db.leases import lock_name
from hub.record.models import Message

TABLE: Final = Message._meta.db_table
DAYS_AHEAD: Final = 2
# A partition comes and goes under a lock on the table: it waits rather than holding others up.
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '2s'"


def name_of(day: date) -> str:
    """The partition of a day (UTC)."""
    return f"{TABLE}_{day:%Y%m%d}"


def days() -> list[date]:
    """The days that have a partition."""
    return sorted(_days())


def _days() -> Iterator[date]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relid::regclass::text FROM pg_partition_tree(%s::regclass) WHERE isleaf",
            [TABLE],
        )
        for (name,) in cursor.fetchall():
            suffix = name.removeprefix(f"{TABLE}_")
            if suffix.isdigit():
                yield datetime.strptime(suffix, "%Y%m%d").replace(tzinfo=UTC).date()


def make_ahead() -> None:
    """Partitions of today and the next days. What came for them before is taken along."""
    today = timezone.now().astimezone(UTC).date()
    wanted = {today + timedelta(days=number) for number in range(DAYS_AHEAD + 1)}
    for day in sorted(wanted.difference(_days())):
        _make(day)


def _make(day: date) -> None:
    name, start, end = name_of(day), day.isoformat(), (day + timedelta(days=1)).isoformat()
    with transaction.atomic(), connection.cursor() as cursor:
        lock_name("message partitions")
        if day in days():
            return  # Another process was quicker.
        cursor.execute(_LOCK_TIMEOUT)
        # Nobody may write into the default partition between the move and the attachment.
        cursor.execute(f"LOCK TABLE {TABLE}_default IN EXCLUSIVE MODE")
        cursor.execute(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING ALL)")
        cursor.execute(
            f"WITH moved AS (DELETE FROM {TABLE}_default WHERE at >= %s AND at < %s RETURNING *) "  # noqa: S608 - our own names
            f"INSERT INTO {name} SELECT * FROM moved",
            [f"{start} 00:00+00", f"{end} 00:00+00"],
        )
        cursor.execute(
            f"ALTER TABLE {TABLE} ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{start} 00:00+00') TO ('{end} 00:00+00')"
        )


def drop_old() -> None:
    """Forget what is older than MESSAGES_KEPT_DAYS, also what lies in the default partition."""
    oldest = timezone.now() - timedelta(days=settings.MESSAGES_KEPT_DAYS)
    for day in days():
        if day < oldest.astimezone(UTC).date():
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(_LOCK_TIMEOUT)
                cursor.execute(f"DROP TABLE {name_of(day)}")
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}_default WHERE at < %s", [oldest])  # noqa: S608 - our own name
