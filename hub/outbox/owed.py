"""What the hub owes at this moment, as operators and monitoring see it (hub/outbox/outbox.py).

Each question goes from lane to lane (a receiver and a module) by an index, and looks at so many
rows of each at most: a million rows that wait must not make the look expensive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from hub.db import sql
from hub.models import party_news

# Beyond these a number is told as "10,000+".
MOST_COUNTED: Final = 10_000
MOST_REFUSED: Final = 1_000
# The rows of so many lanes are counted: of those where something has waited longest.
MOST_LANES: Final = 200
# The oldest of a lane is among its first rows, except one that was refused before.
_FIRST: Final = 3
_LAST: Final = 2**62

_PARTIES: Final = "hubclientinfo"

# Whatever the planner was last told of the number of rows.
_BY_INDEX: Final = (
    "SELECT set_config(name, 'off', true) FROM "
    "unnest(ARRAY['enable_seqscan', 'enable_bitmapscan', 'jit']) AS name"
)


_WAITS: Final = "state = 'WAITING'"
_IS_REFUSED: Final = "state = 'REFUSED'"
_IS_GIVEN_UP: Final = "is_kept AND state IN ('REFUSED', 'FAILED', 'DROPPED')"


def _rows(columns: str, table: str, state: str, order: str, most: int, more: str = "") -> str:
    """The first rows of a lane. A range, for an equality would make the primary key an order."""
    return f"""(
        SELECT {columns} FROM {table} AS row
        WHERE row.receiver_id = lane.receiver_id
          AND row.module BETWEEN lane.module AND lane.module
          AND {state} {more} ORDER BY row.module, {order} LIMIT {most}
    ) AS those"""  # noqa: S608 - names of ours


def _lanes(table: str, state: str, since: str) -> str:
    """The lanes with rows in this state, one look at the index for each; longest first."""
    return f"""
    WITH RECURSIVE every AS (
        (SELECT receiver_id, module FROM {table}
         WHERE {state} AND receiver_id BETWEEN %(first)s AND %(last)s
         ORDER BY receiver_id, module LIMIT 1)
        UNION ALL
        SELECT following.* FROM every CROSS JOIN LATERAL (
            SELECT receiver_id, module FROM {table}
            WHERE {state} AND (receiver_id, module) > (every.receiver_id, every.module)
              AND receiver_id <= %(last)s
            ORDER BY receiver_id, module LIMIT 1
        ) AS following
    ), lane AS MATERIALIZED (
        SELECT lane.*, ({since}) AS since FROM every AS lane ORDER BY since LIMIT %(lanes)s
    )
    """  # noqa: S608 - names of ours


def _first(columns: str, table: str, more: str = "", order: str = "row.id") -> str:
    return _rows(columns, table, _WAITS, order, _FIRST, more)


_COPIES_SINCE: Final = " ".join(
    (
        "SELECT min(first_at) FROM (SELECT * FROM",
        _first("first_at", "hub_stalecopy", "AND row.priority = 0", "row.priority, row.id"),
        "UNION ALL SELECT * FROM",
        _first("first_at", "hub_stalecopy", "AND row.priority >= 1", "row.priority, row.id"),
        ") AS heads",
    )
)
_COPIES_LANES: Final = _lanes("hub_stalecopy", _WAITS, _COPIES_SINCE)
_COPIES: Final = f"""
    {_COPIES_LANES}
    SELECT receiver_id, module, since, (SELECT count(*) FROM {
    _rows("", "hub_stalecopy", _WAITS, "row.priority, row.id", MOST_COUNTED + 1)
}), '' FROM lane
"""  # noqa: S608 - names of ours
_OLDEST: Final = f"""
    {_COPIES_LANES} SELECT receiver_id, min(since) FROM lane GROUP BY receiver_id
"""  # noqa: S608 - names of ours
_SINCE: Final = "coalesce(resent_at, created_at)"
_MESSAGES_SINCE: Final = (
    f"SELECT min({_SINCE}) FROM {_first('created_at, resent_at', 'hub_delivery')}"  # noqa: S608
)
_MESSAGES: Final = f"""
    {_lanes("hub_delivery", _WAITS, _MESSAGES_SINCE)}
    SELECT receiver_id, module, since, (SELECT count(*) FROM {
    _rows("", "hub_delivery", _WAITS, "row.id", MOST_COUNTED + 1)
}), '' FROM lane
"""  # noqa: S608 - names of ours
_NOT_TAKEN_FIRST: Final = _rows("first_at", "hub_stalecopy", _IS_REFUSED, "row.first_at", 1)
_REFUSED_SINCE: Final = f"SELECT first_at FROM {_NOT_TAKEN_FIRST}"  # noqa: S608 - names of ours
_REFUSED: Final = f"""
    {_lanes("hub_stalecopy", _IS_REFUSED, _REFUSED_SINCE)}
    SELECT receiver_id, module, since, number, reason FROM lane CROSS JOIN LATERAL (
        SELECT count(*) AS number, mode() WITHIN GROUP (ORDER BY outcome) AS reason
        FROM {_rows("outcome", "hub_stalecopy", _IS_REFUSED, "row.first_at", MOST_REFUSED + 1)}
    ) AS counted
"""  # noqa: S608 - names of ours


_GIVEN_UP_FIRST: Final = _rows("created_at", "hub_delivery", _IS_GIVEN_UP, "row.id", 1)
_GIVEN_UP_SINCE: Final = f"SELECT created_at FROM {_GIVEN_UP_FIRST}"  # noqa: S608 - names of ours
_GIVEN_UP: Final = f"""
    {_lanes("hub_delivery", _IS_GIVEN_UP, _GIVEN_UP_SINCE)}
    SELECT receiver_id, module, since, (SELECT count(*) FROM {
    _rows("", "hub_delivery", _IS_GIVEN_UP, "row.id", MOST_COUNTED + 1)
}), '' FROM lane
"""  # noqa: S608 - names of ours


@dataclass(slots=True)
class OwedLane:
    """What is owed to a receiver of one module; numbers beyond the most are not counted."""

    receiver_id: int
    module: str
    objects: int = 0
    messages: int = 0
    oldest: datetime | None = None
    # Objects that it did not take, since when the first one, and its most frequent reason.
    refused: int = 0
    refused_since: datetime | None = None
    reason: str = ""
    # Messages that were given up and can be sent again.
    given_up: int = 0


def lanes(receiver_id: int | None = None) -> list[OwedLane]:
    """The lanes of all receivers, or of one; at most `MOST_LANES`, the longest wait first."""
    asked = {
        "first": 0 if receiver_id is None else receiver_id,
        "last": _LAST if receiver_id is None else receiver_id,
        "lanes": MOST_LANES,
    }
    found: dict[tuple[int, str], OwedLane] = {}
    with transaction.atomic():
        sql.run(_BY_INDEX)

        def rows(statement: str) -> Iterator[tuple[OwedLane, datetime, int, str]]:
            for receiver, module, since, number, reason in sql.run(statement, asked):
                lane = found.setdefault((receiver, module), OwedLane(receiver, module))
                yield lane, since, number, reason

        for lane, since, number, _ in rows(_COPIES):
            lane.oldest, lane.objects = since, number
        for receiver, number, since in party_news.owed(receiver_id):
            lane = found.setdefault((receiver, _PARTIES), OwedLane(receiver, _PARTIES))
            lane.oldest = since if lane.oldest is None else min(since, lane.oldest)
            lane.objects += number
        for lane, since, number, _ in rows(_MESSAGES):
            lane.oldest = since if lane.oldest is None else min(since, lane.oldest)
            lane.messages = number
        for lane, since, number, reason in rows(_REFUSED):
            lane.refused_since, lane.refused, lane.reason = since, number, reason
        for lane, _, number, _ in rows(_GIVEN_UP):
            lane.given_up = number
    return sorted(found.values(), key=_by_age)[:MOST_LANES]


def _by_age(lane: OwedLane) -> tuple[Any, ...]:
    since = lane.oldest or lane.refused_since
    at = 0.0 if since is None else since.timestamp()
    return (lane.oldest is None, since is None, at, lane.receiver_id, lane.module)


def oldest() -> dict[int, datetime]:
    """Since when the first object waits for each receiver."""
    with transaction.atomic():
        sql.run(_BY_INDEX)
        found = dict(sql.run(_OLDEST, {"first": 0, "last": _LAST, "lanes": _LAST}))
    for receiver, _, first in party_news.owed():
        found[receiver] = min(first, found.get(receiver, first))
    return found


_OLDEST_MESSAGES: Final = f"""
    {_lanes("hub_delivery", _WAITS, _MESSAGES_SINCE)}
    SELECT receiver_id, min(since) FROM lane GROUP BY receiver_id
"""  # noqa: S608 - names of ours


def oldest_of_all() -> dict[int, datetime]:
    """Since when the first object or message waits for each receiver."""
    found = oldest()
    with transaction.atomic():
        sql.run(_BY_INDEX)
        messages = sql.run(_OLDEST_MESSAGES, {"first": 0, "last": _LAST, "lanes": _LAST})
    for receiver, first in messages:
        found[receiver] = min(first, found.get(receiver, first))
    return found


# The index alone, without a look at the rows.
_NUMBER_OF: Final = """
    SELECT receiver_id, count(*) FROM hub_stalecopy WHERE state IN ('WAITING', 'TAKEN')
    GROUP BY receiver_id
"""
_REFUSED_OF: Final = """
    SELECT receiver_id, count(*) FROM hub_stalecopy WHERE state = 'REFUSED' GROUP BY receiver_id
"""
_GIVEN_UP_OF: Final = f"""
    SELECT receiver_id, count(*) FROM hub_delivery WHERE {_IS_GIVEN_UP} GROUP BY receiver_id
"""  # noqa: S608 - a condition of ours
_MESSAGES_OF: Final = f"""
    SELECT receiver_id, count(*), min({_SINCE}) FROM hub_delivery WHERE state = 'WAITING'
    GROUP BY receiver_id
"""  # noqa: S608 - names of ours


def by_receiver() -> list[tuple[int, int, datetime]]:
    """How many objects and messages wait for each receiver, and since when the first one."""
    numbers = dict(sql.run(_NUMBER_OF))
    since = oldest()
    for receiver, n, _ in party_news.owed():
        numbers[receiver] = numbers.get(receiver, 0) + n
    for receiver, n, first in sql.run(_MESSAGES_OF):
        numbers[receiver] = numbers.get(receiver, 0) + n
        since[receiver] = min(first, since.get(receiver, first))
    return [
        (receiver, n, since[receiver])
        for receiver, n in sorted(numbers.items())
        if receiver in since
    ]


def refused_by_receiver() -> list[tuple[Any, ...]]:
    """How many objects each receiver has not taken."""
    return sorted(sql.run(_REFUSED_OF))


def given_up_by_receiver() -> list[tuple[Any, ...]]:
    """How many messages were given up and can be sent again."""
    return sorted(sql.run(_GIVEN_UP_OF))


def waiting(most: int = MOST_COUNTED) -> int:
    """How many objects wait; one more than the most where it is more than that."""
    parties = sum(number for _, number, _ in party_news.owed())
    return min(_capped("WAITING", most) + parties, most + 1)


def refused(most: int = MOST_COUNTED) -> int:
    """The same of those that were not taken."""
    return _capped("REFUSED", most)


def _capped(state: str, most: int) -> int:
    [(number,)] = sql.run(
        f"SELECT count(*) FROM (SELECT FROM hub_stalecopy WHERE state = '{state}' LIMIT %s) AS those",  # noqa: S608, E501 - a state of ours
        [most + 1],
    )
    return int(number)


def as_text(value: int, most: int = MOST_COUNTED) -> str:
    """`1,234`, or `10,000+`."""
    return f"{most:,}+" if value > most else f"{value:,}"
