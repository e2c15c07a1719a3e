"""Starts children again that end while they should run, or that live no more though they run."""

import contextlib
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from stack.processes import INSIST_SECONDS, Child, log

FIRST_DELAY = 0.25  # seconds
LONGEST_DELAY = 30.0  # seconds
WELL_AFTER = 10.0  # seconds without an end, then the next delay is the first one again
TURN = 1.0  # seconds


@dataclass(frozen=True)
class Patience:
    """How long a child may be silent, in seconds: since its last beat, and until its first one.

    A web process beats every 10 s (hub/startup/heartbeat.py): three are missed. Its start loads a
    lot.
    """

    silent: float = 30.0
    starting: float = 90.0


class Supervisor:
    """Minds the children until an exception, usually a signal's, ends it."""

    def __init__(self, children: Sequence[Child], patience: Patience = Patience()) -> None:
        self.children = children
        self.patience = patience
        self.failures = dict.fromkeys(children, 0)
        self.due: dict[Child, float] = {}
        # For children that beat: since when they are silent, and whether they have begun to beat.
        self.silent: dict[Child, float] = {}
        self.begun: dict[Child, bool] = {}

    def run(self) -> None:
        """Look at each of them about once a second, and at once when one ends."""
        ended: SimpleQueue[Child] = SimpleQueue()
        for child in self.children:
            child.ended = ended
        before = time.monotonic()
        while True:
            now = time.monotonic()
            # Whoever stopped us may have stopped them as well: that time does not count.
            passed, before = min(now - before, 2 * TURN), now
            for child in self.children:
                self._mind(child, now)
                if child.beats and child not in self.due and child.is_running:
                    self._listen(child, passed)
            wait = min([TURN, *(moment - time.monotonic() for moment in self.due.values())])
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

    def _listen(self, child: Child, passed: float) -> None:
        if child.has_beaten():
            self.silent[child], self.begun[child] = 0.0, True
            return
        self.silent[child] = self.silent.get(child, 0.0) + passed
        has_begun = self.begun.get(child, False)
        if self.silent[child] > (self.patience.silent if has_begun else self.patience.starting):
            log(
                "runner", f"{child.name} has not answered for {self.silent[child]:.0f} s, ending it"
            )
            # With a traceback of where it hangs (faulthandler), if it still can.
            child.send(signal.SIGABRT)
            if not child.wait(INSIST_SECONDS):
                child.send(signal.SIGKILL)
                child.wait(INSIST_SECONDS)

    def _start(self, child: Child) -> None:
        self.silent[child], self.begun[child] = 0.0, False
        try:
            child.start()
        except OSError as error:  # no memory, no process number: may pass
            self._plan(child, f"could not be started ({error.strerror})", time.monotonic())

    def _plan(self, child: Child, what: str, now: float) -> None:
        delay = min(FIRST_DELAY * 2 ** self.failures[child], LONGEST_DELAY)
        self.failures[child] += 1
        self.due[child] = now + delay
        log("runner", f"{child.name} {what}, starting it again in {delay:g} s")
