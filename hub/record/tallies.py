"""What is counted: messages out of their rows, and what happens beside them."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from hub.db import sql
from hub.ocpi.modules import ROUTES
from hub.record.note import Direction, Row
from hub.record.recorder import Count

MESSAGES: Final = "messages"
# By party, direction, and whether it failed.
PARTIES: Final = "party_messages"
# Upper bounds of the latency histogram, in seconds; the last bucket has none.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MODULES: Final = frozenset(
    {route.module for route in ROUTES} | {"versions", "credentials", "hubclientinfo", "deviations"}
)
# What others invent must not make ever more labels.
_CODES: Final = range(1000, 5000)
_PARTY: Final = len("NL-CPO")
Key = tuple[str, str]
_ADD: Final = """
    INSERT INTO record_tally AS kept (name, labels, number, seconds)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::float8[])
    ON CONFLICT (name, labels) DO UPDATE
    SET number = kept.number + excluded.number, seconds = kept.seconds + excluded.seconds
"""


def module_of(row: Row) -> str:
    """The module where it is one of OCPI's, `custom` for others, `none` without one."""
    return row.module if row.module in _MODULES else ("custom" if row.module else "none")


def labels_of(row: Row) -> tuple[str, ...]:
    """direction, kind, module, code, bucket."""
    module = module_of(row)
    code = "none" if row.ocpi_code is None else str(row.ocpi_code)
    if row.ocpi_code is not None and row.ocpi_code not in _CODES:
        code = "other"
    bucket = bisect_left(BOUNDS, row.milliseconds / 1000)
    return row.direction, row.kind, module, code, str(bucket)


def _party_of(row: Row) -> str:
    """The party at the other end; "" where that is not one that the hub knows.

    A platform that is known sends for its own parties and is sent to in the name of one.
    """
    party = row.sender if row.direction == Direction.IN else row.receiver
    # NL-CPO: what others invent must not make ever more labels.
    return party.upper() if row.platform_id is not None and len(party) == _PARTY else ""


def add(rows: Iterable[Row], counts: Iterable[Count]) -> None:
    """Add to the table, in the transaction of the rows."""
    sums: dict[Key, tuple[int, float]] = {}
    for row in rows:
        key = (MESSAGES, "|".join(labels_of(row)))
        number, seconds = sums.get(key, (0, 0.0))
        sums[key] = number + 1, seconds + row.milliseconds / 1000
        if party := _party_of(row):
            key = (PARTIES, f"{party}|{row.direction}|{'failed' if row.is_failed else 'ok'}")
            sums[key] = sums.get(key, (0, 0.0))[0] + 1, 0.0
    for count in counts:
        key = (count.name[:40], "|".join(count.labels)[:200])
        number, seconds = sums.get(key, (0, 0.0))
        sums[key] = number + count.number, seconds
    if not sums:
        return
    given = [(*key, *sums[key]) for key in sorted(sums)]
    sql.run(_ADD, [list(column) for column in zip(*given, strict=True)])
