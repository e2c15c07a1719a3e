"""Log lines in batches: what cannot be written never reaches who logs, and never piles up."""

import io
import logging

from hub.log import Batches
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
