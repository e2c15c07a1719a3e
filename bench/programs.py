"""Programs under measurement: on which core they run, what they cost, how they end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from stack.processes import launched
from stack.serve import WEB, listen

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 300
_TICKS = os.sysconf("SC_CLK_TCK")
_CORES = sorted(os.sched_getaffinity(0))
# What is measured has a core of its own; load and receivers share the other one.
MEASURED_CORE, OTHER_CORE = _CORES[0], _CORES[-1]


class DidNotStart(Exception):
    """A program ended, or did not listen in time; the message ends with its last line."""


class Program:
    """One process with its output in a file; stopped by its own id when the block ends."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        core: int | None = None,
        listening: socket.socket | None = None,
        checkout: Path = PROJECT,
    ) -> None:
        self.name = name
        self.output = folder / f"{name}.log"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
                launched(command, signal.SIGKILL),
                cwd=checkout,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[listening.fileno()] if listening else [],
            )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return

    def await_line(self, text: str) -> None:
        """Wait until its output contains `text`."""
        limit = time.monotonic() + START_SECONDS
        while text not in self.output.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > limit:
                raise DidNotStart(f"{self.name}: {self.last_line()}")
            time.sleep(0.05)

    def last_line(self) -> str:
        """What it said last."""
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no output"

    def cpu_seconds(self) -> float:
        """User and system time so far (proc(5), stat: utime and stime)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def family(self) -> dict[int, int]:
        """All processes below it that live now, and itself: process id and CPU ticks."""
        return _family(self._process.pid)

    def family_cpu_seconds(self) -> float:
        """The same with all processes below it that live now."""
        return sum(self.family().values()) / _TICKS

    def forget_peak(self) -> None:
        """Begin to count its memory anew (proc(5), clear_refs)."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def peak_megabytes(self) -> float:
        """The most memory that it has held (VmHWM)."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise DidNotStart(f"{self.name} has ended: {self.last_line()}")


def cpu_of_family(process: int) -> float:
    """User and system seconds of a process, of those below it, and of those that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    ended = int(fields[13]) + int(fields[14])
    return (sum(_family(process).values()) + ended) / _TICKS


def _family(process: int) -> dict[int, int]:
    parents, used = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            fields = entry.read_text().rpartition(")")[2].split()
            pid = int(entry.parent.name)
            parents[pid], used[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    family, grew = {process}, True
    while grew:
        members = {pid for pid, parent in parents.items() if parent in family}
        grew = not members <= family
        family |= members
    return {pid: used.get(pid, 0) for pid in family}


def web_command(checkout: Path) -> list[str]:
    """A web process of a checkout; older ones have their HTTP server in a file of another name."""
    former = "hub" + ".answers:Protocol"
    is_older = (checkout / "hub" / "answers.py").exists()
    return [former if is_older and part.endswith(":Protocol") else part for part in WEB]


@contextmanager
def served(
    application: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    name: str = "",
    *,
    like_hub: bool = False,
) -> Iterator[tuple[Program, int]]:
    """An ASGI application on the runner's own socket under its uvicorn command, and its port.

    All but the hub, and what is started `like_hub`, have a stock uvicorn.
    """
    with listen("127.0.0.1", 0) as listening:
        port: int = listening.getsockname()[1]
        other = {
            "hub.asgi:application": application,
            "hub.gateway.http_server:Protocol": "httptools",
        }
        if application in other:
            other = {}
        elif like_hub:
            other = {"hub.asgi:application": application}
        arguments = [other.get(part, part) for part in WEB]
        program = Program(
            name or application.partition(":")[0],
            [sys.executable, *arguments, str(listening.fileno())],
            folder,
            env={**(env or {}), "PORT": str(port), "FLEXHUB_WORKER": "web-1"},
            core=MEASURED_CORE,
            listening=listening,
        )
        with program:
            yield program, port


def run_to_end(env: dict[str, str], *arguments: str, told: str = "") -> str:
    """Run one of the hub's own commands to its end; what it wrote."""
    done = subprocess.run(  # noqa: S603 - our own commands, no shell
        [sys.executable, *arguments],
        env={**os.environ, **env},
        cwd=PROJECT,
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def free_port() -> int:
    """A port that is free now, for programs that cannot be handed a socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def load_average() -> float:
    """The machine's load over the last minute: other work blurs what is measured."""
    return os.getloadavg()[0]


def results_file(name: str, given: Path | None) -> Path:
    """Where the figures behind a table go."""
    data = Path(os.environ.get("FLEXHUB_DATA") or PROJECT / ".data")
    return (given or data / f"bench-{name}.json").resolve()
