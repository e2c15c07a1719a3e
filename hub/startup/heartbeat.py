"""Tells the runner or systemd that a process lives: a beat every ten seconds.

All web processes share one socket, so nobody outside can ask one of them for /livez, and a worker
has none. Each tells it instead, as long as its event loop turns (of a worker its threads and loops:
hub/workers/pulse.py): the runner (stack/supervisor.py) through a pipe, systemd through
sd_notify(3). Whoever misses three beats ends the process.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

logger = logging.getLogger(__name__)
EVERY: Final = 10.0  # seconds
# stack/processes.py, which imports nothing of the hub's, and is not imported here.
PIPE: Final = "FLEXHUB_HEARTBEAT"


class Heartbeat:
    """Nothing when nobody minds."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.every = EVERY
        self._tells: list[Callable[[], None]] = []
        self._notified: socket.socket | None = None
        if pipe := environ.get(PIPE):
            descriptor = int(pipe)
            os.set_blocking(descriptor, False)
            self._tells.append(lambda: _write(descriptor))
        if path := environ.get("NOTIFY_SOCKET"):
            self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._notified.setblocking(False)
            # "@" stands for the NUL of Linux's abstract sockets.
            self._notified.connect(f"\0{path[1:]}" if path.startswith("@") else path)
            if watchdog := environ.get("WATCHDOG_USEC"):
                # systemd ends it after that: three beats within.
                self.every = min(EVERY, int(watchdog) / 1_000_000 / 3)
                self._tells.append(lambda: self._notify(b"WATCHDOG=1"))

    async def beat(self) -> None:
        """Beat until it is cancelled; the first beat says that the process serves."""
        self.begin()
        while self._tells:
            self.tell()
            await asyncio.sleep(self.every)

    def begin(self) -> None:
        """Say that the process serves."""
        self._notify(b"READY=1")

    def tell(self) -> None:
        """One beat; it waits for nobody."""
        for tell in self._tells:
            tell()

    def stop(self) -> None:
        """Say that the process ends, so that nobody minds its silence."""
        self._notify(b"STOPPING=1")
        if self._notified is not None:
            self._notified.close()

    def _notify(self, state: bytes) -> None:
        if self._notified is None:
            return
        try:
            self._notified.send(state)
        except OSError as error:
            logger.warning("systemd could not be told %s: %s", state.decode(), error)


def _write(descriptor: int) -> None:
    # Full: it has been told often enough. Closed: nobody minds any more.
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(descriptor, b".")
