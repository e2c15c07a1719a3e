"""The rows of the outbox as a drain sees them: what waits, and what became of it."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple

from hub.models import DeliveryState
from hub.outbox.outbox import INTO, OF_AN_OBJECT, OR_RAISE, names_of_the_whole


class Key(NamedTuple):
    """What is told in order: an object for one party of a receiver, or an ordering key.

    A message has only the first field; its others are empty.
    """

    name: str
    party: str = ""
    owner: str = ""
    variant: str = ""
    is_message: bool = False


class Waiting(NamedTuple):
    """A row that waits: a mark or a message, and in which lane."""

    id: int
    platform_id: int
    module: str
    key: Key
    is_urgent: bool


class Fate(StrEnum):
    """What becomes of rows."""

    TOLD = "TOLD"
    # There is nobody, or nothing, to tell any more.
    VOID = "VOID"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    # Once more, the same message.
    RETRIED = "RETRIED"
    # Once more, of a part as it is now: its PATCH may not have arrived, or was refused.
    WITHOUT_PATCH = "WITHOUT_PATCH"
    # Once more, as the whole object: the receiver does not know of what it is a part.
    AS_A_WHOLE = "AS_A_WHOLE"


class End(NamedTuple):
    """What has become of one row; `raised` is the number that a mark had when it was read."""

    id: int
    raised: int
    fate: Fate
    outcome: str = ""
    attempts: int = 0
    is_message: bool = False


class LaneRoom(NamedTuple):
    """How many more rows a lane takes, of which priority at most."""

    rows: int
    priority: int = 1


def array(values: Collection[int] | Collection[str]) -> str:
    """An array as PostgreSQL reads it: psycopg takes its time over each element of a list."""
    text = "\0".join(map(str, values))
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return f'{{"{quoted}"}}' if values else "{}"


# A lane at a time, whatever waits in it: one look at the index for each, and one more for its rows.
# What is held is hashed (NOT IN): `<> ALL` of a parameter would compare each row with all of it.
def _claim(table: str, open_: str, held: str, order: str, columns: str, more: str = "") -> str:
    return f"""(
        WITH RECURSIVE lane AS (
            (SELECT receiver_id, module FROM {table} WHERE {open_}
             ORDER BY receiver_id, module LIMIT 1)
            UNION ALL
            SELECT following.* FROM lane CROSS JOIN LATERAL (
                SELECT receiver_id, module FROM {table}
                WHERE {open_} AND (receiver_id, module) > (lane.receiver_id, lane.module)
                ORDER BY receiver_id, module LIMIT 1
            ) AS following
        )
        SELECT found.id, found.receiver_id, found.module, {columns}
        FROM lane
        LEFT JOIN unnest(%(receivers)s::bigint[], %(modules)s::text[], %(rooms)s::int[],
                         %(priorities)s::int[])
                  AS known (receiver_id, module, room, priority) USING (receiver_id, module)
        CROSS JOIN LATERAL (
            SELECT * FROM {table} AS row
            WHERE row.receiver_id = lane.receiver_id AND row.module = lane.module
              AND {open_} {more}
              AND row.id NOT IN (SELECT unnest(%({held})s::bigint[]))
            ORDER BY {order} LIMIT coalesce(known.room, %(room)s)
        ) AS found
        WHERE lane.receiver_id %% %(shards)s = %(shard)s
          AND EXISTS (SELECT FROM hub_drainlease WHERE shard = %(shard)s AND fence = %(fence)s)
    )"""  # noqa: S608 - names of ours


# One round trip for both kinds, in the order of the first columns of `Waiting`; and for the version
# of the directory, instead of an id.
CLAIM: Final = " UNION ALL ".join(
    (
        _claim(
            "hub_stalecopy",
            "state IN ('WAITING', 'TAKEN')",
            "held",
            "row.priority, row.id",
            "object_id, party, owner, variant, false, found.priority = 0",
            "AND row.priority <= coalesce(known.priority, 1)",
        ),
        _claim(
            "hub_delivery",
            "state = 'WAITING'",
            "held_messages",
            "row.id",
            "ordering_key, '', '', '', true, false",
        ),
        "SELECT version, 0, '', '', '', '', '', false, false FROM hub_directoryversion",
    )
)


class Mark(NamedTuple):
    """A mark as it is now."""

    id: int
    part: str
    spelling: str
    patch: bytes | None
    is_deleted: bool
    raised: int
    correlation_id: str
    merged: list[str]
    is_taken: bool


# From object to object by the unique index: `state` inside would let the planner take another one,
# which has all that waits for a receiver, when it was last told that this is next to nothing.
MARKS: Final = """
SELECT number, copy.id, part, spelling, patch, is_deleted, raised, correlation_id, merged,
       state = 'TAKEN'
FROM unnest(%(receivers)s::bigint[], %(parties)s::text[], %(modules)s::text[], %(owners)s::text[],
            %(names)s::text[], %(variants)s::text[])
     WITH ORDINALITY AS asked (receiver_id, party, module, owner, object_id, variant, number)
CROSS JOIN LATERAL (
    SELECT * FROM hub_stalecopy AS copy
    WHERE copy.receiver_id = asked.receiver_id AND copy.party = asked.party
      AND copy.module = asked.module AND copy.owner = asked.owner
      AND copy.object_id = asked.object_id AND copy.variant = asked.variant OFFSET 0
) AS copy
WHERE state <> 'REFUSED' ORDER BY copy.id
"""


class OwedMessage(NamedTuple):
    """A message as it was written: columns of its row."""

    id: int
    method: str
    interface_role: str
    path: str
    body: bytes
    from_country_code: str
    from_party_id: str
    to_country_code: str
    to_party_id: str
    correlation_id: str
    attempts: int
    unanswered_by: str


MESSAGES: Final = f"""
SELECT {", ".join(OwedMessage._fields)} FROM hub_delivery
WHERE id = ANY(%(ids)s::bigint[]) AND state = 'WAITING'
"""  # noqa: S608 - names of ours


# --- What became of them --------------------------------------------------------------------------

HELD: Final = """
WITH lease AS MATERIALIZED (
    SELECT fence FROM hub_drainlease WHERE shard = %(shard)s AND fence = %(fence)s FOR SHARE
)"""
# What somebody is changing just now will be told again: nobody waits for that here, and no PATCH is
# left of what was raised. Each row is found by its id, whatever the planner was last told of the
# number of rows. Who tells the same receivers something else finds what was told lately.
_END: Final = f"""{HELD}, same AS (
    SELECT sent.* FROM lease CROSS JOIN
        unnest(%(ids)s::bigint[], %(raised)s::bigint[], %(outcomes)s::text[], %(fates)s::text[])
        AS sent (id, raised, outcome, fate)
    CROSS JOIN LATERAL (
        SELECT FROM hub_stalecopy AS copy WHERE copy.id = sent.id AND copy.raised = sent.raised
        FOR UPDATE SKIP LOCKED
    ) AS found
), done AS (
    DELETE FROM hub_stalecopy
    WHERE id = ANY(ARRAY(SELECT id FROM same WHERE fate IN ('TOLD', 'VOID')))
    RETURNING id, {OF_AN_OBJECT} AS object
), told AS (
    INSERT INTO hub_toldlately (at, copies)
    SELECT clock_timestamp(), array_agg(object) FROM done JOIN same USING (id)
    WHERE fate = 'TOLD' HAVING count(*) > 0
), changed AS (
    UPDATE hub_stalecopy
    SET patch = NULL, outcome = same.outcome,
        state = CASE WHEN fate = 'WITHOUT_PATCH' THEN state ELSE 'REFUSED' END
    FROM same WHERE hub_stalecopy.id = same.id AND fate NOT IN ('TOLD', 'VOID')
) SELECT ARRAY(SELECT unnest(%(ids)s::bigint[]) EXCEPT SELECT id FROM same) FROM lease
"""  # noqa: S608 - texts of ours
# By itself: it may wait for somebody who writes marks, and holds none meanwhile.
_AS_A_WHOLE: Final = f"""{HELD}, same AS MATERIALIZED (
    SELECT * FROM hub_stalecopy WHERE id = ANY(%(ids)s::bigint[])
), done AS (
    {INTO}
    SELECT DISTINCT ON (receiver_id, party, module, owner, object_id, variant)
           receiver_id, party, module, owner, object_id, {names_of_the_whole("spelling")},
           correlation_id, variant, '', NULL::bytea, false, priority, 1, merged, first_at,
           'WAITING', sent.outcome
    FROM lease, unnest(%(ids)s::bigint[], %(outcomes)s::text[]) AS sent (id, outcome)
    JOIN same USING (id)
    {OR_RAISE}
) SELECT ARRAY[]::bigint[] FROM lease"""  # noqa: S608 - texts of ours
END_MESSAGES: Final = f"""{HELD}, done AS (
    UPDATE hub_delivery
    SET state = sent.state, outcome = sent.outcome, attempts = sent.attempts,
        ended_at = CASE WHEN sent.state = 'WAITING' THEN NULL ELSE now() END
    FROM lease, unnest(%(ids)s::bigint[], %(states)s::text[], %(outcomes)s::text[],
                       %(attempts)s::int[]) AS sent (id, state, outcome, attempts)
    WHERE hub_delivery.id = sent.id AND hub_delivery.state = 'WAITING'
) SELECT ARRAY[]::bigint[] FROM lease"""  # noqa: S608 - texts of ours
# Of marks; of one that is told once more as it is, nothing is written.
STATEMENTS: Final = {
    **dict.fromkeys((Fate.TOLD, Fate.VOID, Fate.REFUSED, Fate.FAILED, Fate.WITHOUT_PATCH), _END),
    Fate.AS_A_WHOLE: _AS_A_WHOLE,
}
STATES: Final = {
    Fate.TOLD: DeliveryState.DELIVERED,
    Fate.VOID: DeliveryState.DROPPED,
    Fate.REFUSED: DeliveryState.REFUSED,
    Fate.FAILED: DeliveryState.FAILED,
    Fate.RETRIED: DeliveryState.WAITING,
    Fate.WITHOUT_PATCH: DeliveryState.WAITING,
    Fate.AS_A_WHOLE: DeliveryState.WAITING,
}
