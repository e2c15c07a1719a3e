"""The state of one web process between requests: directory, clients, threads, listener."""

import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.conf import settings

from hub.db.batch_writer import Statement, Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import process_name
from hub.db.notify import Listener
from hub.deviations import noting
from hub.fairness import unanswered
from hub.fairness.lanes import Lane
from hub.fairness.memory import UnderWay
from hub.gateway.in_hand import InHand, Rates, Refusals
from hub.models import quotas
from hub.outbound.platform_calls import AsyncCaller
from hub.parties import still_alive
from hub.routing.directory import Directory, PlatformEntry, holder
from hub.startup.heartbeat import Heartbeat

logger = logging.getLogger(__name__)
T = TypeVar("T")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CONFIRM_EVERY = 3.0  # seconds
# A burst of changes is one; and a process must not do nothing but follow them.
FOLLOW_EVERY = 0.05  # seconds
# How often unknown tokens and receivers may make a process read the directory again.
LOOK_AT_MOST_EVERY = 0.1  # seconds
SUSPECT_AT_MOST_EVERY = 10.0  # seconds


class WebProcess:
    """Made in the event loop at start-up, gone at shutdown."""

    django: DjangoThreads
    handshakes: DjangoThreads
    pages: DjangoThreads
    logins: DjangoThreads
    steady: DjangoThreads
    outbound: AsyncCaller
    carrying: AsyncCaller
    listener: Listener
    writer: Writer

    def __init__(self, statements: Sequence[Statement] = ()) -> None:
        self._statements = statements
        self._name = f"{os.environ.get('FLEXHUB_WORKER', 'web')}-{process_name()}"[:64]
        # Apart from Django's pool: views wait there for this very refresh.
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="directory")
        self._refresh: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._is_behind = self._is_following = False
        self._heard: dict[int, float] = {}
        self.in_hand = InHand()
        self.under_way = UnderWay()
        self.rates = Rates()
        self.refused = Refusals()
        self._done_at: dict[tuple[str, int], float] = {}
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def directory(self) -> Directory:
        """The snapshot that requests are routed by."""
        return holder.snapshot

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Start before the first request; stop when the server stops."""
        await receive()
        try:
            self._start_threads()
            self.outbound = AsyncCaller(unanswered.forwards)
            # For what has its place at the receiver already.
            self.carrying = AsyncCaller()
            self.writer = Writer(self._statements)
            self.listener = Listener(self._directory_changed)
            await self._confirm()
            listening = asyncio.create_task(self.listener.run())
            keeping = asyncio.create_task(self._keep_house())
        except Exception as error:
            logger.exception("the web process cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        _spare_the_collector()
        await send({"type": "lifespan.startup.complete"})
        heartbeat = Heartbeat(os.environ)
        beating = asyncio.create_task(heartbeat.beat())
        await receive()
        heartbeat.stop()
        await self._stop(listening, keeping, beating)
        await send({"type": "lifespan.shutdown.complete"})

    def _start_threads(self) -> None:
        self.django = DjangoThreads(settings.DJANGO_THREADS)
        # Registration calls the other side back: slow ones must not take everybody's threads. One
        # platform has two of them, however many it begins: a newer handshake ends the call of the
        # one before (hub/parties/credentials.py).
        self.handshakes = DjangoThreads(settings.HANDSHAKE_THREADS, each=2)
        # Strangers may call what is not OCPI, and guess passwords; a password takes long.
        self.pages = DjangoThreads(settings.CONSOLE_THREADS, each=settings.CONSOLE_THREADS)
        self.logins = DjangoThreads(1)
        # What touches no table is answered also while one is locked: versions, health.
        self.steady = DjangoThreads(1, each=1)

    async def _stop(self, *tasks: "asyncio.Task[None]") -> None:
        for task in tasks:
            task.cancel()
        # What was begun ends first: a late look at the directory would open a connection again.
        await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
        await self._flush_heard()
        await self.django.run(noting.flush)
        await self.django.run(quotas.flush)
        self.outbound.close()
        self.carrying.close()
        await self.writer.close()
        for threads in (self.django, self.handshakes, self.pages, self.logins, self.steady):
            await asyncio.to_thread(threads.close)
        await asyncio.get_running_loop().run_in_executor(self._refresher, holder.leave, self._name)
        self._refresher.shutdown()

    def threads_of(self, lane: Lane) -> DjangoThreads:
        """The threads that answer what comes on a lane."""
        if lane is Lane.HANDSHAKE:
            return self.handshakes
        return self.steady if lane is Lane.VERSIONS else self.django

    async def newer_directory(self) -> Directory:
        """A snapshot read after this call began; all who ask within a moment share one look."""
        asked = time.monotonic()
        while self._looked_at < asked:
            if self._refresh is None or self._refresh.done():
                self._refresh = asyncio.create_task(self._look())
            await asyncio.shield(self._refresh)
        return self.directory

    async def _look(self) -> None:
        wait = self._looked_at + LOOK_AT_MOST_EVERY - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        began = time.monotonic()
        await self._confirm()
        self._looked_at = began

    def heard(self, platform: PlatformEntry) -> None:
        """A platform has sent or answered something: one that is OFFLINE is checked at once."""
        self._heard[platform.id] = time.monotonic()
        if platform.is_away and self._is_due(("back", platform.id), 1.0):
            self.start(self.django.run(still_alive.queue_check, platform.id))

    def suspect(self, platform: PlatformEntry) -> None:
        """A message did not get through: let the still-alive check look now.

        For one that is OFFLINE already this is not news.
        """
        if not platform.is_away and self._is_due(("suspect", platform.id), SUSPECT_AT_MOST_EVERY):
            self.start(self.django.run(still_alive.queue_check, platform.id))

    def _is_due(self, what: tuple[str, int], seconds: float) -> bool:
        now = time.monotonic()
        if now - self._done_at.get(what, -seconds) < seconds:
            return False
        self._done_at[what] = now
        return True

    def start(self, work: Awaitable[T]) -> "asyncio.Future[T]":
        """Begin something that is done whatever becomes of who has asked for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background work failed", exc_info=error)

    def _directory_changed(self) -> None:
        """Look at once; what changes within the next moment is looked at together."""
        self._is_behind = True
        if not self._is_following:
            self._is_following = True
            self.start(self._follow())

    async def _follow(self) -> None:
        try:
            while self._is_behind:
                self._is_behind = False
                await self._confirm()
                await asyncio.sleep(FOLLOW_EVERY)
        finally:
            self._is_following = False

    async def _confirm(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._refresher, holder.confirm, self._name)

    async def _keep_house(self) -> None:
        """Confirm the directory and write down who was heard, every few seconds."""
        while True:
            await asyncio.sleep(CONFIRM_EVERY)
            try:
                await self._confirm()
                await self._flush_heard()
                await self.django.run(noting.flush)
                await self.django.run(quotas.flush)
            except Exception:
                # The database may be away for a while; requests tell, this loop goes on.
                logger.exception("house-keeping of the web process failed; trying again")

    async def _flush_heard(self) -> None:
        heard, self._heard = self._heard, {}
        if heard:
            await self.django.run(_write_heard, heard)


def _write_heard(heard: dict[int, float]) -> None:
    """Write when platforms were heard (time.monotonic()); the thread may have come later."""
    now = time.monotonic()
    still_alive.write_heard({platform_id: now - then for platform_id, then in heard.items()})


def _spare_the_collector() -> None:
    """Keep the collector from looking again at what lives as long as the process.

    Measured: without this the collector takes a tenth of the time of a forwarded message.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    # Django's threads hand the interpreter back to the event loop after 1 ms, not after 5.
    sys.setswitchinterval(0.001)
