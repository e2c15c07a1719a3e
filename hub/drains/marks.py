"""What became of deliveries, written in batches: nothing that waits behind them waits for that."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from hub.drains.merging import Push
from hub.drains.shard import Mark, Shard
from hub.models import DeliveryState
from hub.record import counters

# What came within this time shares a statement.
GATHER: Final = 0.005


class Marks:
    """Gathers marks; `forget` is called with the rows whose end is written."""

    def __init__(self, shard: Shard, forget: Callable[[Iterable[Push]], None]) -> None:
        self._shard = shard
        self._forget = forget
        self._gathered: list[Mark] = []
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()

    def add(self, mark: Mark) -> None:
        """To be written soon."""
        self._gathered.append(mark)
        self._has_some.set()

    async def write_on(self) -> None:
        """Write until cancelled; LeaseLost after a take-over."""
        while True:
            await self._has_some.wait()
            await asyncio.sleep(GATHER)
            await self.flush()

    async def flush(self) -> None:
        """All that was added before is written when this returns."""
        async with self._writing:
            self._has_some.clear()
            marks, self._gathered = self._gathered, []
            if marks:
                await self._shard.mark(marks)
                _count(marks)
                self._forget(mark.push for mark in marks if mark.state != DeliveryState.WAITING)


def _count(marks: Iterable[Mark]) -> None:
    """For /metrics."""
    for (platform_id, state), number in Counter(
        (mark.push.platform_id, mark.state) for mark in marks
    ).items():
        if state == DeliveryState.WAITING:
            counters.delivery_retried(platform_id, number)
        else:
            counters.delivery_ended(platform_id, state, number)
