"""What waits for one receiver: in order for each object, several objects at once."""

from bisect import insort
from math import inf
from operator import attrgetter
from typing import Final

from hub.drains.breaker import Breaker, Rate
from hub.drains.merging import Call, Push, calls_for

_by_id = attrgetter("id")
# Of one object's rows that wait, so many are looked at together.
MERGED_AT_MOST: Final = 32


class Lanes:
    """The rows of one receiver that a drain holds, by ordering key.

    Each key has at most one open call; `limit` keys may have one at the same time.
    """

    def __init__(self, limit: int, per_second: float) -> None:
        self._limit = limit
        self._width = float(limit)
        self.breaker = Breaker()
        self.rate = Rate(per_second)
        # Rows in memory, also those whose end is not written yet: no claim need find them.
        self.held: set[int] = set()
        # Of their bodies; a broadcast's counts for each receiver.
        self.bytes = 0
        # More waits in the database than was taken.
        self.has_more = False
        self.given_up_at = -inf
        self._waiting: dict[str, list[Push]] = {}
        self._open: dict[str, Call] = {}
        # Keys with something to send now, in the order in which they became so.
        self._ready: dict[str, None] = {}

    @property
    def open_calls(self) -> int:
        """How many calls have no answer yet."""
        return len(self._open)

    @property
    def wants_more(self) -> bool:
        """Whether only others' calls keep it from another one of its own."""
        return bool(self._ready) and len(self._open) < int(self._width)

    def narrow(self) -> None:
        """The receiver has had too much: half as many lanes."""
        self._width = max(1.0, self._width / 2)

    def widen(self) -> None:
        """It has taken something: a little more."""
        self._width = min(float(self._limit), self._width + 0.1)

    def add(self, push: Push) -> None:
        """Take a row over from the database."""
        self.held.add(push.id)
        self.bytes += len(push.body)
        key = push.ordering_key
        waiting = self._waiting.setdefault(key, [])
        if not waiting or waiting[-1].id < push.id:
            waiting.append(push)
        else:
            insort(waiting, push, key=_by_id)  # Its transaction took longer than a later one's.
        if key not in self._open:
            self._ready[key] = None

    def forget(self, push: Push) -> bool:
        """Its end is written; False when it was forgotten before."""
        if push.id not in self.held:
            return False
        self.held.discard(push.id)
        self.bytes -= len(push.body)
        return True

    def next_call(self, now: float, limit: int) -> Call | float | None:
        """The next call; or when there will be one; or None until something changes."""
        if not self._ready or len(self._open) >= min(int(self._width), limit):
            return None
        if not self.breaker.admits(now):
            # A probe that is open brings the next change itself.
            return self.breaker.closed_from if self.breaker.closed_from > now else None
        ready_at = self.rate.ready_at(now)
        if ready_at > now:
            return ready_at
        earliest: float | None = None
        for key in self._ready:
            waiting = self._waiting[key]
            if waiting[0].due <= now:
                return self._begin(key, waiting, now)
            earliest = waiting[0].due if earliest is None else min(earliest, waiting[0].due)
        return earliest

    def _begin(self, key: str, waiting: list[Push], now: float) -> Call:
        if len(waiting) == 1:
            call = Call(waiting, waiting[0].method, waiting[0].body)
            del self._waiting[key]
        else:
            call = calls_for(waiting[:MERGED_AT_MOST])[0]
            taken = {push.id for push in call.pushes}
            left = [push for push in waiting if push.id not in taken]
            if left:
                self._waiting[key] = left
            else:
                del self._waiting[key]
        del self._ready[key]
        self._open[key] = call
        self.rate.spend(now)
        return call

    def ended(self, call: Call, due: float | None = None) -> None:
        """Its rows are done with; or, with `due`, they wait again, before what waits behind."""
        key = call.last.ordering_key
        del self._open[key]
        if due is None:
            if key in self._waiting:
                self._ready[key] = None
        else:
            for push in call.pushes:
                push.due = due
            self._waiting[key] = sorted([*call.pushes, *self._waiting.get(key, ())], key=_by_id)
            # What has been tried is tried first: a receiver is judged by one row, not by many.
            self._ready = {key: None, **self._ready}

    def drop(self, created_before: float = inf) -> list[Push]:
        """Forget what is in no call, or what of it is that old; returns it."""
        dropped = []
        for key, waiting in list(self._waiting.items()):
            left = [push for push in waiting if push.created >= created_before]
            if len(left) == len(waiting):
                continue
            dropped += [push for push in waiting if push.created < created_before]
            if left:
                self._waiting[key] = left
            else:
                del self._waiting[key]
                self._ready.pop(key, None)
        return dropped
