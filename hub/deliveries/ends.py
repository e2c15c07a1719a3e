"""What became of calls, written in batches: nothing that waits behind them waits for that."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from hub.deliveries.calls import DeliveryCall
from hub.deliveries.lanes import ReceiverLane
from hub.deliveries.news import Telling
from hub.deliveries.rows import STATES, End, Fate
from hub.deliveries.shard import Shard
from hub.models import DeliveryState
from hub.parties.party_status import MODULE
from hub.record import counters

# What ended within this time shares a statement.
GATHER: Final = 0.005
# After these a row goes on to wait.
LASTING: Final = {fate for fate, state in STATES.items() if state == DeliveryState.WAITING}


class EndedCall(NamedTuple):
    """A call, and what becomes of all rows that it stood for."""

    lane: ReceiverLane
    call: DeliveryCall
    fate: Fate
    outcome: str

    def rows(self) -> list[End]:
        """The end of each mark and message; hub/deliveries/news.py writes those of parties."""
        _, call, fate, outcome = self
        if call.module == MODULE:
            return []
        attempts = call.attempts + (fate is not Fate.VOID)
        return [End(*row, fate, outcome, attempts, call.is_message) for row in call.covers]


class Ends:
    """Gathers ends; `written` is told those whose rows say so, and the rows that did not end."""

    def __init__(
        self,
        shard: Shard,
        telling: Telling,
        written: Callable[[Sequence[EndedCall], set[int]], None],
    ) -> None:
        self._shard = shard
        self._telling = telling
        self._written = written
        self._gathered: list[EndedCall] = []
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, lane: ReceiverLane, call: DeliveryCall, fate: Fate, outcome: str) -> None:
        """To be written soon."""
        if call.module == MODULE and fate not in LASTING:
            self._telling.ended(call, fate, outcome)
        self._gathered.append(EndedCall(lane, call, fate, outcome))
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
            ended, self._gathered = self._gathered, []
            left = await self._shard.end([row for one in ended for row in one.rows()])
            if self._telling.has_moved:
                await self._telling.write()
            counted: Counter[tuple[int, DeliveryState]] = Counter()
            for lane, call, fate, _ in ended:
                if fate not in LASTING:
                    counted[lane.platform_id, STATES[fate]] += len(call.covers)
            for (platform_id, state), number in counted.items():
                counters.delivery_ended(platform_id, state, number)
            self._written(ended, left)
