"""Messages by the minute, of each module and each platform: what the overview draws.

Added up while messages are copied into the record, so that nobody counts a million rows to say how
the last hour went.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from hub.db import sql
from hub.record.models import Minute
from hub.record.note import Direction, Row
from hub.record.tallies import module_of

# Of each module some days, of each platform (there may be a thousand) what alerts look at.
MODULES_KEPT: Final = timedelta(days=8)
PLATFORMS_KEPT: Final = timedelta(hours=3)
_ADD: Final = """
    INSERT INTO record_minute AS kept
        (at, platform_id, direction, module, number, failed, seconds)
    SELECT to_timestamp(60 * minute), platform, direction, module, number, failed, seconds
    FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                %s::float8[])
         AS new (minute, platform, direction, module, number, failed, seconds)
    ON CONFLICT (at, platform_id, direction, module) DO UPDATE
    SET number = kept.number + excluded.number, failed = kept.failed + excluded.failed,
        seconds = kept.seconds + excluded.seconds
"""
Key = tuple[int, int, str, str]
Minutes = QuerySet[Minute]


def add(rows: Iterable[Row]) -> None:
    """Add messages to the table, in the transaction of their rows."""
    sums: dict[Key, list[float]] = {}
    for row in rows:
        minute = int(row.at) // 60
        keys: list[Key] = [(minute, 0, row.direction, module_of(row))]
        if row.platform_id is not None:
            keys.append((minute, row.platform_id, row.direction, ""))
        for key in keys:
            kept = sums.setdefault(key, [0, 0, 0.0])
            kept[0] += 1
            kept[1] += row.is_failed
            kept[2] += row.milliseconds / 1000
    if sums:
        given = [(*key, *sums[key]) for key in sorted(sums)]
        sql.run(_ADD, [list(column) for column in zip(*given, strict=True)])


def forget() -> None:
    """Delete what is past its time."""
    now = timezone.now()
    of_platforms = Q(at__lt=now - PLATFORMS_KEPT) & ~Q(platform_id=0)
    Minute.objects.filter(Q(at__lt=now - MODULES_KEPT) | of_platforms).delete()


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one module (or platform) in some minutes: messages a minute, and failed ones."""

    name: str
    numbers: list[int]
    failures: list[int]

    @property
    def number(self) -> int:
        """All of them."""
        return sum(self.numbers)

    @property
    def failed(self) -> int:
        """Those that failed."""
        return sum(self.failures)

    @property
    def share(self) -> float:
        """Of all, how many failed: 0 to 1."""
        return self.failed / self.number if self.number else 0.0


def by_module(minutes: int, now: datetime | None = None) -> list[Counted]:
    """What came in during the last minutes, the present one last; the busiest module first."""
    last = (now or timezone.now()).astimezone(UTC).replace(second=0, microsecond=0)
    first = last - timedelta(minutes=minutes - 1)
    found: dict[str, Counted] = {}
    rows = of_modules(first).filter(at__lte=last)
    for at, module, number, failed in rows.values_list("at", "module", "number", "failed"):
        one = found.setdefault(module, Counted(module, [0] * minutes, [0] * minutes))
        place = int((at - first).total_seconds()) // 60
        one.numbers[place] = number
        one.failures[place] = failed
    return sorted(found.values(), key=lambda one: (-one.number, one.name))


def of_modules(since: datetime) -> Minutes:
    """The minutes of what came in, of each module."""
    return Minute.objects.filter(at__gte=since, platform_id=0, direction=Direction.IN.value)


def of_platforms(since: datetime) -> Minutes:
    """The minutes of each platform, in both directions."""
    return Minute.objects.filter(at__gte=since, platform_id__gt=0)
