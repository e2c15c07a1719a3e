"""Who gets the next thread: the platforms take turns, and none of them can take all threads.

All of it happens in the event loop, in plain dicts: a turn that is free costs a microsecond.
"""

import asyncio
from collections import deque
from typing import Final

from hub.fairness.lanes import Behalf, Lane

# The part of a pool's threads that neither one platform nor lists may take.
_SPARE: Final = 0.25
# Lanes with much work: one place of a platform is for its other lanes.
_BULK: Final = frozenset({Lane.FORWARD, Lane.READ, Lane.PUSH, Lane.COMMAND})


class Turns:
    """The places of one pool of threads.

    One platform has at most `each` of them (three quarters, unless given), all but one of these for
    what can be much, and half of the pool for reading lists. Whoever waits is asked platform by
    platform, and within a platform lane by lane: the thousandth message of one is behind the first
    of every other.
    """

    def __init__(self, places: int, each: int | None = None) -> None:
        spare = max(1, int(places * _SPARE))
        self._places = places
        self._each = each or max(1, places - spare)
        self._bulk_of_one = max(1, self._each - 1)
        self._reads = max(1, places - spare)
        self._reads_of_one = max(1, places // 2)
        self._taken = 0
        self._of_platform: dict[int, int] = {}
        self._bulk: dict[int, int] = {}
        self._reading: dict[int, int] = {}
        self._all_reading = 0
        self._waiting: dict[int, dict[Lane, deque[asyncio.Future[None]]]] = {}

    def take(self, whose: Behalf) -> "asyncio.Future[None] | None":
        """None when the place is free at once; otherwise the future to `wait` for."""
        if self._may_begin(whose):
            self._begin(whose)
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lanes = self._waiting.setdefault(whose.platform, {})
        lanes.setdefault(whose.lane, deque()).append(turn)
        return turn

    async def wait(self, turn: "asyncio.Future[None]", whose: Behalf) -> None:
        """Wait for the turn, without holding a thread."""
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(whose)  # The turn came just now.
            raise

    def give_back(self, whose: Behalf) -> None:
        """Give a thread back, and let the next ones begin."""
        platform = whose.platform
        self._taken -= 1
        _one_less(self._of_platform, platform)
        if whose.lane in _BULK:
            _one_less(self._bulk, platform)
        if whose.lane is Lane.READ:
            self._all_reading -= 1
            _one_less(self._reading, platform)
        while self._waiting and self._taken < self._places and self._let_one_begin():
            pass

    def _may_begin(self, whose: Behalf) -> bool:
        if self._taken >= self._places:
            return False
        platform = whose.platform
        if self._of_platform.get(platform, 0) >= self._each:
            return False
        if whose.lane in _BULK and self._bulk.get(platform, 0) >= self._bulk_of_one:
            return False
        return whose.lane is not Lane.READ or (
            self._all_reading < self._reads and self._reading.get(platform, 0) < self._reads_of_one
        )

    def _begin(self, whose: Behalf) -> None:
        platform = whose.platform
        self._taken += 1
        self._of_platform[platform] = self._of_platform.get(platform, 0) + 1
        if whose.lane in _BULK:
            self._bulk[platform] = self._bulk.get(platform, 0) + 1
        if whose.lane is Lane.READ:
            self._all_reading += 1
            self._reading[platform] = self._reading.get(platform, 0) + 1

    def _let_one_begin(self) -> bool:
        """The first that may; its platform and its lane are the last ones to be asked again."""
        for platform, lanes in self._waiting.items():
            for lane, turns in lanes.items():
                whose = Behalf(platform, lane)
                while turns and turns[0].done():
                    turns.popleft()  # The one that waited has gone.
                if turns and not self._may_begin(whose):
                    continue
                del lanes[lane]
                turn = turns.popleft() if turns else None
                if turns:
                    lanes[lane] = turns
                del self._waiting[platform]
                if lanes:
                    self._waiting[platform] = lanes
                if turn is not None:
                    self._begin(whose)
                    turn.set_result(None)
                return True
        return False


def _one_less(counts: dict[int, int], key: int) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
