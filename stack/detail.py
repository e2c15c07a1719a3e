"""What the demo says apart: each message in a file, so that its log tells the story alone."""

import contextlib
import os
import re
import threading
from pathlib import Path

from stack import folder as data
from stack.processes import line_of, log

# What processes tell of their ordinary work: the hub's lines at INFO, migrations, PostgreSQL's and
# Valkey's. Whatever is told in another shape, a warning or a traceback, stays on the screen.
_ROUTINE = re.compile(
    r"INFO |LOG: |\d+:[A-Z] .+ [*#] |Operations to perform:|Running migrations:|  App(?:ly|lying) "
)
BIGGEST = 50_000_000  # bytes; then the file begins anew, and one older one is kept


class Detail:
    """Appends routine lines to a file that only its owner may read; shows the others."""

    def __init__(self, file: Path, biggest: int = BIGGEST) -> None:
        self.file = file
        self._biggest = biggest
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._size = 0

    def sink(self, name: str, line: str) -> None:
        """One line of one process."""
        if not (_ROUTINE.match(line) and self._write(f"{line_of(name, line)}\n".encode())):
            log(name, line)

    def _write(self, line: bytes) -> bool:
        # What cannot be written is shown: a full disk loses nobody a line.
        with self._lock, contextlib.suppress(OSError):
            if self._descriptor is None or self._size > self._biggest:
                self._open()
            if self._descriptor is not None:
                self._size += os.write(self._descriptor, line)
                return True
        return False

    def _open(self) -> None:
        data.make(self.file.parent)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self.file.replace(self.file.with_name(f"{self.file.name}.1"))
        self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._descriptor).st_size
