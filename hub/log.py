"""Log lines in batches: one system call for many messages, not one for each."""

import logging
import threading

SECONDS = 0.2


class Batches(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes what has gathered every 0.2 s, and at once from WARNING up.

    Each write gives up the interpreter's lock, and getting it back takes its time beside busy
    threads. What a `kill -9` loses of it is a fifth of a second of log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._has_lines = threading.Event()
        threading.Thread(target=self._write_on, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Called with the handler's lock held; nothing that fails here reaches who logs."""
        try:
            self._lines.append(self.format(record))
            if record.levelno >= logging.WARNING:
                self.flush()
            elif len(self._lines) == 1:
                self._has_lines.set()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Also at exit (logging.shutdown)."""
        with self.lock or threading.RLock():
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join([*lines, ""]))
                self.stream.flush()

    def _write_on(self) -> None:
        pause = threading.Event()
        while self._has_lines.wait():
            pause.wait(SECONDS)
            self._has_lines.clear()
            try:
                self.flush()
            except (OSError, ValueError):
                # A full disk, a closed pipe: these lines are lost, as there is nowhere to say so.
                continue
