"""A worker's watchdog: it is told that all works, and nothing while a thread or a loop hangs."""

import asyncio
import os
import threading

import pytest

from hub.startup.heartbeat import PIPE, Heartbeat
from hub.workers.pulse import Pulse
from tests.hub.strangers import until


@pytest.fixture
def pipe():
    """What whoever minds the process reads."""
    read, written = os.pipe()
    os.set_blocking(read, False)
    yield read, written
    os.close(read)
    os.close(written)


def has_beaten(read: int) -> bool:
    try:
        return bool(os.read(read, 4096))
    except BlockingIOError:
        return False


def test_a_loop_that_hangs_is_not_told_to_live(pipe, caplog):
    read, written = pipe
    pulse = Pulse(hung_after=0.2)
    heartbeat, is_stopping = Heartbeat({PIPE: str(written)}), threading.Event()
    heartbeat.every = 0.01
    goes_on, is_over = threading.Event(), asyncio.Event()

    async def work() -> None:
        with pulse.of_this_loop("profiles"):
            goes_on.wait(60)  # a call that blocks the loop
            await is_over.wait()

    loop = asyncio.new_event_loop()
    working = threading.Thread(target=lambda: loop.run_until_complete(work()))
    minding = threading.Thread(target=pulse.beat, args=(heartbeat, is_stopping))
    working.start()
    minding.start()
    try:
        until(lambda: pulse.hung() == ["profiles"])
        until(lambda: not has_beaten(read) and "profiles hangs" in caplog.text)
        assert caplog.text.count("profiles hangs") == 1
        # Its work ends in order: nothing is expected of it any more.
        goes_on.set()
        loop.call_soon_threadsafe(is_over.set)
        working.join(60)
        assert pulse.hung() == []
        until(lambda: has_beaten(read))
    finally:
        goes_on.set()
        is_stopping.set()
        working.join(60)
        minding.join(60)
        loop.close()
