"""The supervisor: whoever beats and stops beating is ended and started again; nobody else is."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from stack.processes import HEARTBEAT, Child, stop
from stack.serve import web_process
from stack.supervisor import Patience, Supervisor

SECONDS = 60
BEAT = f"import os, time\nbeat = lambda: os.write(int(os.environ[{HEARTBEAT!r}]), b'.')\n"
LIVES = BEAT + "while True:\n    beat()\n    time.sleep(0.05)\n"
HANGS = BEAT + "def where_it_hangs():\n    while True:\n        pass\nbeat()\nwhere_it_hangs()\n"
NEVER = BEAT + "time.sleep(1000)\n"
PATIENCE = Patience(silent=1.5, starting=60)


class Enough(Exception):
    """The test has seen what it waits for."""


@contextmanager
def supervised(*children: Child, patience: Patience = PATIENCE) -> Iterator[Callable]:
    """Within the block, `until` supervises in this thread until its predicate holds."""

    def enough(*_: object) -> None:
        raise Enough

    before = signal.signal(signal.SIGUSR1, enough)
    supervisor = Supervisor(children, patience)

    def until(predicate: Callable[[], object]) -> None:
        def look() -> None:
            deadline = time.monotonic() + SECONDS
            while not predicate() and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGUSR1)

        looking = threading.Thread(target=look)
        looking.start()
        with pytest.raises(Enough):
            supervisor.run()
        looking.join()
        assert predicate()

    try:
        for child in children:
            child.start()
        yield until
    finally:
        signal.signal(signal.SIGUSR1, before)
        for child in children:
            child.send(signal.SIGCONT)
        stop(children)


def child(program: str, **more) -> Child:
    env = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    lines: list[str] = []
    made = Child(
        "child",
        [sys.executable, "-c", program],
        env=env,
        grace=1,
        sink=lambda _, line: lines.append(line),
        **{"beats": True, **more},
    )
    made.lines = lines  # type: ignore[attr-defined]
    return made


def lasts(patience: Patience = PATIENCE) -> Callable[[], bool]:
    """Whether so much time has passed that a silence would be noticed."""
    started = time.monotonic()
    return lambda: time.monotonic() - started > 1.5 * patience.silent


def test_who_beats_is_left_alone_and_so_is_who_never_promised_to():
    living, quiet = child(LIVES), child("import time; time.sleep(1000)", beats=False)
    # A busy machine may let it be silent for a while.
    patience = Patience(silent=4, starting=60)
    with supervised(living, quiet, patience=patience) as until:
        pids = living.pid, quiet.pid
        until(lasts(patience))
        assert (living.pid, quiet.pid) == pids


def test_who_hangs_is_ended_with_a_traceback_and_started_again(capfd):
    hanging = child(HANGS)
    with supervised(hanging) as until:
        first = hanging.pid
        until(lambda: hanging.pid != first)
    told = "\n".join(hanging.lines)
    assert "Fatal Python error: Aborted" in told
    assert "where_it_hangs" in told
    output = capfd.readouterr().out
    assert "child has not answered for" in output
    assert "child ended (SIGABRT), starting it again" in output


def test_who_is_stopped_is_killed_and_started_again(capfd):
    """It hears no signal but one."""
    stopped = child(LIVES)
    with supervised(stopped) as until:
        first = stopped.pid
        until(lambda: stopped.lines or time.monotonic() - stopped.started_at > 1)
        stopped.send(signal.SIGSTOP)
        until(lambda: stopped.pid != first)
    assert "child ended (SIGKILL), starting it again" in capfd.readouterr().out


def test_a_start_may_take_longer_than_a_silence(capfd):
    starting = child(NEVER)
    with supervised(starting) as until:
        first = starting.pid
        until(lasts())
        assert starting.pid == first
    with supervised(starting, patience=Patience(silent=60, starting=1)) as until:
        first = starting.pid
        until(lambda: starting.pid != first)


def test_a_new_process_has_a_pipe_of_its_own():
    """What the former one had still to say is not taken for its word."""
    one = child(NEVER.replace("time.sleep", "beat(); time.sleep"))
    with supervised(one) as until:
        until(lambda: time.monotonic() - one.started_at > 1)
        one.send(signal.SIGKILL)
        assert one.wait(SECONDS)
        one.command = [sys.executable, "-c", NEVER]
        one.start()
        assert not one.has_beaten()


def test_web_processes_promise_to_beat(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = web_process("web-1", listener, {}, tmp_path)
    assert made.beats
    assert made.env is not None
    assert made.env["PYTHONFAULTHANDLER"] == "1"
