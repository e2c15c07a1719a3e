"""Pushes that the hub owes: written with the change, carried by drains, never lost.

In the order they run: `outbox.mark` or `enqueue`; a drain, which carries what waits for a shard
of the receivers (`hub/deliveries/drain.py`) for as long as this process holds the shard (`Keeper`).
"""

import asyncio
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import uvloop
from django.db.utils import Error as DatabaseError

from hub.db.leases import NOW, free
from hub.db.notify import connection_parameters
from hub.deliveries.drain import Drain
from hub.deliveries.shard import LeaseLost, Shard
from hub.models import Sharding
from hub.workers.pulse import pulse

logger = logging.getLogger("hub.delivery")  # As docs/operations.md says.
# How often a process looks whether it holds its part of the shards.
BALANCE_EVERY: Final = 1.0
# How many shards there are, how many processes drain, and which shards nobody has.
_SHARES: Final = f"""
    SELECT shards, (
        SELECT count(*) FROM hub_workerprocess WHERE queue = 'deliveries' AND lease_until > {NOW}
    ), ARRAY (
        SELECT number FROM generate_series(0, shards - 1) AS number
        WHERE NOT EXISTS (SELECT FROM hub_drainlease WHERE shard = number AND NOT {free()})
        ORDER BY number
    ) FROM hub_sharding
"""  # noqa: S608 - names of ours


@dataclass(eq=False, slots=True)
class _Holding:
    """A shard that this process holds, or tries to."""

    is_to_end: bool = False
    drain: Drain | None = None
    task: "asyncio.Task[None] | None" = None

    def end(self) -> None:
        """Let open calls end, then give the shard back."""
        self.is_to_end = True
        if self.drain is not None:
            self.drain.look()


class Keeper:
    """The permanent loop of a worker of deliveries: it holds its part of the shards.

    All of its drains share one event loop. When another process comes or goes, or the number of
    shards is changed, shards change hands: their drains end first.
    """

    def __init__(self) -> None:
        self._is_stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: dict[int, _Holding] = {}
        self._shards = 0

    def run(self) -> None:
        """Until it is stopped; without its database it tries again."""
        while not self._is_stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._turning())
            except psycopg.Error as error:
                logger.warning("drains wait for the database: %s", error)
            except Exception:
                # The boundary of this thread: without it the process would live on, and idle.
                logger.exception("the drains of this process failed; beginning again")
            self._is_stopping.wait(BALANCE_EVERY)

    def look(self) -> None:
        """From any thread: something may wait."""
        self._in_loop(self._look)

    def stop(self) -> None:
        """From any thread: give all shards back."""
        self._is_stopping.set()
        self._in_loop(self._end)

    def _in_loop(self, work: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with suppress(RuntimeError):  # Closed between the two lines: it has ended.
                loop.call_soon_threadsafe(work)

    def _look(self) -> None:
        for holding in self._held.values():
            if holding.drain is not None:
                holding.drain.look()

    def _end(self) -> None:
        self._has_to_end.set()
        self._look()

    async def _turning(self) -> None:
        with pulse.of_this_loop("deliveries"):
            await self._keep()

    async def _keep(self) -> None:
        self._has_to_end = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            async with await psycopg.AsyncConnection.connect(
                autocommit=True, **connection_parameters()
            ) as database:
                while not self._is_stopping.is_set():
                    await self._balance(database)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(BALANCE_EVERY):
                            await self._has_to_end.wait()
        finally:
            await self._end_all()
            self._loop = None

    async def _balance(self, database: psycopg.AsyncConnection[Any]) -> None:
        """Take shards that nobody has, up to this process's part; give back what is beyond it."""
        shares = await (await database.execute(_SHARES)).fetchone()
        if shares is None:
            await database.execute(Sharding.FIRST)
            return
        shards, processes, left = shares
        if shards != self._shards:
            # Other receivers belong to each now: nobody begins before all have ended.
            await self._end_all()
            self._shards = shards
        part = -(-shards // max(1, processes))
        for number in sorted(self._held)[part:]:
            self._held[number].end()
        room = max(0, part - len(self._held))
        for number in [one for one in left if one not in self._held][:room]:
            holding = self._held[number] = _Holding()
            holding.task = asyncio.create_task(self._hold(number, holding))

    async def _hold(self, number: int, holding: _Holding) -> None:
        def is_stopping() -> bool:
            return holding.is_to_end or self._is_stopping.is_set()

        try:
            async with Shard(number, self._shards) as shard:
                if await shard.take():
                    holding.drain = Drain(shard, is_stopping)
                    await holding.drain.run()
        except LeaseLost:
            logger.warning("shard %s was taken over by another worker", number)
        except (psycopg.Error, DatabaseError) as error:
            # What was not marked is repeated by the next drain.
            logger.warning("the drain of shard %s ended: %s", number, error)
        except Exception:
            # One shard alone; it is taken again at the next look.
            logger.exception("the drain of shard %s failed", number)
        finally:
            del self._held[number]

    async def _end_all(self) -> None:
        for holding in self._held.values():
            holding.end()
        tasks = [holding.task for holding in self._held.values() if holding.task is not None]
        if tasks:
            await asyncio.wait(tasks)
