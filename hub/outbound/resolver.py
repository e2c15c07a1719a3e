"""Names of hosts are looked up here and nowhere else: a name that hangs holds up its own platform.

The system's resolver blocks for half a minute when nobody answers. So a look-up has a thread of its
own, never one of Django's or of an event loop's; each platform has a few of them at a time, what it
asks beyond that waits for these, and nobody else does. Addresses need no look-up and no thread.
"""

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings

from hub.outbound.addresses import literal

# How long a name that was not found is not asked for again.
REMEMBERED_SECONDS: Final = 5.0
_MOST_REMEMBERED: Final = 10_000
# A platform's id; a job's look-ups are on nobody's behalf, there each name is on its own.
Whose = int | str
Answer = list[str] | OSError


def ask_system(host: str) -> list[str]:
    """The addresses of a name, as the machine's own resolver has them; OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(slots=True, eq=False)
class _Question:
    """A name that messages of one platform wait for, however many of them."""

    whose: Whose
    host: str
    # When nobody waits for it any more.
    until: float
    answer: "Future[Answer]" = field(default_factory=Future)

    def __post_init__(self) -> None:
        # Who gives up does not take the answer from the others.
        self.answer.set_running_or_notify_cancel()


class Resolver:
    """One for each process, for event loops and threads alike."""

    def __init__(self, look_up: Callable[[str], list[str]] = ask_system) -> None:
        self.look_up = look_up
        self._lock = threading.Lock()
        self._asked: dict[tuple[Whose, str], _Question] = {}
        self._waiting: dict[Whose, deque[_Question]] = {}
        self._at_work: dict[Whose, int] = {}
        self._failed: dict[str, tuple[float, OSError]] = {}

    async def find(self, host: str, whose: Whose) -> list[str]:
        """The addresses of a host that platform `whose` has named; OSError when it has none.

        The caller bounds the time.
        """
        if (known := literal(host)) is not None:
            return known
        return _said(await asyncio.wrap_future(self._ask(whose, host)))

    def _ask(self, whose: Whose, host: str) -> "Future[Answer]":
        now = time.monotonic()
        until = now + settings.CONNECT_TIMEOUT
        with self._lock:
            if (known := self._asked.get((whose, host))) is not None:
                known.until = until
                return known.answer
            question = _Question(whose, host, until)
            if (failed := self._failed.get(host)) is not None and failed[0] > now:
                question.answer.set_result(failed[1])
                return question.answer
            self._asked[whose, host] = question
            at_work = self._at_work.get(whose, 0)
            if at_work >= settings.NAMES_PER_PLATFORM:
                self._waiting.setdefault(whose, deque()).append(question)
                return question.answer
            self._at_work[whose] = at_work + 1
        threading.Thread(target=self._work, args=(question,), name="resolver", daemon=True).start()
        return question.answer

    def _work(self, first: _Question) -> None:
        """A look-up, and then those that have waited for its place."""
        question: _Question | None = first
        while question is not None:
            try:
                answer: Answer = self.look_up(question.host)
            except OSError as error:
                answer = error
            question = self._ended(question, answer)

    def _ended(self, question: _Question, answer: Answer) -> _Question | None:
        now = time.monotonic()
        with self._lock:
            del self._asked[question.whose, question.host]
            if isinstance(answer, OSError):
                self._remember(question.host, answer, now)
            given_up, following = self._following(question.whose, now)
        question.answer.set_result(answer)
        for one in given_up:
            one.answer.set_result(_not_in_time())
        return following

    def _following(self, whose: Whose, now: float) -> tuple[list[_Question], _Question | None]:
        """Those that nobody waits for any more, and the first that somebody does."""
        waiting = self._waiting.get(whose, deque())
        given_up: list[_Question] = []
        while waiting:
            one = waiting.popleft()
            if one.until > now:
                return given_up, one
            del self._asked[whose, one.host]
            given_up.append(one)
        self._waiting.pop(whose, None)
        left = self._at_work.pop(whose) - 1
        if left:
            self._at_work[whose] = left
        return given_up, None

    def _remember(self, host: str, failure: OSError, now: float) -> None:
        if len(self._failed) >= _MOST_REMEMBERED:
            self._failed = {name: one for name, one in self._failed.items() if one[0] > now}
        if len(self._failed) < _MOST_REMEMBERED:
            self._failed[host] = (now + REMEMBERED_SECONDS, failure)


def _not_in_time() -> OSError:
    return socket.gaierror(socket.EAI_AGAIN, "its name was not resolved in time")


def _said(answer: Answer) -> list[str]:
    """An error is raised anew: several may have waited for it."""
    if not isinstance(answer, OSError):
        return answer
    kind = socket.gaierror if isinstance(answer, socket.gaierror) else OSError
    raise kind(*answer.args) from answer


resolver = Resolver()
