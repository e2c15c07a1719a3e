"""What became of rows, written in batches: nothing that waits behind them waits for that."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from hub.deliveries.calls import DeliveryCall
from hub.deliveries.lanes import FEW, ReceiverLane
from hub.deliveries.news import Telling
from hub.deliveries.rows import STATES, End, Fate
from hub.deliveries.shard import Shard
from hub.models import DeliveryState
from hub.ocpi.modules import BROADCAST, DELETABLE
from hub.outbox.outbox import Addressee, Change
from hub.parties.party_status import MODULE
from hub.record import counters

# What ended within this time shares a statement.
GATHER: Final = 0.005
# After these a row goes on to wait.
LASTING: Final = {fate for fate, state in STATES.items() if state == DeliveryState.WAITING}


class Ends:
    """Gathers ends; `look` is called when a lane that has more in the database holds few rows."""

    def __init__(self, shard: Shard, telling: Telling, look: Callable[[], None]) -> None:
        self._shard = shard
        self._telling = telling
        self._look = look
        self._gathered: list[tuple[ReceiverLane, DeliveryCall, End]] = []
        # Of those the marks that are done with: as yet the database says that they wait.
        self.ending: dict[int, int] = {}
        self._has_some = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, lane: ReceiverLane, call: DeliveryCall, fate: Fate, outcome: str) -> None:
        """To be written soon, of all rows that a call stood for."""
        attempts = call.attempts + (fate is not Fate.VOID)
        if lane.module == MODULE:
            self._telling.ended(call, fate, outcome)
        for row_id, raised in call.covers:
            if not call.is_message and fate not in LASTING:
                self.ending[row_id] = raised
            end = End(row_id, raised, fate, outcome, attempts, is_message=call.is_message)
            self._gathered.append((lane, call, end))
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
            left = await self._shard.end([end for lane, _, end in ends if lane.module != MODULE])
            if left:
                ends = await self._look_at_left(ends, set(left))
            if self._telling.has_moved:
                await self._telling.write()
            counted: Counter[tuple[int, DeliveryState]] = Counter()
            for lane, _, end in ends:
                if end.fate not in LASTING:
                    self._forget(lane, end)
                    counted[lane.platform_id, STATES[end.fate]] += 1
            for (platform_id, state), number in counted.items():
                counters.delivery_ended(platform_id, state, number)

    async def _look_at_left(
        self, ends: list[tuple[ReceiverLane, DeliveryCall, End]], left: set[int]
    ) -> list[tuple[ReceiverLane, DeliveryCall, End]]:
        """Of marks that were told and did not end; all ends but those that have to wait.

        What was raised is told again anyway. One that is locked is tried again: whoever has it may
        be about to end it. Where one is gone, the owner itself has told its receiver something
        newer, and either of the two may have arrived first.
        """
        raised = await self._shard.raised(list(left))
        done, gone = [], []
        for lane, call, end in ends:
            if end.fate is Fate.TOLD and end.id in left and raised.get(end.id) == end.raised:
                self._gathered.append((lane, call, end))
                self._has_some.set()
                continue
            done.append((lane, call, end))
            if end.fate is Fate.TOLD and end.id in left and end.id not in raised:
                gone.append(call)
        await self.tell_again(gone)
        return done

    async def tell_again(self, calls: Iterable[DeliveryCall]) -> None:
        """Owe the objects of these calls once more, as they are then."""
        owed = {}
        for call in calls:
            key = call.item.key
            if call.module in BROADCAST:
                owed[call.platform_id, call.module, key] = (
                    Change(
                        module=call.module,
                        owner=key.owner,
                        object_id=key.name,
                        spelling="/".join(call.path.partition("?")[0].split("/")[:3]),
                        correlation_id=call.correlation_id,
                        variant=key.variant,
                        # Where it is there it is told all the same.
                        is_deleted=call.module in DELETABLE,
                    ),
                    Addressee(call.platform_id, key.party),
                )
        if owed:
            changes, receivers = zip(*owed.values(), strict=True)
            await self._shard.mark(changes, receivers)
            self._look()

    def _forget(self, lane: ReceiverLane, end: End) -> None:
        """It is written: what has been raised meanwhile is found by the next claim."""
        if self.ending.get(end.id) == end.raised:
            del self.ending[end.id]
        lane.release({end.id})
        if lane.has_more and len(lane.held) <= FEW:
            lane.has_more = False
            self._look()
