"""A few threads that outlive their work, each with its database connection."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from django.db import connection

from hub.db.django_threads import look_at_connection
from hub.deviations import noting
from hub.startup import log

logger = logging.getLogger(__name__)


class Threads:
    """Threads that start when needed, and end with the process, whose leases end soon after."""

    def __init__(self, name: str, most: int, ended: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._most = most
        self._ended = ended
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    @property
    def free(self) -> int:
        """How many more threads may be begun now."""
        with self._lock:
            return self._most - self._busy

    def begin(self, work: Callable[[], None]) -> None:
        """Do the work on a thread of its own; `ended` is called after it."""
        with self._lock:
            self._busy += 1
            if len(self._threads) < self._busy:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._work.put(work)

    def join(self, seconds: float) -> None:
        """Wait for what is under way; threads that take longer are left behind."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(seconds / max(1, len(self._threads)))

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            look_at_connection()
            log.taken_over()
            try:
                work()
                noting.flush()
            except Exception:
                # The boundary of what a worker does: its row says what becomes of it.
                logger.exception("%s failed", self._name)
            with self._lock:
                self._busy -= 1
            self._ended()
        connection.close()
