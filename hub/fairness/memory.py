"""Bytes under way: how much memory of a web process the large bodies of one platform may take.

Counted are bodies that come in, and answers until whoever asked has read them. What is SMALL costs
no more than the request around it. An answer is on three accounts: whoever asked for it has so much
in all, whoever gives it has, and half of that what the two have between them, so that neither takes
the other's room for everybody else. What does not fit waits a while; it is not read meanwhile.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from hub.ocpi.errors import TooManyRequests

SMALL: Final = 16_384  # bytes
# Each has one read of its connection in memory already.
_MOST_WAITING: Final = 100
# Ids of platforms: who asks, who answers; 0 for everybody.
Account = tuple[int, int]


class UnderWay:
    """The accounts of one web process; all of it happens in its event loop."""

    def __init__(self) -> None:
        self._taken: dict[Account, int] = {}
        self._waiting: dict[Account, deque[_Turn]] = {}

    def of_sender(self, sender: int) -> "BytesTaken":
        """For what a platform sends, and for what the hub answers it."""
        return BytesTaken(self, sender)

    def of_answer(self, sender: int, receiver: int) -> "BytesTaken":
        """For what a platform is answered by another one."""
        return BytesTaken(self, sender, receiver)

    def full(self, accounts: tuple[Account, ...], more: int) -> Account | None:
        """The first of these accounts that has no room for so much more."""
        for account in accounts:
            if self._taken.get(account, 0) + more > _most(account):
                return account
        return None

    def is_waited_for(self, account: Account) -> bool:
        """Whether others came first."""
        return account in self._waiting

    def take(self, accounts: tuple[Account, ...], more: int) -> None:
        """Book it; negative when it is given back, and others may go on."""
        for account in accounts:
            taken = self._taken.get(account, 0) + more
            if taken:
                self._taken[account] = taken
            else:
                del self._taken[account]
        if more < 0 and self._waiting:
            for account in accounts:
                self._let_go_on(account)

    def queue(self, account: Account, turn: "_Turn") -> None:
        """Wait at a full account; TooManyRequests when many do."""
        waiting = self._waiting.setdefault(account, deque())
        if len(waiting) >= _MOST_WAITING:
            raise _no_room()
        waiting.append(turn)

    def leave(self, turn: "_Turn") -> None:
        """It waits no more."""
        for account in turn.room.accounts:
            waiting = self._waiting.get(account, deque())
            if turn in waiting:
                waiting.remove(turn)
                self._let_go_on(account)

    def _let_go_on(self, account: Account) -> None:
        """Those who wait here, in their order, while there is room."""
        waiting = self._waiting.get(account)
        while waiting:
            turn = waiting[0]
            full = self.full(turn.room.accounts, turn.more)
            if full == account:
                return
            waiting.popleft()
            if full is None:
                turn.room.has_room(turn.more)
                turn.has_come.set_result(None)
            else:
                self._waiting.setdefault(full, deque()).append(turn)
        self._waiting.pop(account, None)


@dataclass(slots=True, eq=False)
class _Turn:
    """A room that waits for so much more."""

    room: "BytesTaken"
    more: int
    has_come: "asyncio.Future[None]"


class BytesTaken:
    """What one body has of its accounts: who asks, and who answers unless it is the hub."""

    __slots__ = ("_of", "_receiver", "_sender", "size")

    def __init__(self, of: UnderWay, sender: int, receiver: int = 0) -> None:
        self._of = of
        self._sender = sender
        self._receiver = receiver
        self.size = 0

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Those that it is on; most bodies are small, and on none."""
        sender, receiver = self._sender, self._receiver
        if not receiver:
            return ((sender, 0),)
        return (sender, receiver), (0, receiver), (sender, 0)

    async def grow(self, size: int) -> None:
        """Have so many bytes in all; waits for WAITING_SECONDS, then TooManyRequests."""
        if size <= SMALL or size <= self.size:
            return
        more, of, accounts = size - self.size, self._of, self.accounts
        full = of.full(accounts, more) or next(filter(of.is_waited_for, accounts), None)
        if full is None:
            self.has_room(more)
            return
        turn = _Turn(self, more, asyncio.get_running_loop().create_future())
        of.queue(full, turn)
        try:
            async with asyncio.timeout(settings.WAITING_SECONDS):
                await turn.has_come
        except TimeoutError as error:
            if turn.has_come.cancelled():
                raise _no_room() from error
            # It came in the same moment.
        finally:
            of.leave(turn)

    def has_room(self, more: int) -> None:
        """There is room: take it."""
        self.size += more
        self._of.take(self.accounts, more)

    def settle(self, size: int) -> None:
        """So many bytes it has become in the end."""
        more = (size if size > SMALL else 0) - self.size
        if more:
            self.has_room(more)

    def give_back(self) -> None:
        """All of it."""
        if self.size:
            self.has_room(-self.size)


def _most(account: Account) -> int:
    most: int = settings.BYTES_PER_PLATFORM
    return most // 2 if all(account) else most


def _no_room() -> TooManyRequests:
    return TooManyRequests(
        f"More than {settings.BYTES_PER_PLATFORM} bytes of large messages and answers are under "
        "way for your platform, or from the one that answers; wait until some have been read.",
        limit="bytes",
    )
