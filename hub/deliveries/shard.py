"""A shard of the receivers as its drain sees it in the database: lease, claims, marks.

One job at a time holds a shard. What it has claimed is in its memory alone: the committed lease is
the claim, and a row stays WAITING until it is marked, so that whoever takes over begins with it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

import psycopg

from hub.db import leases, sql
from hub.db.leases import Lease
from hub.db.notify import connection_parameters
from hub.deliveries import rows
from hub.deliveries.rows import End, Key, LaneRoom, Mark, OwedMessage, Waiting, array

SETUP: Final = f"{sql.BY_INDEX}; SET synchronous_commit = off"
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
RETURNING fence, (SELECT last_value FROM hub_stalecopy_id_seq)
"""  # noqa: S608 - columns of ours
# Held until the take-over is written: no drain begins while the number of shards is changed, nor
# before those of the former number have ended.
_SHARDS: Final = "SELECT FROM hub_sharding WHERE shards = %(shards)s FOR SHARE"
# No push to one party, beside which something may have been told, takes so long.
_RENEW: Final = f"""
WITH past AS (
    DELETE FROM hub_toldlately WHERE id = ANY(ARRAY(
        SELECT id FROM hub_toldlately WHERE at < {leases.NOW} - interval '5 minutes'
        ORDER BY at LIMIT 1000 FOR UPDATE SKIP LOCKED))
)
UPDATE hub_drainlease SET {leases.RENEWED} WHERE shard = %(shard)s AND fence = %(fence)s
RETURNING (SELECT max(version) FROM hub_directoryversion)
"""  # noqa: S608 - columns of ours
# It says since when nobody has it (hub/outbox/backlog.py).
_RELEASE: Final = f"""
UPDATE hub_drainlease SET lease_until = {leases.NOW} WHERE shard = %(shard)s AND fence = %(fence)s
"""  # noqa: S608 - columns of ours


class LeaseLost(Exception):
    """Another drain has taken the shard over, or may do so at any moment."""


class Shard:
    """`async with Shard(number, of) as shard`: its connection; `take` the lease before anything."""

    def __init__(self, number: int, shards: int) -> None:
        self.number = number
        self.shards = shards
        self._held: Lease | None = None
        # Marks up to this one may be in calls of a former holder.
        self.last_of_former = 0

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
    def lease(self) -> Lease | None:
        """The lease under which every call leaves; None before it is taken."""
        return self._held

    @property
    def fence(self) -> int:
        """The fence of the lease that was taken last; 0 before the first."""
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
        await self._database.execute(SETUP)
        if found is None:
            return False
        self._held = Lease(found[0], asked)
        self.last_of_former = found[1]
        return True

    async def renew(self) -> int:
        """Keep the lease; LeaseLost when it has a newer fence. The version of the directory."""
        asked = leases.clock()
        found = await (await self._database.execute(_RENEW, self._lease())).fetchone()
        if self._held is None or found is None:
            raise LeaseLost
        self._held.asked = asked
        return found[0] or 0

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

    async def run(
        self, statement: str, parameters: Mapping[str, Any] = MappingProxyType({})
    ) -> list[tuple[Any, ...]]:
        """The rows that a statement returns, which may name the lease's."""
        done = await self._database.execute(statement, {**self._lease(), **parameters}, binary=True)
        # `description` would say the same, and make an object of each column for it.
        return await done.fetchall() if done.pgresult and done.pgresult.nfields else []

    async def claim(
        self,
        rooms: Mapping[tuple[int, str], LaneRoom],
        room: int,
        held: Sequence[int],
        held_messages: Sequence[int],
    ) -> tuple[list[Waiting], int]:
        """What waits for the receivers of this shard, in each lane at most its room.

        `rooms` are those of lanes that hold something already, `room` is all others'. And the
        version of the directory that the rows go by.
        """
        asked = {
            "receivers": array([receiver for receiver, _ in rooms]),
            "modules": array([module for _, module in rooms]),
            "rooms": array([one.rows for one in rooms.values()]),
            "priorities": array([one.priority for one in rooms.values()]),
            "room": room,
            "held": array(held),
            "held_messages": array(held_messages),
        }
        claimed = await self.run(rows.CLAIM, asked)
        found = [
            Waiting(row_id, receiver, module, Key(*key), is_urgent)
            for row_id, receiver, module, *key, is_urgent in claimed
            if receiver
        ]
        return found, next((one[0] for one in claimed if not one[1]), 0)

    async def marks(self, asked: Sequence[tuple[int, str, Key]]) -> list[list[Mark]]:
        """All marks of these objects at these receivers, also those that have just come."""
        found: list[list[Mark]] = [[] for _ in asked]
        if asked:
            columns = {
                "receivers": array([receiver for receiver, *_ in asked]),
                "parties": array([key.party for *_, key in asked]),
                "modules": array([module for _, module, _ in asked]),
                "owners": array([key.owner for *_, key in asked]),
                "names": array([key.name for *_, key in asked]),
                "variants": array([key.variant for *_, key in asked]),
            }
            for number, *mark in await self.run(rows.MARKS, columns):
                found[number - 1].append(Mark._make(mark))
        return found

    async def messages(self, ids: Sequence[int]) -> dict[int, OwedMessage]:
        """Those of these that still wait."""
        found = await self.run(rows.MESSAGES, {"ids": array(ids)}) if ids else []
        return {one[0]: OwedMessage._make(one) for one in found}

    async def end(self, ends: Sequence[End]) -> set[int]:
        """Write what became of rows; LeaseLost, and nothing written, after a take-over.

        The marks among them that do not end: raised or taken since, locked just now, or gone.
        """
        by_statement: dict[str, list[End]] = {}
        for one in ends:
            statement = rows.END_MESSAGES if one.is_message else rows.STATEMENTS.get(one.fate)
            if statement is not None:
                by_statement.setdefault(statement, []).append(one)
        left: set[int] = set()
        for statement, those in by_statement.items():
            columns = {
                "ids": array([one.id for one in those]),
                "raised": array([one.raised for one in those]),
                "outcomes": array([one.outcome[:300].replace("\0", "") for one in those]),
                "fates": array([one.fate for one in those]),
                "states": array([rows.STATES[one.fate] for one in those]),
                "attempts": array([one.attempts for one in those]),
            }
            found = await self.run(statement, columns)
            if not found:
                raise LeaseLost
            left.update(found[0][0])
        return left
