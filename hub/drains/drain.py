"""The drain of a shard: claims rows, carries hundreds at once, marks them.

Ordered for each object of a receiver, parallel across objects; each receiver has its own lanes,
rate and circuit breaker, so that a slow or dead one takes nothing from the others.
OCPI says not to queue for a party that is away (transport_and_format, Offline behaviour): a push
is tried a few times within seconds; then the party is OFFLINE and what waits for it is dropped.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseError

from hub import party_status, still_alive
from hub.directory import Directory, holder
from hub.drains.breaker import PAUSES
from hub.drains.carrier import Carrier, Outcome, Verdict
from hub.drains.lanes import Lanes
from hub.drains.marks import Marks
from hub.drains.merging import Call, Push
from hub.drains.shard import Mark, Room, Shard
from hub.leases import RENEW_EVERY
from hub.models import DeliveryState, DrainLease
from hub.ocpi.datatypes import ConnectionStatus

# What became of a push stands in the log of the deliveries.
logger = logging.getLogger("hub.delivery")
ATTEMPTS: Final = len(PAUSES) + 1
# A drain looks for new rows this often; when it has found none for a moment less often, and later
# only when it is told to, and once a second.
LOOK_EVERY: Final = 0.02
MOMENT: Final = 1.0
LOOK_AT_LEAST_EVERY: Final = 0.1
IDLE: Final = 5.0
LOOK_IDLE_EVERY: Final = 1.0
# Looking takes at most this part of its time, as far as LOOK_AT_LEAST_EVERY allows.
LOOKING: Final = 0.25
HOUSE_EVERY: Final = 0.5
# What a drain holds in memory; and of it, for one receiver, at least and at most: its even part,
# so that a slow one's rows leave room for all others'.
ROWS_HELD: Final = 20_000
BYTES_HELD: Final = 64_000_000
ROWS_PER_RECEIVER: Final = (20, 500)
BYTES_PER_RECEIVER: Final = (100_000, 16_000_000)
# A worker that stops waits this long for open calls; whoever goes on repeats the others.
STOP_SECONDS: Final = 3.0
STATES: Final = {
    Verdict.TAKEN: DeliveryState.DELIVERED,
    Verdict.REFUSED: DeliveryState.REFUSED,
    Verdict.BUSY: DeliveryState.REFUSED,
    Verdict.UNWANTED: DeliveryState.DROPPED,
    Verdict.BROKEN: DeliveryState.FAILED,
}


class Drain:
    """One hold of a shard's lease: everything in it happens in one event loop."""

    def __init__(self, shard: Shard, is_stopping: Callable[[], bool]) -> None:
        self._shard = shard
        self._directory: Directory | None = None
        self._is_stopping = is_stopping
        self._marks = Marks(shard, self._forget)
        self._receivers: dict[int, Lanes] = {}
        self._rows = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._look = asyncio.Event()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # Receivers that wait for others' calls to end.
        self._crowded: dict[int, None] = {}

    async def run(self) -> list[int]:
        """Until it is to stop; returns the shard's receivers."""
        self._loop = asyncio.get_running_loop()
        # Django's own connection, for what is rare.
        self._django = ThreadPoolExecutor(1, thread_name_prefix="drain")
        self._carrier = Carrier(self._in_django)
        try:
            await self._in_django(holder.current)
            self._know()
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(_repeat(self._renew, RENEW_EVERY)),
                    group.create_task(_repeat(self._keep_house, HOUSE_EVERY)),
                    group.create_task(self._marks.write_on()),
                ]
                await self._claim_until_idle()
                await self._finish()
                for helper in helpers:
                    helper.cancel()
            await self._shard.release()
            # Whoever asks next whether anything waits has to know the newest platforms too.
            await self._look_at_directory()
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
        return self._mine

    def look(self) -> None:
        """Something may wait, or it is to stop. In its own event loop."""
        self._look.set()

    async def _in_django(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._loop.run_in_executor(self._django, function, *arguments)

    def _know(self) -> None:
        """Which receivers are this shard's, by this process's snapshot of the directory."""
        if self._directory is not holder.snapshot:
            self._directory = holder.snapshot
            self._mine = [
                one
                for one in self._directory.platforms
                if DrainLease.shard_of(one, self._shard.shards) == self._shard.number
            ]

    async def _look_at_directory(self) -> None:
        await self._in_django(holder.refresh)
        self._know()

    async def _renew(self) -> None:
        was_held = self._shard.is_held
        await self._shard.renew()
        if not was_held:  # The database was slow, and nothing was begun meanwhile.
            for platform_id in self._receivers:
                self._pump(platform_id)

    async def _keep_house(self) -> None:
        await self._look_at_directory()
        for platform_id, lanes in self._receivers.items():
            self._drop_old(platform_id, lanes)

    # --- Claims -----------------------------------------------------------------------------------

    async def _claim_until_idle(self) -> None:
        busy_at = time.monotonic()
        while not self._is_stopping():
            self._look.clear()
            began = time.monotonic()
            await self._claim()
            if self._failure is not None:
                raise self._failure
            now = time.monotonic()
            if self._rows:
                busy_at = now
            # A look that took long because the machine is busy must not make the next one late.
            pause = LOOK_EVERY if now - busy_at < MOMENT else LOOK_AT_LEAST_EVERY
            pause = min(max(pause, (now - began) / LOOKING), LOOK_AT_LEAST_EVERY)
            if now - busy_at > IDLE:
                pause = LOOK_IDLE_EVERY
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._look.wait()
                    busy_at = time.monotonic()

    async def _claim(self) -> None:
        """Take the oldest rows of each receiver that has room for half of what it may hold."""
        self._know()
        if self._rows >= ROWS_HELD:
            return
        whole = Room(
            _even_part(ROWS_HELD, len(self._mine), *ROWS_PER_RECEIVER),
            _even_part(BYTES_HELD, len(self._mine), *BYTES_PER_RECEIVER),
        )
        rooms: dict[int, Room] = {}
        held: list[int] = []
        for platform_id in self._mine:
            lanes = self._receivers.get(platform_id)
            if lanes is None:
                rooms[platform_id] = whole
            elif 2 * len(lanes.held) <= whole.rows and lanes.bytes < whole.bytes:
                rooms[platform_id] = Room(whole.rows - len(lanes.held), whole.bytes - lanes.bytes)
                held += lanes.held
        if not rooms:
            return
        taken: dict[int, int] = {}
        pushes, version = await self._shard.claim(rooms, held)
        if version > holder.snapshot.version:
            await self._look_at_directory()
        for push in pushes:
            lanes = self._receivers.get(push.platform_id)
            if lanes is None:
                lanes = self._receivers[push.platform_id] = self._lanes(push.platform_id)
            lanes.add(push)
            self._rows += 1
            taken[push.platform_id] = taken.get(push.platform_id, 0) + 1
        for platform_id, count in taken.items():
            lanes = self._receivers[platform_id]
            lanes.has_more = count == rooms[platform_id].rows or lanes.bytes >= whole.bytes
            self._pump(platform_id)

    def _lanes(self, platform_id: int) -> Lanes:
        platform = holder.snapshot.platforms.get(platform_id)
        rate = None if platform is None else platform.pushes_per_second
        return Lanes(settings.DELIVERY_LANES, settings.PUSHES_PER_SECOND if rate is None else rate)

    # --- Calls ------------------------------------------------------------------------------------

    def _pump(self, platform_id: int) -> None:
        """Begin what may begin for this receiver."""
        lanes = self._receivers[platform_id]
        if (timer := self._timers.pop(platform_id, None)) is not None:
            timer.cancel()
        if lanes.breaker.is_given_up != self._is_away(platform_id):
            if lanes.breaker.is_given_up:
                lanes.breaker.start_anew()
            elif not lanes.breaker.strikes:
                lanes.breaker.give_up()
        while self._shard.is_held and not self._is_stopping():
            now = time.monotonic()
            found = lanes.next_call(now, self._limit())
            if isinstance(found, Call):
                self._begin(platform_id, lanes, found)
                continue
            if found is not None:
                self._timers[platform_id] = self._loop.call_later(
                    found - now, self._pump, platform_id
                )
            elif lanes.wants_more:
                self._crowded[platform_id] = None
            return

    def _limit(self) -> int:
        """How many calls one receiver may have open now.

        Half of all may go to whoever comes; of the other half each receiver has its even part, so
        that slow ones cannot leave nothing for the others.
        """
        half: int = settings.DELIVERY_OPEN_CALLS // 2
        if len(self._calls) < half:
            return half
        return max(1, half // len(self._receivers))

    def _begin(self, platform_id: int, lanes: Lanes, call: Call) -> None:
        is_probe = lanes.breaker.begin()
        task = self._loop.create_task(self._carry(platform_id, lanes, call, is_probe))
        self._calls.add(task)
        task.add_done_callback(lambda task: self._ended(task, platform_id, lanes))

    def _ended(self, task: "asyncio.Task[None]", platform_id: int, lanes: Lanes) -> None:
        self._calls.discard(task)
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            self._failure = failure
            self._look.set()
            return
        self._pump(platform_id)
        if self._crowded and len(self._calls) < settings.DELIVERY_OPEN_CALLS:
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

    async def _carry(self, platform_id: int, lanes: Lanes, call: Call, is_probe: bool) -> None:
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
            logger.exception("delivery %s cannot be carried", call.last.id)
            outcome = Outcome(Verdict.BROKEN, "the hub failed unexpectedly")
        if outcome.verdict is Verdict.NO_ANSWER:
            await self._no_answer(platform_id, lanes, call, began, is_probe, outcome)
            return
        if outcome.verdict not in {Verdict.UNWANTED, Verdict.BROKEN}:
            lanes.breaker.answered(time.monotonic())
            if is_probe and self._is_away(platform_id):
                await self._in_django(still_alive.queue_check, platform_id)
        if outcome.verdict is Verdict.TAKEN:
            lanes.widen()
        elif outcome.verdict is Verdict.BUSY:
            lanes.narrow()
            # Asked to come later, it comes as often as its age allows; else it is an attempt.
            if outcome.pause is not None or call.attempts + 1 < ATTEMPTS:
                pause = PAUSES[call.attempts] if outcome.pause is None else outcome.pause
                lanes.breaker.hold(time.monotonic() + pause)
                self._again(lanes, call, outcome, pause, counts=outcome.pause is None)
                return
        self._end(lanes, call, STATES[outcome.verdict], outcome.text)

    async def _no_answer(
        self,
        platform_id: int,
        lanes: Lanes,
        call: Call,
        began: float,
        is_probe: bool,
        outcome: Outcome,
    ) -> None:
        """Try again soon, unless that was the last attempt of the row or of the receiver."""
        if began < lanes.given_up_at:
            self._end(
                lanes, call, DeliveryState.DROPPED, f"the receiver is OFFLINE: {outcome.text}"
            )
        elif lanes.breaker.failed(began, time.monotonic(), is_probe=is_probe):
            self._end(lanes, call, DeliveryState.FAILED, outcome.text)
            await self._give_up(platform_id, lanes, outcome.text)
        elif call.attempts + 1 >= ATTEMPTS:
            self._end(lanes, call, DeliveryState.FAILED, outcome.text)
        else:
            self._again(lanes, call, outcome, PAUSES[call.attempts], counts=True)

    async def _give_up(self, platform_id: int, lanes: Lanes, problem: str) -> None:
        """After the last attempt: the receiver is OFFLINE, and what waits for it is dropped."""
        lanes.breaker.give_up()
        lanes.given_up_at = time.monotonic()
        dropped = lanes.drop()
        # What failed is marked first, so that its row says so.
        await self._marks.flush()
        await self._in_django(party_status.is_away, platform_id, problem)
        await self._look_at_directory()
        self._forget([*dropped, *lanes.drop()])

    def _again(
        self, lanes: Lanes, call: Call, outcome: Outcome, pause: float, *, counts: bool
    ) -> None:
        """Let the rows of a call wait for another attempt, before what waits behind them."""
        for push in call.pushes:
            push.attempts += counts
            self._marks.add(Mark(push, DeliveryState.WAITING, outcome.text, push.attempts, pause))
        # While the breaker is open, it is the breaker that waits.
        lanes.ended(call, due=time.monotonic() + (0 if lanes.breaker.strikes else pause))

    def _end(self, lanes: Lanes, call: Call, state: DeliveryState, outcome: str) -> None:
        """The rows of a call are done with."""
        last = call.last
        for push in call.pushes:
            said = outcome if push is last else f"merged into a later update: {outcome}"
            self._marks.add(
                Mark(push, state, said, push.attempts + (state != DeliveryState.DROPPED))
            )
        lanes.ended(call)
        logger.info(
            "%s %s to platform %s: %s (%s), attempt %s, correlation %s",
            call.method,
            last.route.module,
            last.platform_id,
            state.value,
            outcome,
            last.attempts + 1,
            last.correlation_id,
        )

    def _drop_old(self, platform_id: int, lanes: Lanes) -> None:
        """What has waited too long is no news any more."""
        dropped = lanes.drop(time.monotonic() - settings.DELIVERY_MAX_AGE)
        for push in dropped:
            self._marks.add(
                Mark(push, DeliveryState.DROPPED, "it has waited too long", push.attempts)
            )
        if dropped:
            logger.warning(
                "platform %s is too slow: %s waiting pushes dropped", platform_id, len(dropped)
            )

    def _forget(self, pushes: Iterable[Push]) -> None:
        """They are in memory no more; a claim would find those that still wait."""
        for push in pushes:
            lanes = self._receivers[push.platform_id]
            if lanes.forget(push):
                self._rows -= 1
            if lanes.has_more and len(lanes.held) <= ROWS_PER_RECEIVER[0] // 2:
                lanes.has_more = False
                self._look.set()

    async def _finish(self) -> None:
        """Let open calls end, for a while, and write the last marks."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOP_SECONDS)
        await self._marks.flush()


def _even_part(held: int, receivers: int, least: int, most: int) -> int:
    return min(max(least, held // max(1, receivers)), most)


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await work()
