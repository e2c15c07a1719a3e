"""Log lines: foreign text stays within its line; what cannot be written never piles up."""

import io
import logging
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from hub.ocpi.escaping import escaped
from hub.startup import log
from hub.startup.log import LONGEST, Batches, Line
from tests.hub.strangers import until


class Broken(io.StringIO):
    """A full disk, for a while."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def _logging_to(stream: io.StringIO) -> logging.Logger:
    handler = Batches()
    handler.setStream(stream)
    logger = logging.Logger("tests.log")  # noqa: LOG001 - apart from all others
    logger.addHandler(handler)
    return logger


def test_who_logs_does_not_hear_of_a_full_disk_nor_of_a_wrong_line(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream = Broken()
    logger = _logging_to(stream)
    logger.warning("not written")
    logger.info("%s and %s", "one only")
    stream.is_full = False
    logger.warning("written")
    assert stream.getvalue() == "written\n"


def test_lines_are_written_again_when_there_is_room():
    stream = Broken()
    logger = _logging_to(stream)
    handler = logger.handlers[0]
    assert isinstance(handler, Batches)
    logger.info("lost")
    until(lambda: not handler._lines)
    stream.is_full = False

    def is_written() -> bool:
        logger.info("kept")
        return "kept" in stream.getvalue()

    until(is_written)
    assert "lost" not in stream.getvalue()


# --- Foreign text ---------------------------------------------------------------------------------

BREAKS = ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"]
COMMANDS = ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\x00", "\x7f", "\b\b\b"]
HIDDEN = ["\u202e", "\u2066", "\u200b", "\ufeff", "\udc80", "\U000e0041"]


def _written(*arguments: object, **more: object) -> str:
    """What the handler writes, with the formatter that the settings name."""
    stream = io.StringIO()
    logger = _logging_to(stream)
    configured: Any = settings.LOGGING["formatters"]["line"]  # type: ignore[index]
    assert configured["class"] == f"{Line.__module__}.{Line.__qualname__}"
    logger.handlers[0].setFormatter(Line(configured["format"]))
    logger.warning(*arguments, **more)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize("odd", BREAKS + COMMANDS + HIDDEN)
def test_foreign_text_stays_on_one_line_and_can_be_read(odd):
    line = _written("from %s: %s", "NL-ABC", f"before{odd}WARNING hub.messages forged")
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert "before" + ascii(odd)[1:-1] + "WARNING" in line


def test_printable_text_of_any_language_is_left_alone():
    for text in ("Straße 1, Zürich", "北京", "a\\nb", "é", "100 %"):
        assert _written("%s", text) == f"WARNING tests.log {text}\n"
        assert escaped(text) is text


def test_a_traceback_cannot_be_taken_for_lines_of_its_own():
    try:
        raise ValueError("spoiled\nINFO    hub.messages forged\x1b[2J\rforged")
    except ValueError:
        lines = _written("failed", exc_info=True).splitlines()
    assert lines[0] == "WARNING tests.log failed"
    assert len(lines) > 3
    assert all(line.startswith("    | ") for line in lines[1:])
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == "    | INFO    hub.messages forged\\x1b[2J\\rforged"


def test_a_stack_is_indented_too():
    lines = _written("here", stack_info=True).splitlines()
    assert all(line.startswith("    | ") for line in lines[1:])


def test_a_line_has_an_end_however_long_the_text():
    line = _written("%s", "x" * 1_000_000)
    assert len(line) < LONGEST + 100
    assert "1000018 characters" in line


def test_the_servers_own_lines_go_the_same_way():
    """uvicorn sets handlers of its own before it loads the application."""
    program = """
import logging, os, django, uvicorn
uvicorn.Config("hub.asgi:application", log_level="warning")
os.environ["DJANGO_SETTINGS_MODULE"] = "hub.settings"
django.setup()
logging.getLogger("uvicorn.error").error("odd\\nforged")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "ERROR   uvicorn.error odd\\nforged\n"


def test_what_is_told_of_each_message_is_the_line_that_a_record_makes():
    stream = io.StringIO()
    logger = _logging_to(stream)
    handler = logger.handlers[0]
    handler.setFormatter(Line("%(levelname)-7s %(name)s %(message)s"))
    heard: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    for arguments in (("a\nb", 1), ("\u202e" + "x" * LONGEST, 2)):
        log.tell(logger, "%s and %d", *arguments)
        logger.info("%s and %d", *arguments)
    handler.flush()
    lines = stream.getvalue().splitlines()
    assert lines[0] == lines[1] == "INFO    tests.log a\\nb and 1"
    assert lines[2] == lines[3]
    logger.addHandler(Listening())
    log.tell(logger, "%s", "seen")
    assert heard == ["seen"]
    handler.flush()
    assert stream.getvalue().splitlines()[4:] == ["INFO    tests.log seen"]
    quiet = _logging_to(stream)
    quiet.setLevel(logging.WARNING)
    log.tell(quiet, "%s", "not seen")
    quiet.handlers[0].flush()
    assert "not seen" not in stream.getvalue()
