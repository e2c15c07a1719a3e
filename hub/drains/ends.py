"""What became of rows, written in batches: nothing that waits behind them waits for that."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from hub.drains.calls import Call
from hub.drains.lanes import FEW, Lane
from hub.drains.rows import STATES, End, Fate
from hub.drains.shard import Shard
from hub.models import DeliveryState
from hub.record import counters

# What ended within this time shares a statement.
GATHER: Final = 0.005
# After these a row goes on to wait.
LASTING: Final = frozenset({Fate.WITHOUT_PATCH, Fate.AS_A_WHOLE, Fate.RETRIED})


class Ends:
    """Gathers ends; `look` is called when a lane that has more in the database holds few rows."""

    def __init__(self, shard: Shard, look: Callable[[], None]) -> None:
        self._shard = shard
        self._look = look
        self._gathered: list[tuple[Lane, End]] = []
        # Of those the marks that are done with: as yet the database says that they wait.
        self.ending: dict[int, int] = {}
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, lane: Lane, call: Call, fate: Fate, outcome: str) -> None:
        """To be written soon, of all rows that a call stood for."""
        attempts = call.attempts + (fate is not Fate.VOID)
        for row_id, raised in call.covers:
            if not call.is_message and fate not in LASTING:
                self.ending[row_id] = raised
            end = End(row_id, raised, fate, outcome, attempts, is_message=call.is_message)
            self._gathered.append((lane, end))
        self._has_some.set()

    async def write_on(self) -> None:
        """Until cancelled."""
        while await self._has_some.wait():
            await asyncio.sleep(GATHER)
            await self.flush()

    async def flush(self) -> None:
        """All that was noted before is written when this returns."""
        async with self._writing:
            self._has_some.clear()
            ends, self._gathered = self._gathered, []
            if not ends:
                return
            await self._shard.end([end for _, end in ends])
            counted: Counter[tuple[int, DeliveryState]] = Counter()
            for lane, end in ends:
                if end.fate not in LASTING:
                    self._forget(lane, end)
                    counted[lane.platform_id, STATES[end.fate]] += 1
            for (platform_id, state), number in counted.items():
                counters.delivery_ended(platform_id, state, number)

    def _forget(self, lane: Lane, end: End) -> None:
        """It is written: what has been raised meanwhile is found by the next claim."""
        if self.ending.get(end.id) == end.raised:
            del self.ending[end.id]
        lane.release({end.id})
        if lane.has_more and len(lane.held) <= FEW:
            lane.has_more = False
            self._look()
