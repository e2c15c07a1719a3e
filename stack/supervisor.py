"""Starts children again that end while they should run."""

import contextlib
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from stack.processes import Child, log

FIRST_DELAY = 0.25
LONGEST_DELAY = 30.0
WELL_AFTER = 10.0  # seconds without an end, then the next delay is the first one again


class Supervisor:
    """Minds the children until an exception, usually a signal's, ends it."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self.failures = dict.fromkeys(children, 0)
        self.due: dict[Child, float] = {}

    def run(self) -> None:
        ended: SimpleQueue[Child] = SimpleQueue()
        for child in self.children:
            child.ended = ended
        while True:
            for child in self.children:
                self._mind(child, time.monotonic())
            wait = min([1.0, *(moment - time.monotonic() for moment in self.due.values())])
            with contextlib.suppress(Empty):
                ended.get(timeout=max(wait, 0))

    def _mind(self, child: Child, now: float) -> None:
        if child in self.due:
            if now >= self.due[child]:
                del self.due[child]
                self._start(child)
        elif not child.is_running:
            self._plan(child, f"ended ({child.end_reason})", now)
        elif now - child.started_at > WELL_AFTER:
            self.failures[child] = 0

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:  # no memory, no process number: may pass
            self._plan(child, f"could not be started ({error.strerror})", time.monotonic())

    def _plan(self, child: Child, what: str, now: float) -> None:
        delay = min(FIRST_DELAY * 2 ** self.failures[child], LONGEST_DELAY)
        self.failures[child] += 1
        self.due[child] = now + delay
        log("runner", f"{child.name} {what}, starting it again in {delay:g} s")
