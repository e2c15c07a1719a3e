"""Log lines: whatever others wrote stays within its line; and one system call for many of them."""

import logging
import threading
import time
from typing import Any, Final

SECONDS = 0.2
# What a message says; a stranger's may be as long as an answer can be.
LONGEST = 4_000


def escaped(text: str) -> str:
    """What cannot be printed, as Python writes it: line breaks, terminal commands, hidden marks."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


class Line(logging.Formatter):
    """One line for each record; those of a traceback cannot be taken for another record's."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line itself."""
        text = super().formatMessage(record)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}… ({len(text)} characters)"
        return escaped(text)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Its text may quote what others wrote, line breaks and all."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Likewise."""
        return _indented(super().formatStack(stack_info))


# What no line of ours shows of it.
_NOTHING_MORE: Final = logging.makeLogRecord(
    {"levelno": logging.INFO, "levelname": "INFO"}
).__dict__


def tell(logger: logging.Logger, message: str, *arguments: object) -> None:
    """`logger.info`, for what is told of each message: for a record's bare bones."""
    if logger.isEnabledFor(logging.INFO):
        record = logging.LogRecord.__new__(logging.LogRecord)
        created = time.time()
        more = {"name": logger.name, "msg": message, "args": arguments, "created": created}
        record.__dict__ = {**_NOTHING_MORE, **more, "msecs": created % 1 * 1000}
        logger.handle(record)


def _indented(text: str) -> str:
    return "\n".join(f"    | {escaped(line)}" for line in text.split("\n"))


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
