"""Log lines: whatever others wrote stays within its line; and one system call for many of them."""

import json
import logging
import os
import re
import threading
import time
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from hub.ocpi.escaping import escaped

SECONDS = 0.2  # seconds
_SHOWN = re.compile(r"%\((\w+)\)").findall
# What a message says; a stranger's may be as long as an answer can be.
LONGEST = 4_000  # characters


class About(NamedTuple):
    """The message that lines are about: X-Request-ID, where it came in here, and correlation id."""

    request_id: str = ""
    correlation_id: str = ""


_NOTHING: Final = About()
# Kept only while lines tell it (LOG_FORMAT=json): each message would set it for nobody.
_about: ContextVar[About] = ContextVar("about", default=_NOTHING)
_is_kept = False


def about(request_id: str, correlation_id: str) -> None:
    """Lines that this task or thread writes from now on are about this message."""
    if _is_kept:
        _about.set(About(request_id, correlation_id))


def sent(correlation_id: str) -> None:
    """The same of a message that is sent: as a part of the request in hand, where it is one."""
    if _is_kept and _about.get().correlation_id != correlation_id:
        _about.set(About("", correlation_id))


def told_about() -> About:
    """For a thread that takes something over; see `taken_over`."""
    return _about.get() if _is_kept else _NOTHING


def taken_over(what: About = _NOTHING) -> None:
    """A thread begins with something else: nothing, or what was handed to it."""
    if _is_kept:
        _about.set(what)


class Line(logging.Formatter):
    """One line for each record; those of a traceback cannot be taken for another record's.

    One `is_brief` where level, name and message are all that it shows.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        shown = set(_SHOWN(self._fmt or "%(message)s"))
        self.is_brief = shown <= {"levelname", "name", "message"}
        self._around: dict[tuple[str, str], tuple[str, str]] = {}

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line itself."""
        text = super().formatMessage(record)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}… ({len(text)} characters)"
        return escaped(text)

    def brief(self, level: str, name: str, text: str) -> str:
        """The same line of what is not a record."""
        around = self._around.get((level, name))
        if around is None:
            shape = (self._fmt or "%(message)s").replace("%(message)s", "\0")
            before, _, behind = (shape % {"levelname": level, "name": name}).partition("\0")
            around = self._around[level, name] = before, behind
        told = f"{around[0]}{text}{around[1]}"
        if len(told) > LONGEST:
            told = f"{told[:LONGEST]}… ({len(told)} characters)"
        return escaped(told)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Its text may quote what others wrote, line breaks and all."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Likewise."""
        return _indented(super().formatStack(stack_info))


class Json(Line):
    """One JSON object for each record, in one line: for whatever collects logs."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        global _is_kept
        super().__init__(*arguments, **more)
        self.is_brief = False
        self._process = os.environ.get("FLEXHUB_WORKER", "")
        _is_kept = True

    def format(self, record: logging.LogRecord) -> str:
        """Times are UTC; ids are there where a line is about a message."""
        text = record.getMessage()
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)})",
        }
        if self._process:
            told["process"] = self._process
        ids = _about.get()
        if ids.correlation_id:
            told["correlation_id"] = ids.correlation_id
        if ids.request_id:
            told["request_id"] = ids.request_id
        if record.exc_info:
            told["exception"] = logging.Formatter.formatException(self, record.exc_info)
        if record.stack_info:
            told["stack"] = record.stack_info
        # ASCII: what others wrote can break no line, nor what reads it.
        return json.dumps(told)


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

    def tell(self, line: str) -> None:
        """A line as it is written."""
        with self.lock or threading.RLock():
            self._lines.append(line)
            if len(self._lines) == 1:
                self._has_lines.set()

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


def tell(logger: logging.Logger, message: str, *arguments: object) -> None:
    """`logger.info`, for what is told of each message: it makes no record where nobody wants one.

    Whoever else listens, by a handler or a filter of its own, gets one.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    only = _only_handler(logger)
    if only is not None and isinstance(only.formatter, Line) and only.formatter.is_brief:
        only.tell(only.formatter.brief("INFO", logger.name, message % arguments))
    else:
        logger.info(message, *arguments)


def _only_handler(logger: logging.Logger) -> Batches | None:
    """The one that writes all lines, unless anybody else wants to see them."""
    found: logging.Handler | None = None
    asked: logging.Logger | None = None if logger.filters else logger
    while asked is not None:
        if asked.handlers:
            if found is not None or len(asked.handlers) > 1:
                return None
            found = asked.handlers[0]
        asked = asked.parent if asked.propagate else None
    if isinstance(found, Batches) and not found.filters and found.level <= logging.INFO:
        return found
    return None
