"""The outbox: what the hub owes, written in the transaction of the change that causes it.

Of Locations, Tariffs and Tokens it owes the state: a mark (`StaleCopy`) says that a receiver's copy
may be older than the hub's. Of parties it knows how far each receiver has been told
(hub/models/party_news.py). All else are messages (`Delivery`), in their order.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import transaction

from hub.db import sql
from hub.db.leases import NOW
from hub.models import Delivery
from hub.models.stale_copies import PART_OF as PART_OF
from hub.outbox.backlog import backlog
from hub.workers.wake import nudge as nudge
from hub.workers.wake import wake as wake

# So many correlation ids of earlier changes are remembered of a mark.
MERGED_AT_MOST: Final = 30
URGENT, USUAL = 0, 1
# Of a process that waits for its database: what was told so long before a push counts as beside it.
STANDSTILL: Final = 0.25  # seconds


class Addressee(NamedTuple):
    """A party that something is owed to ("NL-MSP"), and the platform that it is called at."""

    platform_id: int
    party: str


@dataclass(frozen=True, slots=True)
class Change:
    """What changed: an object, or a part of it. The fields are those of `StaleCopy`."""

    module: str
    owner: str
    object_id: str
    spelling: str
    correlation_id: str
    variant: str = ""
    part: str = ""
    patch: bytes | None = None
    is_deleted: bool = False
    priority: int = USUAL
    # When it came, where that was not now.
    first_at: datetime | None = None


_OF_A_CHANGE: Final = [one.name for one in fields(Change) if one.name != "first_at"]
# What was deleted once stays a mark of that: it is told where the object is no more, whatever has
# come between (a replay, a pulled list), and is nothing where it is there.
# One order of rows for all: two writers wait for each other, and never in a circle.
INTO: Final = """
    INSERT INTO hub_stalecopy AS old (
        receiver_id, party, module, owner, object_id, spelling, correlation_id, variant, part,
        patch, is_deleted, priority, raised, merged, first_at, state, outcome)
"""
OR_RAISE: Final = f"""
    ON CONFLICT (receiver_id, party, module, owner, object_id, variant, part) DO UPDATE
    SET raised = old.raised + 1, patch = NULL,
        spelling = coalesce(nullif(excluded.spelling, ''), old.spelling),
        is_deleted = excluded.is_deleted OR old.is_deleted,
        priority = least(old.priority, excluded.priority),
        correlation_id = excluded.correlation_id, state = 'WAITING', outcome = '',
        merged = CASE WHEN old.state = 'WAITING' THEN (old.correlation_id || old.merged)
                 [1:{MERGED_AT_MOST}] ELSE '{{}}' END,
        first_at = CASE WHEN old.state = 'WAITING' THEN least(old.first_at, excluded.first_at)
                   ELSE excluded.first_at END
"""  # noqa: S608 - a number of ours
_MARK: Final = f"""
    {INTO}
    SELECT receiver.platform, receiver.party, change.module, change.owner, change.object_id,
           change.spelling, change.correlation_id, change.variant, change.part, change.patch,
           change.is_deleted, change.priority, 1, '{{}}',
           coalesce(change.first_at, now()), 'WAITING', ''
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                %s::bytea[], %s::boolean[], %s::int[], %s::timestamptz[])
         WITH ORDINALITY AS change (
             module, owner, object_id, spelling, correlation_id, variant, part, patch, is_deleted,
             priority, first_at, number)
    JOIN unnest(%s::bigint[], %s::text[], %s::bigint[])
         AS receiver (platform, party, number) USING (number)
    ORDER BY 1, 2, 3, 4, 5, variant, part
    {OR_RAISE}
"""  # noqa: S608 - texts of ours


def mark(change: Change, receivers: Iterable[Addressee]) -> None:
    """Owe a change to these, in the caller's transaction.

    ServerError (3000) with Retry-After while nobody delivers anything.
    """
    receivers = list(receivers)
    if receivers:
        backlog.check()
        mark_all([change], [receivers])


def mark_all(changes: Sequence[Change], receivers: Sequence[Collection[Addressee]]) -> int:
    """Owe each change to its receivers, in one statement; how many marks that were.

    No two changes are of the same part. Whatever waits already is told with it.
    """
    each = [(*receiver, number) for number, those in enumerate(receivers, 1) for receiver in those]
    if each:
        columns = [*zip(*map(astuple, changes), strict=True), *zip(*each, strict=True)]
        sql.run(_MARK, [list(column) for column in columns])
        wake_at_commit()
    return len(each)


def names_of_the_whole(spelling: str) -> str:
    """In SQL, the names of an object out of those of a part of it."""
    return f"array_to_string((string_to_array({spelling}, '/'))[1:3], '/')"


def _marked(source: str, part: str, spelling: str, patch: str) -> str:
    """Owe a change to its receivers where `source` has a row; parameters as `owed` gives them."""
    return f"""
        {INTO}
        SELECT receiver.platform, receiver.party, %(module)s::text, %(owner)s::text,
               %(object_id)s::text, {spelling}, %(correlation_id)s::text, %(variant)s::text, {part},
               {patch}, %(is_deleted)s::boolean, %(priority)s::int, 1, '{{}}', now(), 'WAITING', ''
        FROM {source}, unnest(%(platforms)s::bigint[], %(parties)s::text[])
             AS receiver (platform, party)
        ORDER BY 1, 2
        {OR_RAISE}
    """  # noqa: S608 - texts of ours


def and_marked(kept: str) -> str:
    """The statement `kept`; where it returns a row, a change of that object is owed.

    Parameters: those of `owed`.
    """
    marked = _marked("kept", "%(part)s::text", "%(spelling)s::text", "%(patch)s::bytea")
    return f"WITH kept AS ({kept}), marked AS ({marked}) SELECT true FROM kept"  # noqa: S608 - texts of ours


def owed(
    change: Change, receivers: Sequence[Addressee], began: float | None = None
) -> dict[str, Any]:
    """The parameters of `and_marked`; with when a push began (time.monotonic()) of `and_taken`."""
    values = {name: getattr(change, name) for name in _OF_A_CHANGE}
    values["platforms"] = [str(one.platform_id) for one in receivers]
    values["parties"] = [one.party for one in receivers]
    if began is not None:
        values["milliseconds"] = int((time.monotonic() - began + STANDSTILL) * 1000)
    return values


# What says of a mark, or of a change to one receiver, which object at which receiver it is about.
OF_AN_OBJECT: Final = (
    "hashtextextended(concat_ws('/', receiver_id, party, module, owner, object_id, variant), 0)"
)
_SAME: Final = """
    copy.receiver_id = receiver.receiver_id AND copy.party = receiver.party
    AND copy.module = %(module)s::text
    AND copy.owner = %(owner)s::text AND copy.object_id = %(object_id)s::text
    AND copy.variant = %(variant)s::text
"""


def and_taken(kept: str, *, is_patch: bool, lock: str = "") -> str:
    """The statement `kept`; where it returns a row, one receiver has taken that from its owner.

    Parameters: those of `owed`, with its beginning. The marks of that part, and of those below it,
    become TAKEN: they end, unless a call for them is open. One of what holds the part is raised,
    and after a PATCH all are: such a call tells what is older, and may arrive last. Where a call
    has ended since the push began, the whole object is owed once more. With a `lock` that skips
    rows, `kept` is to ask for `IS_FREE`.
    """
    below = "starts_with(copy.part, %(part)s::text || U&'\\001F')"
    is_held = "false" if is_patch else f"(%(part)s::text IN ('', copy.part) OR {below})"
    again = _marked("told", "''", names_of_the_whole("%(spelling)s::text"), "NULL")
    return f"""
        WITH receiver AS (
            SELECT * FROM unnest(%(platforms)s::bigint[], %(parties)s::text[])
                          AS receiver (receiver_id, party)
        ), seen AS (
            SELECT copy.id FROM receiver, hub_stalecopy AS copy
            WHERE {_SAME} AND (%(part)s::text IN ('', copy.part) OR copy.part = '' OR {below}
                               OR starts_with(%(part)s::text, copy.part || U&'\\001F'))
        ), owed AS (
            SELECT copy.id, {is_held} AS is_held FROM hub_stalecopy AS copy
            WHERE copy.id IN (SELECT id FROM seen) ORDER BY copy.part FOR UPDATE {lock}
        ), ending AS (
            SELECT id FROM seen EXCEPT SELECT id FROM owed
        ), kept AS ({kept}), told AS (
            SELECT FROM kept WHERE EXISTS (SELECT FROM ending) OR EXISTS (
                SELECT FROM hub_toldlately, (
                    SELECT {OF_AN_OBJECT} AS object FROM receiver, (VALUES (
                        %(module)s::text, %(owner)s::text, %(object_id)s::text, %(variant)s::text
                    )) AS change (module, owner, object_id, variant)
                ) AS change
                WHERE at > statement_timestamp() - %(milliseconds)s::int * interval '1 ms'
                  AND change.object = ANY(copies))
        ), again AS ({again}), taken AS (
            UPDATE hub_stalecopy AS copy
            SET raised = raised + 1, patch = NULL,
                is_deleted = is_deleted OR %(is_deleted)s::boolean,
                state = CASE WHEN is_held THEN 'TAKEN' ELSE state END
            FROM kept, owed WHERE copy.id = owed.id AND NOT EXISTS (SELECT FROM told)
        ) SELECT true FROM kept
    """  # noqa: S608 - texts of ours


IS_FREE: Final = "NOT EXISTS (SELECT FROM ending)"
_NAMES_OF_THE_WHOLE: Final = "array_to_string((string_to_array(%(spelling)s::text, '/'))[1:3], '/')"
_TAKEN: Final = [and_taken("SELECT true", is_patch=is_patch) for is_patch in (False, True)]


def taken(change: Change, receiver: Addressee, began: float) -> None:
    """A receiver has taken this change from its owner itself, who began at time.monotonic()."""
    sql.run(_TAKEN[change.patch is not None], owed(change, [receiver], began))


def forget(platform_id: int, party: str | None = None) -> tuple[int, datetime | None]:
    """Nothing is owed to a platform any more, or to one party of it.

    How many marks that were, and when the first of them came. A mark that somebody writes at this
    moment stays: two platforms that go at once, and are told of each other, would wait in a circle.
    Its turn comes, and tells what has become of its receiver.
    """
    [(number, oldest)] = sql.run(
        """
        WITH free AS (
            SELECT id FROM hub_stalecopy
            WHERE receiver_id = %s AND (%s::text IS NULL OR party = %s) FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM hub_stalecopy WHERE id IN (SELECT id FROM free) RETURNING state, first_at
        ) SELECT count(*), min(first_at) FROM gone WHERE state = 'WAITING'
        """,
        [platform_id, party, party],
    )
    return number, oldest


# In the order in which marks are written: two writers never wait in a circle.
_AGAIN: Final = """
    WITH same AS (
        SELECT id FROM hub_stalecopy WHERE id = ANY(%s::bigint[]) AND state = 'REFUSED'
        ORDER BY receiver_id, party, module, owner, object_id, variant, part FOR UPDATE
    )
    UPDATE hub_stalecopy AS copy
    SET state = 'WAITING', raised = raised + 1, patch = NULL, merged = '{}',
        outcome = '', first_at = now()
    FROM same WHERE copy.id = same.id RETURNING copy.id
"""


def try_again(ids: Iterable[int]) -> int:
    """Tell once more what its receiver has refused, by the ids of marks; how many those were."""
    with transaction.atomic():
        found = sql.run(_AGAIN, [list(ids)])
        if found:
            wake_at_commit()
    return len(found)


def enqueued(source: str, **said: str) -> str:
    """The statement that writes messages, their columns told in SQL of `source`.

    For statements of the event loop, which then calls `wake.nudge_at_once`.
    """
    columns = _MESSAGE | said
    return (
        f"INSERT INTO hub_delivery ({', '.join(columns)}) "  # noqa: S608 - names of ours
        f"SELECT {', '.join(columns.values())} FROM {source}"
    )


_MESSAGE: Final = {
    **dict.fromkeys(("interface_role", "unanswered_by", "outcome"), "''"),
    "attempts": "0",
    "state": "'WAITING'",
    "is_kept": "true",
    "created_at": NOW,
}


def enqueue(deliveries: Sequence[Delivery]) -> None:
    """Write messages in the caller's transaction; wake workers when it commits."""
    if not deliveries:
        return
    sql.insert_all(deliveries)
    wake_at_commit()


def wake_at_commit() -> None:
    """Tell the drains when the caller's transaction commits: they look less often while idle."""
    transaction.on_commit(_wake_drains, robust=True)


def _wake_drains() -> None:
    nudge("deliveries")
