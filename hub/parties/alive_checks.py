"""Carries still-alive checks, many at once: one event loop in a process, while there are any.

A platform that hangs takes no thread, so those that are away for long hold up nobody.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final

import uvloop
from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import Error as DatabaseError

from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError
from hub.outbound.message import Message
from hub.outbound.platform_calls import AsyncCaller, Response
from hub.parties import party_status, token_forms
from hub.record.note import Kind
from hub.routing.directory import PlatformEntry, holder

logger = logging.getLogger(__name__)
SECONDS: Final = 10.0  # seconds
# Open calls; the others wait for their turn.
_AT_ONCE: Final = 300
_THREADS: Final = 3
# How long the loop waits for another check before it ends.
_LINGER: Final = 1.0  # seconds
# The platform's proxy says that it is not there; any other status is its own word.
NOT_ITS_OWN: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


class Checker:
    """`check` from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, Future[bool]]] = deque()
        self._open = 0
        self._is_running = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_come = asyncio.Event()

    @property
    def room(self) -> int:
        """How many more can begin at once."""
        with self._lock:
            return max(0, _AT_ONCE - self._open - len(self._waiting))

    def check(self, platform_id: int) -> "Future[bool]":
        """Begin a check; whether the platform is alive, when its status says so too."""
        found: Future[bool] = Future()
        with self._lock:
            self._waiting.append((platform_id, found))
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="still-alive", daemon=True).start()
            elif self._loop is not None:
                self._loop.call_soon_threadsafe(self._has_come.set)
        return found

    def _run(self) -> None:
        databases: list[BaseDatabaseWrapper] = []
        django = ThreadPoolExecutor(
            _THREADS,
            thread_name_prefix="still-alive",
            initializer=lambda: databases.append(connections["default"]),
        )
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._carry(django))
        finally:
            django.shutdown()
            for database in databases:
                database.inc_thread_sharing()
                database.close()

    async def _carry(self, django: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            self._loop, self._has_come = loop, asyncio.Event()

        async def in_django(function: Callable[..., Any], *arguments: Any) -> Any:
            return await loop.run_in_executor(django, _with_connection, function, *arguments)

        caller = AsyncCaller()
        open_: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._has_come.clear()
                while len(open_) < _AT_ONCE and (one := self._next()) is not None:
                    task = asyncio.create_task(_answered(*one, caller, in_django))
                    open_.add(task)
                    task.add_done_callback(open_.discard)
                    task.add_done_callback(self._ended)
                try:
                    async with asyncio.timeout(None if open_ else _LINGER):
                        await self._has_come.wait()
                except TimeoutError:
                    if self._ends():
                        return
        finally:
            caller.close()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        with self._lock:
            self._open -= 1
        self._has_come.set()

    def _next(self) -> tuple[int, Future[bool]] | None:
        with self._lock:
            if not self._waiting:
                return None
            self._open += 1
            return self._waiting.popleft()

    def _ends(self) -> bool:
        """Whether nothing has come in the last moment; the next check begins another thread."""
        with self._lock:
            if self._waiting:
                return False
            self._is_running, self._loop = False, None
            return True


checker: Final = Checker()


def _with_connection(function: Callable[..., Any], *arguments: Any) -> Any:
    close_old_connections()
    return function(*arguments)


async def _answered(
    platform_id: int, found: "Future[bool]", caller: AsyncCaller, in_django: Callable[..., Any]
) -> None:
    try:
        found.set_result(await _check(platform_id, caller, in_django))
    except DatabaseError as error:
        # It is taken for a while, and due again then.
        logger.warning("the check of platform %s ended: %s", platform_id, error)
        found.set_exception(error)
    except Exception as error:
        logger.exception("the check of platform %s ended", platform_id)
        found.set_exception(error)


async def _check(platform_id: int, caller: AsyncCaller, in_django: Callable[..., Any]) -> bool:
    # The newest: one that registered a moment ago is not to be taken for nobody.
    platform = (await in_django(holder.refresh)).platforms.get(platform_id)
    if platform is None or not platform.is_registered:
        return False
    began = time.monotonic()
    problem = await _problem(platform, caller, in_django)
    if problem:
        is_away: bool = await in_django(party_status.is_away, platform_id, problem, began)
        return not is_away
    await in_django(party_status.is_back, platform_id)
    return True


async def _problem(
    platform: PlatformEntry, caller: AsyncCaller, in_django: Callable[..., Any]
) -> str:
    """Why the platform counts as away; "" when it answers, whatever it says."""

    message = Message(
        kind=Kind.STILL_ALIVE,
        method="GET",
        url=platform.versions_url,
        platform=platform,
        module="versions",
    )

    async def ask(authorization: str) -> Response:
        return await message.send(caller, authorization, seconds=SECONDS)

    try:
        response = await token_forms.sent(platform, ask, in_django)
    except (ConnectionProblem, ForwardTimeout) as error:
        return error.message
    except HubError as error:
        logger.warning("%s answers the still-alive check: %s", platform.name, error.message)
        return ""
    if response.status in NOT_ITS_OWN:
        return f"GET versions was answered with HTTP {response.status}"
    if response.status != HTTPStatus.OK:
        logger.warning(
            "%s answers the still-alive check with HTTP %s", platform.name, response.status
        )
    return ""
