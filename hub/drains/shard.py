"""A shard of the receivers as its drain sees it in the database: lease, claims, marks.

One job at a time holds a shard. What it has claimed is in its memory alone: the committed lease is
the claim, and a row stays WAITING until it is marked, so that whoever takes over begins with it.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import psycopg

from hub import leases
from hub.drains.merging import Push, Route
from hub.leases import Lease
from hub.models import DeliveryState
from hub.wakeups import connection_parameters

ROWS_AT_ONCE: Final = 2000
# Of bodies of broadcasts that are kept between two claims.
BODIES_KEPT: Final = 16_000_000
# Each statement finds its rows by an index, whatever the planner was last told of their number.
_SETUP: Final = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; "
    "SET enable_mergejoin = off; SET jit = off; SET synchronous_commit = off"
)
_TAKE: Final = f"""
INSERT INTO hub_drainlease AS held (shard, shards, fence, owner, lease_until)
SELECT %(shard)s, %(shards)s, {leases.NEXT_FENCE}, %(owner)s, {leases.UNTIL}
WHERE NOT EXISTS (
    SELECT FROM hub_drainlease AS old WHERE old.shards <> %(shards)s AND NOT {leases.free("old")}
)
ON CONFLICT (shard) DO UPDATE
SET shards = excluded.shards, fence = excluded.fence, owner = excluded.owner,
    lease_until = excluded.lease_until
WHERE {leases.free("held")}
RETURNING fence
"""  # noqa: S608 - columns of ours
# Held until the take-over is written: no drain begins while the number of shards is changed, nor
# before those of the former number have ended.
_SHARDS: Final = "SELECT FROM hub_sharding WHERE shards = %(shards)s FOR SHARE"
_RENEW: Final = f"""
UPDATE hub_drainlease SET {leases.RENEWED} WHERE shard = %(shard)s AND fence = %(fence)s
"""  # noqa: S608 - columns of ours
_RELEASE: Final = f"""
UPDATE hub_drainlease SET {leases.RELEASED} WHERE shard = %(shard)s AND fence = %(fence)s
"""  # noqa: S608 - columns of ours
_CLAIM: Final = """
SELECT id, receiver_id, ordering_key, module, interface_role, path, from_country_code,
       from_party_id, to_country_code, to_party_id, method, body, shared_id, correlation_id,
       attempts, extract(epoch FROM not_before - now())::float8,
       extract(epoch FROM now() - created_at)::float8,
       (SELECT max(version) FROM hub_directoryversion)
FROM unnest(%(receivers)s::bigint[], %(rooms)s::int[], %(bytes)s::bigint[])
     AS asked (receiver, rows, bytes)
CROSS JOIN LATERAL (
    SELECT row.*, sum(octet_length(coalesce(shared.body, row.body))) OVER (
        ORDER BY row.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS before
    FROM (
        SELECT * FROM hub_delivery
        WHERE receiver_id = asked.receiver AND state = 'WAITING' AND id <> ALL(%(held)s::bigint[])
        ORDER BY id LIMIT asked.rows
    ) AS row
    LEFT JOIN hub_messagebody AS shared ON shared.id = row.shared_id
) AS found
WHERE coalesce(before, 0) < bytes
  AND EXISTS (SELECT FROM hub_drainlease WHERE shard = %(shard)s AND fence = %(fence)s)
ORDER BY id LIMIT %(rows)s
"""
_MARK: Final = """
WITH lease AS MATERIALIZED (
    SELECT fence FROM hub_drainlease WHERE shard = %(shard)s AND fence = %(fence)s FOR SHARE
), done AS (
    DELETE FROM hub_delivery USING lease WHERE id = ANY(%(done)s::bigint[]) AND state = 'WAITING'
), changed AS (
    UPDATE hub_delivery
    SET state = mark.state, outcome = mark.outcome, attempts = mark.attempts,
        not_before = CASE WHEN mark.state = 'WAITING' THEN now() + mark.pause ELSE not_before END,
        ended_at = CASE WHEN mark.state = 'WAITING' THEN NULL ELSE now() END
    FROM lease, unnest(%(ids)s::bigint[], %(states)s::text[], %(outcomes)s::text[],
                       %(attempts)s::int[], %(pauses)s::interval[])
                AS mark (id, state, outcome, attempts, pause)
    WHERE hub_delivery.id = mark.id AND hub_delivery.state = 'WAITING'
)
SELECT fence FROM lease
"""


class Room(NamedTuple):
    """How much more of one receiver's a drain takes into memory."""

    rows: int
    bytes: int


class LeaseLost(Exception):
    """Another drain has taken the shard over, or may do so at any moment."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of one row. WAITING is another attempt after `pause` seconds."""

    push: Push
    state: DeliveryState
    outcome: str
    attempts: int
    pause: float = 0.0

    @property
    def is_forgotten(self) -> bool:
        """A broadcast that has arrived leaves the table; the record of messages has it."""
        return self.push.is_broadcast and self.state == DeliveryState.DELIVERED


class Shard:
    """`async with Shard(number, of) as shard`: its connection; `take` the lease before anything."""

    def __init__(self, number: int, shards: int) -> None:
        self.number = number
        self.shards = shards
        self._held: Lease | None = None
        # Of broadcasts, since their rows come in several claims; the rows hold them on.
        self._bodies: dict[int, bytes] = {}

    async def __aenter__(self) -> Self:
        self._database = await psycopg.AsyncConnection.connect(
            autocommit=True, **connection_parameters()
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            # Whoever ended in an error leaves it to others at once, when the database still hears.
            if self.is_held and not self._database.closed:
                await self.release()
        finally:
            await self._database.close()

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have taken it over yet, by this machine's clock."""
        return self._held is not None and self._held.is_held

    @property
    def fence(self) -> int:
        """Of the lease that was taken last; 0 before."""
        return 0 if self._held is None else self._held.fence

    async def take(self) -> bool:
        """Get the lease; False while another drain has it, or there are not so many shards."""
        await self._database.execute("SET synchronous_commit = on")
        asked = leases.clock()
        async with self._database.transaction():
            shards = await self._database.execute(_SHARDS, self._lease())
            found = None
            if shards.rowcount:
                found = await (await self._database.execute(_TAKE, self._lease())).fetchone()
        # Only a take-over has to survive a crash of the database: a lost mark repeats a call.
        await self._database.execute(_SETUP)
        if found is None:
            return False
        self._held = Lease(found[0], asked)
        return True

    async def renew(self) -> None:
        """Keep the lease; LeaseLost when it has a newer fence."""
        asked = leases.clock()
        done = await self._database.execute(_RENEW, self._lease())
        if self._held is None or not done.rowcount:
            raise LeaseLost
        self._held.renewed(asked)

    async def release(self) -> None:
        """Let others take it at once."""
        if self._held is not None:
            self._held.end()
            await self._database.execute(_RELEASE, self._lease())

    def _lease(self) -> dict[str, Any]:
        return {
            "shard": self.number,
            "shards": self.shards,
            "fence": self.fence,
            "owner": leases.process_name(),
        }

    async def claim(
        self, rooms: Mapping[int, Room], held: Collection[int]
    ) -> tuple[list[Push], int]:
        """The oldest waiting rows of these receivers, each up to its room, without those held.

        The row that exceeds a receiver's bytes is its last one, however large: it has to go some
        time. And the version of the directory that they go by.
        """
        asked = time.monotonic()
        found = await self._database.execute(
            _CLAIM,
            {
                **self._lease(),
                "receivers": list(rooms),
                "rooms": [room.rows for room in rooms.values()],
                "bytes": [room.bytes for room in rooms.values()],
                "held": list(held),
                "rows": ROWS_AT_ONCE,
            },
            binary=True,
        )
        rows = await found.fetchall()
        bodies = await self._shared({row[12] for row in rows if row[12] is not None})
        pushes = [
            Push(
                id=row[0],
                platform_id=row[1],
                ordering_key=row[2],
                route=Route(row[3], row[4], row[5], (row[6], row[7]), (row[8], row[9])),
                method=row[10],
                body=row[11] if row[12] is None else bodies[row[12]],
                correlation_id=row[13],
                attempts=row[14],
                due=asked + row[15],
                created=asked - row[16],
                is_broadcast=row[12] is not None,
            )
            for row in rows
        ]
        return pushes, rows[0][17] if rows else 0

    async def _shared(self, ids: set[int]) -> dict[int, bytes]:
        if sum(map(len, self._bodies.values())) > BODIES_KEPT:
            self._bodies.clear()
        if missing := list(ids - self._bodies.keys()):
            found = await self._database.execute(
                "SELECT id, body FROM hub_messagebody WHERE id = ANY(%s::bigint[])",
                [missing],
                binary=True,
            )
            self._bodies.update(await found.fetchall())
        return self._bodies

    async def has_waiting(self, receivers: Sequence[int]) -> bool:
        """Whether anything waits for these; asked after the lease was given back."""
        found = await self._database.execute(
            "SELECT EXISTS (SELECT FROM unnest(%s::bigint[]) AS asked (receiver) WHERE EXISTS ("
            "SELECT FROM hub_delivery WHERE receiver_id = asked.receiver AND state = 'WAITING'))",
            [list(receivers)],
        )
        row = await found.fetchone()
        return row is not None and bool(row[0])

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Write what became of rows; LeaseLost, and nothing written, after a take-over."""
        changed = [mark for mark in marks if not mark.is_forgotten]
        done = await self._database.execute(
            _MARK,
            {
                **self._lease(),
                "done": [mark.push.id for mark in marks if mark.is_forgotten],
                "ids": [mark.push.id for mark in changed],
                "states": [mark.state.value for mark in changed],
                "outcomes": [mark.outcome[:300] for mark in changed],
                "attempts": [mark.attempts for mark in changed],
                "pauses": [f"{mark.pause} s" for mark in changed],
            },
        )
        if await done.fetchone() is None:
            raise LeaseLost
