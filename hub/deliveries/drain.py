"""The drain of a shard: claims rows, reads what they stand for, carries hundreds at once.

Ordered for each object of a receiver, parallel across objects; each module of a receiver has its
lane with a circuit breaker, so that what is slow or dead takes nothing from the others. What
nobody answers is tried again, from a second to a minute apart, for as long as the receiver is
CONNECTED; it is OFFLINE when it does not answer a still-alive check either, and then nothing waits
for it any more (transport_and_format, Offline behaviour).
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseError

from hub.db.leases import RENEW_EVERY
from hub.deliveries.breaker import STRIKES, Rate, pause_after
from hub.deliveries.calls import DeliveryCall
from hub.deliveries.ends import LASTING, EndedCall, Ends
from hub.deliveries.lanes import FEW, Bodies, Item, ReceiverLane
from hub.deliveries.news import Telling
from hub.deliveries.rows import STATES, Fate, LaneRoom
from hub.deliveries.send import Sender, SendOutcome, SendResult
from hub.deliveries.shard import Shard
from hub.ocpi.datatypes import ConnectionStatus
from hub.outbox import outbox
from hub.parties import party_status
from hub.parties.alive_checks import checker
from hub.record import counters
from hub.routing.directory import holder
from hub.startup.log import tell
from hub.startup.quick_settings import setting

# What became of a push stands in the log of the deliveries.
logger = logging.getLogger("hub.delivery")
# A drain looks for new rows this often; each look that finds none makes the next pause longer,
# though it was told that some wait (in another shard, perhaps), and later it is once a second.
LOOK_EVERY: Final = 0.02
LONGER: Final = 1.5
LOOK_AT_LEAST_EVERY: Final = 0.1
IDLE: Final = 5.0
LOOK_IDLE_EVERY: Final = 1.0
# Looking takes at most this part of its time, as far as LOOK_AT_LEAST_EVERY allows.
LOOKING: Final = 0.25
HOUSE_EVERY: Final = 0.5
# The rows that a drain holds; and of them, for one lane, at least and at most: its even part, so
# that a slow one's rows leave room for all others'.
ROWS_HELD: Final = 20_000
ROWS_PER_LANE: Final = (20, 500)
# Objects that are read at once, and bytes of bodies in open calls beyond which no more are read.
READ_AT_ONCE: Final = 200
BYTES_OPEN: Final = 64_000_000
# Threads for what takes the database seconds.
ASIDE: Final = 4
# A worker that stops waits this long for open calls; whoever goes on repeats the others.
STOP_SECONDS: Final = 3.0


class Drain:
    """One hold of a shard's lease: everything in it happens in one event loop."""

    def __init__(self, shard: Shard, is_stopping: Callable[[], bool]) -> None:
        self._shard = shard
        self._is_stopping = is_stopping
        self._lanes: dict[tuple[int, str], ReceiverLane] = {}
        self._rates: dict[int, Rate] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._bodies = Bodies(BYTES_OPEN)
        self._to_read: list[tuple[ReceiverLane, Item, bool]] = []
        self._failure: BaseException | None = None
        self._look, self._read = asyncio.Event(), asyncio.Event()
        self._told_at = time.monotonic()
        self._telling = Telling(shard)
        self._ends = Ends(shard, self._telling, self._written)
        self._timers: dict[ReceiverLane, asyncio.TimerHandle] = {}
        # Lanes that wait for others' calls to end.
        self._crowded: dict[ReceiverLane, None] = {}
        self._checking: set[int] = set()

    async def run(self) -> None:
        """Until it is to stop."""
        self._loop = asyncio.get_running_loop()
        # Django's own connections: one for the directory, and some for what takes seconds.
        self._django = ThreadPoolExecutor(1, thread_name_prefix="drain")
        self._checks = ThreadPoolExecutor(ASIDE, thread_name_prefix="drain-aside")
        self._carrier = Sender(self._aside, self._shard)
        try:
            await self._in_django(holder.current)
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(_repeat(self._renew, RENEW_EVERY)),
                    group.create_task(_repeat(self._keep_house, HOUSE_EVERY)),
                    group.create_task(self._read_on()),
                    group.create_task(self._ends.write_on()),
                ]
                await self._claim_on()
                await self._finish()
                for helper in helpers:
                    helper.cancel()
            await self._shard.release()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            for timer in self._timers.values():
                timer.cancel()
            for call in self._calls:
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)
            self._carrier.close()
            await self._in_django(lambda: connection.close())  # this thread's own
            self._django.shutdown()
            self._checks.shutdown(cancel_futures=True)

    def look(self) -> None:
        """Something may wait, here or in another shard, or it is to stop. In its own event loop."""
        self._told_at = time.monotonic()
        self._look.set()

    async def _in_django(self, function: Callable[[], object]) -> None:
        await self._loop.run_in_executor(self._django, function)

    async def _aside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._loop.run_in_executor(self._checks, _and_close, function, arguments)

    async def _look_at_directory(self) -> None:
        await self._in_django(holder.refresh)

    async def _know(self, version: int) -> None:
        """Have no older directory than this."""
        if version > holder.snapshot.version:
            await self._look_at_directory()

    async def _renew(self) -> None:
        was_held = self._shard.is_held
        await self._know(await self._shard.renew())
        if not was_held:  # The database was slow, and nothing was begun meanwhile.
            for lane in self._lanes.values():
                self._pump(lane)

    async def _keep_house(self) -> None:
        await self._ends.flush()
        for key, lane in list(self._lanes.items()):
            if self._is_away(lane.platform_id):
                lane.breaker.forget()
            if lane.is_empty and not lane.breaker.strikes:
                del self._lanes[key]

    # --- Claims -----------------------------------------------------------------------------------

    async def _claim_on(self) -> None:
        busy_at, every = 0.0, LOOK_AT_LEAST_EVERY
        while not self._is_stopping():
            self._look.clear()
            began = time.monotonic()
            every = LOOK_EVERY if await self._claim() else LONGER * every
            if self._failure is not None:
                raise self._failure
            now = time.monotonic()
            if self._calls or self._to_read:
                busy_at = now
            # A look that took long because the machine is busy must not make the next one late.
            every = pause = min(max(every, (now - began) / LOOKING), LOOK_AT_LEAST_EVERY)
            if now - max(busy_at, self._told_at) > IDLE:
                pause = LOOK_IDLE_EVERY
            timer = self._loop.call_later(pause, self._look.set)
            await self._look.wait()
            timer.cancel()

    async def _claim(self) -> bool:
        """Take what waits in each lane that has room for it; whether there was something."""
        if sum(len(lane.held) for lane in self._lanes.values()) >= ROWS_HELD:
            return False
        least, most = ROWS_PER_LANE
        room = min(max(least, ROWS_HELD // max(1, len(self._lanes))), most)
        rooms: dict[tuple[int, str], LaneRoom] = {}
        copies: list[int] = []
        messages: list[int] = []
        for key, lane in self._lanes.items():
            rooms[key], held = lane.room(room)
            if rooms[key].rows:
                (messages if lane.has_messages else copies).extend(held)
        waiting, version = await self._shard.claim(rooms, room, copies, messages)
        await self._know(version)
        await self._telling.look(holder.snapshot)
        taken: Counter[ReceiverLane] = Counter()
        for row in waiting:
            lane = self._lane(row.platform_id, row.module)
            lane.add(row, is_unsure=row.id <= self._shard.last_of_former)
            taken[lane] += 1
        for lane, count in taken.items():
            asked = rooms.get((lane.platform_id, lane.module), LaneRoom(room))
            lane.has_more = count >= asked.rows or asked.priority == outbox.URGENT
            self._pump(lane)
        for platform_id in list(self._telling.behind()):
            self._take_news(platform_id, room)
        return bool(waiting)

    def _take_news(self, platform_id: int, most: int) -> None:
        """Let the lane of a receiver have more parties that have changed, if there is room."""
        known = self._lanes.get((platform_id, party_status.MODULE))
        room = LaneRoom(most) if known is None else known.room(most)[0]
        if room.priority == outbox.URGENT or not (
            waiting := self._telling.take(platform_id, room.rows)
        ):
            return
        lane = self._lane(platform_id, party_status.MODULE)
        for row in waiting:
            lane.add(row)
        lane.has_more |= self._telling.is_behind(platform_id)
        self._pump(lane)

    def _lane(self, platform_id: int, module: str) -> ReceiverLane:
        lane = self._lanes.get((platform_id, module))
        if lane is None:
            platform = holder.snapshot.platforms.get(platform_id)
            own = None if platform is None else platform.pushes_per_second
            per_second = settings.PUSHES_PER_SECOND if own is None else own
            rate = self._rates.setdefault(platform_id, Rate(per_second))
            rate.per_second = per_second
            lane = ReceiverLane(platform_id, module, settings.DELIVERY_LANES, rate)
            self._lanes[platform_id, module] = lane
        return lane

    # --- Reading ----------------------------------------------------------------------------------

    def _pump(self, lane: ReceiverLane) -> None:
        """Begin what may begin in this lane."""
        if (timer := self._timers.pop(lane, None)) is not None:
            timer.cancel()
        while self._shard.is_held and not self._is_stopping():
            now = time.monotonic()
            found = lane.next_item(now, self._limit())
            if isinstance(found, Item):
                self._to_read.append((lane, found, lane.breaker.begin()))
                self._read.set()
                continue
            if found is not None:
                self._timers[lane] = self._loop.call_later(found - now, self._pump, lane)
            elif lane.wants_more:
                self._crowded[lane] = None
            return

    def _limit(self) -> int:
        """How many calls one lane may have open now.

        Half of all may go to whoever comes; of the other half each lane has its even part, so that
        slow ones cannot leave nothing for the others.
        """
        half: int = setting("DELIVERY_OPEN_CALLS") // 2
        if len(self._calls) + len(self._to_read) < half:
            return half
        return max(1, half // len(self._lanes))

    async def _read_on(self) -> None:
        """Read what is to be told, many objects at once, and begin the calls."""
        while await self._read.wait():
            batch = [one for one in self._to_read if self._bodies.has_room(one[0].platform_id)]
            batch = batch[:READ_AT_ONCE]
            if not batch:
                self._read.clear()
                continue
            taken = {item for _, item, _ in batch}
            self._to_read = [one for one in self._to_read if one[1] not in taken]
            asked = [(lane.platform_id, lane.module, item) for lane, item, _ in batch]
            calls = await self._telling.read(asked, holder.snapshot)
            for (lane, _, is_probe), call in zip(batch, calls, strict=True):
                if call.void:
                    lane.breaker.unused(is_probe=is_probe)
                    lane.calls -= 1
                    self._end(lane, call, Fate.VOID, call.void)
                else:
                    self._begin(lane, call, is_probe)

    # --- Calls ------------------------------------------------------------------------------------

    def _begin(self, lane: ReceiverLane, call: DeliveryCall, is_probe: bool) -> None:
        self._bodies.add(call.platform_id, len(call.body))
        task = self._loop.create_task(self._carry(lane, call, is_probe))
        self._calls.add(task)
        task.add_done_callback(lambda task: self._ended(task, lane, call))

    def _ended(self, task: "asyncio.Task[None]", lane: ReceiverLane, call: DeliveryCall) -> None:
        self._calls.discard(task)
        lane.calls -= 1
        self._bodies.remove(call.platform_id, len(call.body))
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            self._failure = failure
            self._look.set()
            return
        self._read.set()
        self._pump(lane)
        if self._crowded and len(self._calls) < setting("DELIVERY_OPEN_CALLS"):
            crowded = next(iter(self._crowded))
            del self._crowded[crowded]
            self._pump(crowded)

    def _is_away(self, platform_id: int) -> bool:
        """Whether the others were told that a party of this platform is OFFLINE."""
        directory = holder.snapshot
        platform = directory.platforms.get(platform_id)
        return platform is not None and any(
            directory.parties[identity].status == ConnectionStatus.OFFLINE
            for identity in platform.parties
        )

    async def _carry(self, lane: ReceiverLane, call: DeliveryCall, is_probe: bool) -> None:
        """One call, and what becomes of its rows."""
        began = time.monotonic()
        try:
            directory = holder.snapshot
            outcome = await self._carrier.carry(call, directory)
            if outcome.is_doubtful:
                await self._look_at_directory()
                if holder.snapshot is not directory:
                    outcome = await self._carrier.carry(call, holder.snapshot)
        except (psycopg.Error, DatabaseError):
            raise
        except Exception:
            # One row that nobody has foreseen must not end the drain again and again.
            logger.exception("a push of %s cannot be carried", call.module)
            outcome = SendOutcome(SendResult.BROKEN, "the hub failed unexpectedly")
        if outcome.verdict is SendResult.UNSENT:
            lane.breaker.unused(is_probe=is_probe)
            lane.ended(call.item)
            return
        if outcome.verdict is SendResult.NO_ANSWER:
            await self._no_answer(lane, call, began, is_probe, outcome)
            return
        if outcome.verdict in {SendResult.UNWANTED, SendResult.BROKEN}:
            lane.breaker.unused(is_probe=is_probe)
        else:
            lane.breaker.answered(time.monotonic())
            if self._is_away(lane.platform_id):
                await self._check(lane)
        if outcome.verdict is SendResult.BUSY:
            lane.narrow()
            self._again(lane, call, outcome)
        elif outcome.verdict is SendResult.TAKEN or _is_gone(call, outcome):
            lane.widen()
            self._end(lane, call, Fate.TOLD, outcome.text)
        elif call.is_message or outcome.verdict in {SendResult.UNWANTED, SendResult.BROKEN}:
            self._end(lane, call, _FATES[outcome.verdict], outcome.text)
        elif call.method == "PATCH":
            self._end(lane, call, Fate.WITHOUT_PATCH, outcome.text)
        elif call.is_part and outcome.verdict is SendResult.UNKNOWN:
            self._end(lane, call, Fate.AS_A_WHOLE, outcome.text)
        else:
            self._end(lane, call, Fate.REFUSED, outcome.text)

    async def _no_answer(
        self,
        lane: ReceiverLane,
        call: DeliveryCall,
        began: float,
        is_probe: bool,
        outcome: SendOutcome,
    ) -> None:
        """Try again; ask the receiver whether it is there when that goes on."""
        says_something = lane.breaker.failed(began, time.monotonic(), is_probe=is_probe)
        if self._is_away(lane.platform_id):
            ago = time.monotonic() - began
            is_gone = await self._aside(party_status.is_away, lane.platform_id, outcome.text, ago)
        else:
            may_be_gone = says_something and lane.breaker.strikes >= STRIKES
            is_gone = may_be_gone and not await self._check(lane)
        if is_gone:
            await self._give_up(lane, call, outcome)
            return
        self._again(lane, call, outcome)

    async def _give_up(self, lane: ReceiverLane, call: DeliveryCall, outcome: SendOutcome) -> None:
        """The receiver is OFFLINE: nothing waits for it any more."""
        if call.is_message:
            self._end(lane, call, Fate.FAILED, f"the receiver is OFFLINE: {outcome.text}")
        else:
            self._ends.note(lane, call, Fate.RETRIED, outcome.text)
        await self._ends.flush()
        await self._look_at_directory()
        self._telling.forget(lane.platform_id)
        for one in self._lanes.values():
            if one.platform_id == lane.platform_id:
                one.drop()

    async def _check(self, lane: ReceiverLane) -> bool:
        """Whether the receiver answers at all; one check of it at a time."""
        if lane.platform_id in self._checking:
            return True
        self._checking.add(lane.platform_id)
        try:
            # Many that went together are asked together. A drain that ends leaves the check to end.
            check = asyncio.wrap_future(checker.check(lane.platform_id))
            is_alive = await asyncio.shield(check)
        finally:
            self._checking.discard(lane.platform_id)
        await self._look_at_directory()
        return is_alive

    def _again(self, lane: ReceiverLane, call: DeliveryCall, outcome: SendOutcome) -> None:
        """Let the rows of a call wait for another attempt, before what waits behind them."""
        item, now = call.item, time.monotonic()
        item.failures += 1
        if outcome.pause is not None or outcome.verdict is SendResult.BUSY:
            pause = pause_after(item.failures) if outcome.pause is None else outcome.pause
            lane.breaker.hold(now + pause)
        # While the breaker is open, it is the breaker that waits.
        item.due = now if lane.breaker.strikes else now + pause_after(item.failures)
        item.is_unsure |= outcome.may_be_taken
        counters.delivery_retried(lane.platform_id, 1)
        is_as_it_is = call.is_message or call.method != "PATCH" or not outcome.may_be_taken
        fate = Fate.RETRIED if is_as_it_is else Fate.WITHOUT_PATCH
        self._ends.note(lane, call, fate, outcome.text)

    def _end(self, lane: ReceiverLane, call: DeliveryCall, fate: Fate, outcome: str) -> None:
        """The rows of a call are done with, or the same is to be told in another way."""
        call.item.failures = 0
        self._ends.note(lane, call, fate, outcome)
        if call.covers and fate not in LASTING:
            tell(
                logger,
                "%s %s to %s: %s (%s), correlation %s",
                call.method,
                call.module,
                holder.snapshot.name_of(lane.platform_id),
                STATES[fate].value,
                outcome,
                call.correlation_id,
            )

    def _written(self, ended: Sequence[EndedCall], left: set[int]) -> None:
        """The rows of these calls say so; those `left` have been raised, or taken, meanwhile."""
        for lane, call, fate, _ in ended:
            item = call.item
            done = {row_id for row_id, _ in call.covers} if call.covers else set(item.ids)
            if fate in LASTING:
                done.clear()
            elif fate is Fate.TOLD and not call.is_message:
                item.is_unsure = not left.isdisjoint(done)
                done -= left
                # Whoever is writing one just now has done so then.
                item.due = time.monotonic() + LOOK_EVERY if item.is_unsure else 0.0
            lane.ended(item, done)
            if lane.has_more and len(lane.held) <= FEW:
                lane.has_more = False
                self._look.set()
        for lane in {one.lane for one in ended}:
            self._pump(lane)

    async def _finish(self) -> None:
        """Let open calls end, for a while, and write the last of what became of them."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOP_SECONDS)
        await self._ends.flush()


_FATES: Final = {
    SendResult.REFUSED: Fate.REFUSED,
    SendResult.UNKNOWN: Fate.REFUSED,
    SendResult.UNWANTED: Fate.VOID,
    SendResult.BROKEN: Fate.FAILED,
}


def _is_gone(call: DeliveryCall, outcome: SendOutcome) -> bool:
    """Whether a DELETE was of something that the receiver does not have."""
    return call.method == "DELETE" and not call.is_message and outcome.verdict is SendResult.UNKNOWN


def _and_close(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    finally:
        connection.close()  # this thread's own


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await work()
