"""Child processes of the runner: how they start, what they say, how they end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

LAUNCHER = Path(__file__).with_name("child.py")
INSIST_SECONDS = 3
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Names the pipe into which a program writes a byte every few seconds (hub/startup/heartbeat.py).
HEARTBEAT = "FLEXHUB_HEARTBEAT"
# How a line of the hub's begins with LOG_FORMAT=json (hub/startup/log.py).
LINE_OF_LOG = '{"time"'

Sink = Callable[[str, str], None]

_writing = threading.Lock()


def show(text: str) -> None:
    """The one place that writes to standard output."""
    # A terminal that was closed or a broken pipe must not end the supervision.
    with _writing, contextlib.suppress(OSError):
        sys.stdout.buffer.write(f"{text}\n".encode(errors="replace"))
        sys.stdout.buffer.flush()


def line_of(name: str, line: str) -> str:
    """A line of a process as it is shown: when, who, what.

    With LOG_FORMAT=json an object, as those of the hub are already.
    """
    if os.environ.get("LOG_FORMAT") == "json":
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        told = {"time": moment, "level": "INFO", "process": name, "message": line}
        return line if line.startswith(LINE_OF_LOG) else json.dumps(told)
    return f"{time.strftime('%H:%M:%S')} {name:<10}| {line}"


def log(name: str, line: str) -> None:
    """One line of one process."""
    show(line_of(name, line))


def keep_quiet(_name: str, _line: str) -> None:
    """For those who want a child's lines only when it fails (its `tail`)."""


def launched(
    command: Sequence[str], dies_with_us: signal.Signals, as_owner_of: Path | None = None
) -> list[str]:
    """The command with our launcher before it, which ties its life to ours."""
    ours = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), str(int(dies_with_us))]
    return [*ours, str(as_owner_of or ""), *command]


class Child:
    """A program that runs in its own process group, so that Ctrl-C reaches the runner alone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str = "",
        fds: Sequence[int] = (),
        as_owner_of: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        dies_with_runner: signal.Signals = signal.SIGKILL,
        grace: float = 10,
        before_start: Callable[[], None] | None = None,
        beats: bool = False,
        sink: Sink = log,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.env = env
        self.cwd = cwd
        self.stdin = stdin
        self.fds = fds
        self.as_owner_of = as_owner_of
        self.stop_signals = (stop_signal, signal.SIGQUIT, signal.SIGKILL)
        self.dies_with_runner = dies_with_runner
        self.grace = grace
        self.before_start = before_start
        self.beats = beats
        self.sink = sink
        self.tail: deque[str] = deque(maxlen=40)
        self.started_at = 0.0
        self.ended: SimpleQueue[Child] | None = None
        self._pulse: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """From the main thread: Linux ties a child's life to the thread that made it."""
        if self.before_start:
            self.before_start()
        self.tail.clear()
        env, fds = self.env, list(self.fds)
        if self.beats:
            fds.append(self._new_pulse())
            env = {**(os.environ if env is None else env), HEARTBEAT: str(fds[-1])}
        # A signal between the fork and our note of it would leave a child nobody knows of.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the runner's own commands, no shell
                launched(self.command, self.dies_with_runner, self.as_owner_of),
                stdin=subprocess.PIPE if self.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=env,
                pass_fds=fds,
                process_group=0,
            )
            self.started_at = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if self.beats:
                os.close(fds[-1])
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):  # it ended already; its tail says why
                self._process.stdin.write(self.stdin.encode())
                self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _new_pulse(self) -> int:
        """The end of a new pipe that the program writes into."""
        if self._pulse is not None:
            os.close(self._pulse)
        self._pulse, written = os.pipe()
        os.set_blocking(self._pulse, False)
        return written

    def has_beaten(self) -> bool:
        """Whether it has said since the last call that it lives."""
        if self._pulse is None:
            return False
        try:
            return bool(os.read(self._pulse, 4096))
        except BlockingIOError:
            return False

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout:
            with process.stdout:
                for raw in process.stdout:
                    if line := raw.decode(errors="replace").rstrip():
                        self.tail.append(line)
                        self.sink(self.name, line)
        process.wait()
        if self.ended:
            self.ended.put(self)

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs, or when it was never started."""
        return self._process.poll() if self._process else None

    @property
    def end_reason(self) -> str:
        """How it ended, for people."""
        code = self.exit_code or 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it ended within the time; its last lines have been read then."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if self._reader:
            self._reader.join(1)  # a grandchild may hold the pipe open
        return True

    def send(self, number: signal.Signals) -> None:
        """Signal it; SIGKILL goes to its whole group, with whatever it started."""
        if self._process and number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
        elif self._process:
            self._process.send_signal(number)

    def last_words(self) -> str:
        """The line of its output that says most about why it ended."""
        for sign in ("No space left", "quota exceeded", "FATAL", "PANIC", "rror:"):
            for line in reversed(self.tail):
                if sign in line:
                    return line.strip()
        return self.tail[-1].strip() if self.tail else self.end_reason


def stop(children: Iterable[Child], is_hurried: Callable[[], bool] = lambda: False) -> None:
    """End the children together: asked, then told, then killed."""
    running = [child for child in children if child.is_running]
    for step in range(3):
        for child in running:
            if step:
                child.sink(child.name, f"did not stop, sending {child.stop_signals[step].name}")
            child.send(child.stop_signals[step])
        for child in running:
            _await_end(child, INSIST_SECONDS if step else child.grace, is_hurried)
        for child in running:
            if not child.is_running:
                child.send(signal.SIGKILL)  # what it left behind in its group
        running = [child for child in running if child.is_running]
        if not running:
            return


def _await_end(child: Child, seconds: float, is_hurried: Callable[[], bool]) -> None:
    limit = time.monotonic() + seconds
    while not child.wait(0.1) and not is_hurried() and time.monotonic() < limit:
        pass
    child.wait(0.5)  # also in a hurry


def left_behind(folder: Path) -> list[int]:
    """Processes of a killed runner that still work inside the folder (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if (entry / "cwd").readlink() == folder.resolve():
                found.append(int(entry.name))
    return found


def end_left_behind(folder: Path) -> None:
    """They have been told to end by the runner's death: wait for it, then insist."""
    for number, seconds in ((None, 1), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        pids = left_behind(folder)
        for pid in pids if number else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number or 0)
        limit = time.monotonic() + seconds
        while pids and time.monotonic() < limit:
            time.sleep(0.05)  # not our children: there is nothing to wait on but their absence
            pids = left_behind(folder)
        if not pids:
            return
