"""Embedded Valkey keeps what it holds, and never stands in the way of a start."""

import os
import signal

import pytest
import redis

from stack.valkey import ping


def test_it_wants_the_password_and_survives_kill_9(valkey):
    with redis.Redis.from_url(valkey.start()) as client:
        client.set("kept", "yes")
        with pytest.raises(redis.AuthenticationError):
            ping(f"redis://127.0.0.1:{valkey.port}")
        client.execute_command("WAITAOF", 1, 0, 5000)
    os.kill(valkey.child.pid, signal.SIGKILL)
    assert valkey.child.wait(60)
    with redis.Redis.from_url(valkey.start()) as client:
        assert client.get("kept") == b"yes"


def test_the_password_is_on_no_command_line(valkey):
    valkey.start()
    with open(f"/proc/{valkey.child.pid}/cmdline") as file:
        assert valkey.password not in file.read()


def test_damaged_files_are_set_aside(valkey):
    valkey.start()
    valkey.stop()
    for file in (valkey.folder / "appendonlydir").glob("*.incr.aof"):
        file.write_bytes(b"*3\r\nnonsense\r\n" * 20)
    with redis.Redis.from_url(valkey.start()) as client:
        assert client.dbsize() == 0
    assert list(valkey.folder.glob("damaged-*"))
