"""Simulators as processes of their own, their memory, and the demo's cars."""

import asyncio
import logging
import os
import random
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from party import memory
from simulators import demo
from simulators.cpo import Cpo
from simulators.demo import PROJECT
from simulators.emsp import Emsp
from simulators.testing import Running


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A simulator as its own process, ended by SIGTERM."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "simulators", *arguments],
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as child:  # fmt: skip
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) in (0, 1)


def line(child: subprocess.Popen[str], start: str) -> str:
    """The rest of the first line that starts so."""
    assert child.stdout is not None
    for text in child.stdout:
        if text.startswith(start):
            return text.removeprefix(start).strip()
    raise AssertionError(f"the process ended without a line {start!r}")


def test_two_processes_register_with_each_other(tmp_path: Path) -> None:
    file = tmp_path / "emsp.json"
    with process("cpo", "--country-code", "NL", "--party-id", "CPO") as cpo:
        versions_url = line(cpo, "versions: ")
        token_a = line(cpo, "others can register with token: ")
        options = ("--country-code", "DE", "--party-id", "MSP", "--memory", str(file))
        joining = (*options, "--versions-url", versions_url, "--token-a", token_a)
        with process("emsp", *joining) as emsp:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", line(emsp, "page: "))
            assert line(emsp, "registered with ") == versions_url
        # Started again, it goes on with what it remembers.
        with process("emsp", *options) as emsp:
            assert line(emsp, "registered with ") == versions_url
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_refused_handshake_is_one_line() -> None:
    with Running(Cpo()) as cpo:
        options = ("--country-code", "DE", "--party-id", "MSP", "--token-a", "wrong")
        with process("emsp", *options, "--versions-url", cpo.versions_url) as emsp:
            assert "HTTP 401" in line(emsp, "error: ")
            assert emsp.wait(60) == 1


def test_what_is_remembered_holds_as_long_as_the_other_side_agrees(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "emsp.json"
    with Running(Cpo()) as cpo:
        with Running(Emsp()) as first:
            connection = first.register(cpo.versions_url, cpo.simulator.invite())
            memory.write(first.simulator, connection, file)
        remembered = memory.read(file)
        assert remembered is not None
        with Running(Emsp()) as second:
            # Its port is another one, which the CPO learns by a PUT of credentials.
            resumed = second.run(memory.resume(second.simulator, remembered))
            assert resumed is not None
            assert cpo.simulator.connections[0].versions_url == second.versions_url
            assert cpo.call("cdrs", "RECEIVER", "GET", "x").http_status == 404
        with Running(Emsp()) as third:
            # Its tokens have changed since.
            assert third.run(memory.resume(third.simulator, remembered)) is None
            assert third.simulator.by_token == {}
    with Running(Emsp()) as fourth, pytest.raises(aiohttp.ClientError):
        fourth.run(memory.resume(fourth.simulator, remembered))


def test_nothing_remembered_is_nothing(tmp_path: Path) -> None:
    assert memory.read(tmp_path / "none") is None
    (tmp_path / "broken").write_text("{")
    assert memory.read(tmp_path / "broken") is None


async def _cars(seconds: float) -> tuple[Cpo, Emsp]:
    cpo, emsp = Cpo(speed_up=36_000), Emsp(speed_up=36_000)
    await cpo.start()
    await emsp.start()
    try:
        await emsp.register(cpo.versions_url, cpo.invite())
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        await demo.until(stop, demo.cars_come(cpo, emsp, random.Random(1)))
    finally:
        await cpo.stop()
        await emsp.stop()
    return cpo, emsp


def test_cars_come_and_drivers_ask(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(demo, "SECONDS_BETWEEN_CARS", (0.1, 0.2))
    monkeypatch.setattr(demo, "SECONDS_TO_ASK", (0.05, 0.1))
    caplog.set_level(logging.INFO, "simulators.story")
    cpo, emsp = asyncio.run(_cars(3))
    assert len(cpo.sessions) > 2
    assert emsp.cdrs
    assert emsp.asked
    for told in ("arrives at Stationsplein EVSE1", "driver wishes: ", "if charged at once"):
        assert told in caplog.text
    assert "DEMO-0" not in caplog.text


def test_sessions_that_a_restart_has_lost_are_declared_invalid(tmp_path: Path) -> None:
    leftovers = demo.Leftovers(tmp_path / "sessions.json")
    with Running(Emsp()) as emsp:
        with Running(Cpo()) as before:
            emsp.register(before.versions_url, before.simulator.invite())
            before.simulator.on_sessions = leftovers.keep
            ended, lost = (before.run(before.simulator.start_session()) for _ in range(2))
            before.run(before.simulator.end_session(ended.id))
            emsp.unregister()
        with Running(Cpo()) as after:
            emsp.register(after.versions_url, after.simulator.invite())
            after.run(leftovers.declare_invalid(after.simulator))
            after.run(leftovers.declare_invalid(after.simulator))
        kept = [emsp.simulator.kept.find(one.id) for one in (lost, ended)]
        assert [one and one["status"] for one in kept] == ["INVALID", "COMPLETED"]


def test_a_demo_without_a_hub_is_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"FLEXHUB_DATA": str(tmp_path), "DATABASE_URL": ""}
    with Running(Cpo()) as busy:
        done = subprocess.run(
            [sys.executable, "-m", "simulators", "demo", "--hub-versions-url", "http://127.0.0.1:1/",
             "--page-port", str(busy.simulator.port)],
            cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    # The eMSP's port is the busy one; one beside it may be, too.
    assert re.fullmatch(r"error: Demo \w+ cannot listen on port .*DEMO_PORT.*\n", done.stdout)
