"""What embedded PostgreSQL and Valkey have in common: a folder, a port, a password, a process."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from stack import folder as data
from stack.errors import SetupError
from stack.processes import Child, Sink, end_left_behind, keep_quiet, stop

READY_SECONDS = 300  # PostgreSQL may have to recover first


class Service(ABC):
    """A server on 127.0.0.1 in a folder of its own, for the runner and for tests."""

    title: ClassVar[str]

    def __init__(self, folder: Path, *, durable: bool = True, sink: Sink = keep_quiet) -> None:
        self.folder = folder.resolve()
        self.durable = durable
        self.sink = sink
        self.password = ""
        self.port = 0
        self.child: Child | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it, with its password."""

    @abstractmethod
    def prepare(self) -> None:
        """Whatever has to be on disk before the process starts."""

    @abstractmethod
    def make_child(self) -> Child:
        """The process, listening on `port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it lets clients in."""

    def start(self) -> str:
        """Start it, wait until it answers, and say its URL."""
        data.make(self.folder)
        self.password = data.password(self.folder)
        end_left_behind(self.working_folder)
        self.prepare()
        return self._launch(tries=5)

    def _launch(self, tries: int) -> str:
        self.port = data.port(self.folder)
        self.child = self.make_child()
        self.child.start()
        if self._await_ready(self.child):
            return self.url
        if tries > 1 and "ddress already in use" in "".join(self.child.tail):
            return self._launch(tries - 1)  # somebody was faster
        words = self.child.last_words()
        raise SetupError(f"{self.title} did not start in {self.folder}: {words}")

    @property
    def working_folder(self) -> Path:
        """The current directory of its processes, by which a killed runner's are found."""
        return self.folder

    def _await_ready(self, child: Child) -> bool:
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit:
            if child.wait(0.02):
                return False
            if self.is_ready():
                return True
        stop([child])
        raise SetupError(f"{self.title} in {self.folder} was not ready within {READY_SECONDS} s")

    def stop(self, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Stop it in order, or by force when it does not listen."""
        if self.child:
            stop([self.child], is_hurried)
