"""Whether the threads and event loops of a worker go on: what its watchdog is told.

Each says that it turned. One that has not for `HUNG_AFTER` hangs; its process is ended then by
whoever minds it (stack/supervisor.py, systemd), and its leases end by themselves.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hub.startup.heartbeat import Heartbeat

logger = logging.getLogger(__name__)
# Beyond every limit of a wait that is in order: a statement (60 s), a database that is gone (25 s).
HUNG_AFTER: Final = 120.0  # seconds
_NOTE_EVERY: Final = 2.0  # seconds


class Pulse:
    """Who has turned when, by names."""

    def __init__(self, hung_after: float = HUNG_AFTER) -> None:
        self._hung_after = hung_after
        self._turned: dict[str, float] = {}
        self._told: set[str] = set()

    def turned(self, name: str) -> None:
        """From the thread itself, each time that it has come round."""
        self._turned[name] = time.monotonic()
        self._told.discard(name)

    def ended(self, name: str) -> None:
        """It ends in order, or begins anew: nothing is expected of it meanwhile."""
        self._turned.pop(name, None)

    @contextmanager
    def of_this_loop(self, name: str) -> Iterator[None]:
        """Note while the block lasts that the running event loop turns."""
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle | None = None

        def note() -> None:
            nonlocal handle
            self.turned(name)
            handle = loop.call_later(_NOTE_EVERY, note)

        note()
        try:
            yield
        finally:
            if handle is not None:
                handle.cancel()
            self.ended(name)

    def hung(self) -> list[str]:
        """Those that have not turned for too long."""
        now = time.monotonic()
        return [name for name, at in list(self._turned.items()) if now - at > self._hung_after]

    def beat(self, heartbeat: Heartbeat, is_stopping: threading.Event) -> None:
        """Tell who minds this process that it works, as long as all of it does; a thread's work."""
        heartbeat.begin()
        while True:
            if hung := self.hung():
                for name in sorted(set(hung) - self._told):
                    logger.error("%s hangs: this process has to be started again", name)
                self._told.update(hung)
            else:
                heartbeat.tell()
            if is_stopping.wait(heartbeat.every):
                heartbeat.stop()
                return


# Of this process.
pulse: Final = Pulse()
