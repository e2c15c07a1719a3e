"""How much one platform may ask of the hub at a time; more is refused with HTTP 429.

Counted in each web process, in its event loop. Nobody else's messages wait for it: those beyond the
number wait without a thread, or are refused at once, and the lanes (hub/fairness/lanes.py) count
apart.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from django.conf import settings

from hub.fairness.lanes import Behalf, Lane
from hub.ocpi.errors import TooManyRequests
from hub.record.recorder import recorder
from hub.routing.directory import PlatformEntry
from hub.startup.quick_settings import setting

logger = logging.getLogger(__name__)
# Repeating a GET costs its sender nothing: it is refused at once. The others wait a while first.
_AT_ONCE: Final = frozenset({Lane.READ, Lane.VERSIONS, Lane.CREDENTIALS, Lane.CLIENT_INFO})
# No rate holds up what others wait for, or what a connection begins with.
_WITHOUT_RATE: Final = frozenset(
    {Lane.RESULT, Lane.VERSIONS, Lane.CREDENTIALS, Lane.HANDSHAKE, Lane.CLIENT_INFO}
)
_TOLD_EVERY: Final = 60.0  # seconds


class InHand:
    """The requests that are taken and not answered yet, by platform and lane."""

    def __init__(self) -> None:
        self._taken: dict[Behalf, int] = {}
        self._waiting: dict[Behalf, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one(self, whose: Behalf) -> AsyncIterator[None]:
        """One request that the hub answers itself; TooManyRequests when there are too many."""
        taken = self._taken.get(whose, 0)
        if taken >= settings.IN_HAND_PER_PLATFORM:
            await self._wait(whose)
        else:
            self._taken[whose] = taken + 1
        try:
            yield
        finally:
            self._end(whose)

    def _turn(self, whose: Behalf) -> "asyncio.Future[None]":
        """A place among those that wait, where there is one."""
        most: int = settings.IN_HAND_PER_PLATFORM
        if whose.lane in _AT_ONCE:
            raise TooManyRequests(
                f"{most} requests of your platform are being answered; wait for one of them.",
                limit="in hand",
            )
        waiting = self._waiting.setdefault(whose, deque())
        if len(waiting) >= settings.WAITING_PER_PLATFORM:
            raise TooManyRequests(
                f"{most} requests of your platform are being answered and "
                f"{len(waiting)} wait; this hub takes no more now.",
                limit="waiting",
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        return turn

    async def _wait(self, whose: Behalf) -> None:
        """Wait until one of them is answered, and take its place."""
        turn = self._turn(whose)
        try:
            async with asyncio.timeout(settings.WAITING_SECONDS):
                await turn
        except TimeoutError as error:
            if not turn.cancelled():
                return  # It came in the same moment.
            waiting = self._waiting.get(whose, deque())
            if turn in waiting:
                waiting.remove(turn)
            raise TooManyRequests(
                f"{settings.IN_HAND_PER_PLATFORM} requests of your platform are being answered, "
                f"for more than {settings.WAITING_SECONDS:g} s.",
                limit="waiting",
            ) from error
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end(whose)
            raise

    def _end(self, whose: Behalf) -> None:
        waiting = self._waiting.get(whose, deque())
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._waiting.pop(whose, None)
        left = self._taken[whose] - 1
        if left:
            self._taken[whose] = left
        else:
            del self._taken[whose]


class Rates:
    """Requests a second of each platform; off unless the operator says otherwise."""

    def __init__(self) -> None:
        # When the next request is due, were they evenly spread.
        self._due: dict[int, float] = {}

    def check(self, platform: PlatformEntry, lane: Lane) -> None:
        """TooManyRequests beyond its rate; a second's worth may come at once."""
        rate: float | None = platform.requests_per_second
        if rate is None:
            rate = setting("REQUESTS_PER_SECOND")
        if not rate or lane in _WITHOUT_RATE:
            return
        now = time.monotonic()
        due = max(self._due.get(platform.id, 0.0), now)
        if due - now > max(1.0 - 1 / rate, 0.0):
            raise TooManyRequests(
                f"This hub takes {rate:g} requests a second of your platform.", limit="rate"
            )
        self._due[platform.id] = due + 1 / rate


class Refusals:
    """The refused requests: counted each time, told in the log once a minute."""

    def __init__(self) -> None:
        self._told: dict[int, float] = {}

    def note(self, platform: PlatformEntry, error: TooManyRequests) -> None:
        """One request of this platform was refused."""
        recorder.count("refused", str(platform.id), error.limit)
        now = time.monotonic()
        if now - self._told.get(platform.id, -_TOLD_EVERY) >= _TOLD_EVERY:
            self._told[platform.id] = now
            logger.warning("%s is refused with 429: %s", platform.name, error.message)
