"""What waits for one receiver: a lane for each module, in order for each object."""

from collections.abc import Collection, Set
from dataclasses import dataclass, field
from math import inf
from typing import Final

from hub.deliveries.breaker import STRIKES, Breaker, Rate
from hub.deliveries.rows import Key, LaneRoom, Waiting

# A lane asks for more when it holds no more than this.
FEW: Final = 10


@dataclass(slots=True, eq=False)
class Item:
    """The rows of one object, or the messages of one ordering key, that a lane holds."""

    key: Key
    ids: set[int] = field(default_factory=set)
    is_urgent: bool = False
    # Of its last call: how often in a row nobody answered, and when it may be tried again.
    failures: int = 0
    due: float = -inf
    # What its receiver holds is not known: a call may have arrived, or still may, or another one
    # has told it something beside a call.
    is_unsure: bool = False


class Bodies:
    """Bytes of the bodies that are on their way, beyond which no more are read.

    Half of `most` may go to whoever comes; of the other half each receiver has its even part, so
    that one that takes its time over long ones stalls nobody else.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._sum = 0
        self._of: dict[int, int] = {}

    def has_room(self, receiver: int) -> bool:
        """Whether another one may be read for it."""
        held = self._of.get(receiver)
        if held is None or self._sum < self._half:
            return True
        return held < self._half // len(self._of)

    def add(self, receiver: int, size: int) -> None:
        """One leaves."""
        self._sum += size
        self._of[receiver] = self._of.get(receiver, 0) + size

    def remove(self, receiver: int, size: int) -> None:
        """One has arrived, or not."""
        self._sum -= size
        left = self._of.pop(receiver, 0) - size
        if left > 0:
            self._of[receiver] = left


class ReceiverLane:
    """What waits of one module for one receiver; at most `limit` objects are on their way."""

    def __init__(self, platform_id: int, module: str, limit: int, rate: Rate) -> None:
        self.platform_id = platform_id
        self.module = module
        self.breaker = Breaker()
        # Calls that are open; of these objects, and of those whose end is still to be written,
        # nothing else is begun.
        self.calls = 0
        # Rows in memory: no claim need find them. A module has marks or messages, never both.
        self.held: set[int] = set()
        self._urgent: set[int] = set()
        self.has_messages = False
        # More waits in the database than was taken.
        self.has_more = False
        self._limit = limit
        self._width = float(limit)
        self._rate = rate
        self._items: dict[Key, Item] = {}
        self._open: set[Key] = set()
        # With something to send now, in the order in which they became so: urgent ones, others,
        # and those that failed again and again.
        self._ready: tuple[dict[Key, Item], ...] = ({}, {}, {})

    @property
    def wants_more(self) -> bool:
        """Whether only others' calls keep it from another one of its own."""
        return any(self._ready) and self.calls < int(self._width)

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing at all."""
        return not self.held and not self._open

    def room(self, most: int) -> tuple[LaneRoom, Collection[int]]:
        """What it takes of what waits, where it may hold so many; and which rows it has of that.

        More of everything when it holds no more than a quarter, since each look passes over that.
        Else a few of what is urgent: that is not to wait until a slow receiver has been told most
        of the rest.
        """
        if len(self.held) <= max(FEW, most // 4):
            return LaneRoom(most - len(self.held)), self.held
        rows = 0 if self.has_messages else max(0, FEW - len(self._urgent))
        return LaneRoom(rows, priority=0), self._urgent

    def narrow(self) -> None:
        """The receiver has had too much: half as many at once."""
        self._width = max(1.0, self._width / 2)

    def widen(self) -> None:
        """It has taken something: a little more."""
        self._width = min(float(self._limit), self._width + 0.1)

    def add(self, row: Waiting, *, is_unsure: bool = False) -> None:
        """Take a row over from the database."""
        self.held.add(row.id)
        if row.is_urgent:
            self._urgent.add(row.id)
        self.has_messages = row.key.is_message
        item = self._items.get(row.key)
        if item is None:
            item = self._items[row.key] = Item(row.key)
        item.ids.add(row.id)
        item.is_urgent |= row.is_urgent
        item.is_unsure |= is_unsure
        if row.key not in self._open:
            self._make_ready(item)

    def _make_ready(self, item: Item) -> None:
        place = self._place(item)
        for ready in self._ready:
            if ready is not place:
                ready.pop(item.key, None)
        place.setdefault(item.key, item)

    def _place(self, item: Item) -> dict[Key, Item]:
        """Behind all others goes what the receiver may be unable to take whenever it comes."""
        return self._ready[2 if item.failures >= STRIKES else int(not item.is_urgent)]

    def next_item(self, now: float, limit: int) -> Item | float | None:
        """What is to be told next; or when there will be something; or None until it changes."""
        if not any(self._ready) or self.calls >= min(int(self._width), limit):
            return None
        if not self.breaker.admits(now):
            # A probe that is open brings the next change itself.
            return self.breaker.closed_from if self.breaker.closed_from > now else None
        ready_at = self._rate.ready_at(now)
        if ready_at > now:
            return ready_at
        earliest = inf
        for ready in self._ready:
            for key, item in ready.items():
                if item.due <= now:
                    del ready[key]
                    self._open.add(key)
                    self.calls += 1
                    self._rate.spend(now)
                    return item
                earliest = min(earliest, item.due)
        return earliest

    def ended(self, item: Item, done: Set[int] = frozenset()) -> None:
        """Its call has ended, and that is written; `done` need not be told any more.

        Whatever is left goes on; what has been raised meanwhile is found by the next claim.
        """
        self._open.discard(item.key)
        item.ids -= done
        self.held -= done
        self._urgent -= done
        if not item.ids:
            self._items.pop(item.key, None)
        elif 0 < item.failures < STRIKES:
            # What has been tried is tried first: a receiver is judged by one, not by many.
            ready = self._place(item)
            rest = dict(ready)
            ready.clear()
            ready[item.key] = item
            ready.update(rest)
        else:
            self._make_ready(item)

    def drop(self) -> None:
        """Forget what is in no call: its rows have ended."""
        for ready in self._ready:
            for key, item in ready.items():
                self.held -= item.ids
                self._urgent -= item.ids
                self._items.pop(key, None)
            ready.clear()
