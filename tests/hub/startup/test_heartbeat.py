"""Beats of the event loop: through the runner's pipe, and to systemd (sd_notify(3))."""

import asyncio
import os
import socket
import time
from collections.abc import Mapping

import pytest

from hub.startup.heartbeat import PIPE, Heartbeat
from stack import processes


async def beating(environ: Mapping[str, str], turns: int) -> None:
    """Serve for so many turns of the loop, then stop."""
    heartbeat = Heartbeat(environ)
    task = asyncio.create_task(heartbeat.beat())
    for _ in range(turns):
        await asyncio.sleep(0.01)
    heartbeat.stop()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def told(listening: socket.socket) -> list[bytes]:
    """All that has come."""
    listening.setblocking(False)
    found = []
    try:
        while True:
            found.append(listening.recv(100))
    except BlockingIOError:
        return found


def test_the_runner_and_the_hub_mean_the_same_pipe():
    assert PIPE == processes.HEARTBEAT


def test_who_is_minded_by_nobody_does_nothing():
    asyncio.run(beating({}, 3))


def test_the_pipe_gets_a_byte_at_once():
    read, written = os.pipe()
    asyncio.run(beating({PIPE: str(written)}, 1))
    assert os.read(read, 10) == b"."
    os.close(read)
    os.close(written)


def test_a_full_or_closed_pipe_holds_nothing_up():
    read, written = os.pipe()
    os.set_blocking(written, False)
    assert os.write(written, b"." * 1_000_000) < 1_000_000
    with pytest.raises(BlockingIOError):
        os.write(written, b".")
    asyncio.run(beating({PIPE: str(written)}, 1))
    os.close(read)
    asyncio.run(beating({PIPE: str(written)}, 1))
    os.close(written)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told_that_it_is_ready_lives_and_stops(tmp_path, kind):
    path = str(tmp_path / "notify") if kind == "path" else f"@flexhub-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path.replace("@", "\0"))
        asyncio.run(beating({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000"}, 10))
        found = told(listening)
    assert (found[0], found[-1]) == (b"READY=1", b"STOPPING=1")
    # Every 20 ms of the 60 that it has; at least the first and another one.
    assert len(found) > 3
    assert set(found[1:-1]) == {b"WATCHDOG=1"}


def test_without_a_watchdog_systemd_is_told_no_more_than_ready(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        asyncio.run(beating({"NOTIFY_SOCKET": str(tmp_path / "notify")}, 3))
        assert told(listening) == [b"READY=1", b"STOPPING=1"]


def test_a_loop_that_hangs_beats_no_more(tmp_path):
    """Whatever its threads do: the beat is the loop's own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}

        async def hang() -> None:
            heartbeat = Heartbeat(environ)
            task = asyncio.create_task(heartbeat.beat())
            await asyncio.sleep(0)
            told(listening)
            time.sleep(0.2)  # noqa: ASYNC251 - this is the fault
            assert told(listening) == []
            await asyncio.sleep(0.02)
            assert told(listening)
            heartbeat.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(hang())


def test_a_systemd_that_went_away_is_no_reason_to_fail(tmp_path, caplog):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        heartbeat = Heartbeat({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    asyncio.run(heartbeat.beat())
    assert "systemd could not be told READY=1" in caplog.text
    heartbeat.stop()
