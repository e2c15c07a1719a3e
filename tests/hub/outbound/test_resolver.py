"""Names are looked up apart: a name that hangs holds up its own platform alone."""

import asyncio
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub.outbound import platform_calls
from hub.outbound import resolver as resolver_module
from hub.outbound.platform_calls import NotArrived
from hub.outbound.resolver import Resolver, ask_system
from simulators.testing import PATIENCE

FOUND = "192.0.2.7"


class Names:
    """A DNS whose names below `hang.invalid` are answered when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: Counter[str] = Counter()
        self._may_answer = threading.Event()
        self._asked = threading.Condition()

    def look_up(self, host: str) -> list[str]:
        """Blocks, fails or answers as the name says."""
        with self._asked:
            self.asked.append(host)
            self.threads[threading.current_thread().name] += 1
            self._asked.notify_all()
        if host.endswith("hang.invalid"):
            assert self._may_answer.wait(PATIENCE)
        if host.endswith("invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [FOUND]

    def wait_for(self, number: int) -> None:
        """Until so many look-ups have begun."""
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.asked) >= number, PATIENCE)

    def answer(self) -> None:
        """What hangs is answered from now on."""
        self._may_answer.set()


@pytest.fixture
def names():
    dns = Names()
    yield dns
    dns.answer()


@pytest.fixture
def resolver(names, settings):
    settings.NAMES_PER_PLATFORM, settings.CONNECT_TIMEOUT = 4, PATIENCE
    return Resolver(names.look_up)


def test_sixty_names_that_hang_take_four_look_ups_and_nobody_elses(names, resolver):
    async def ask() -> None:
        hung = [asyncio.ensure_future(resolver.find(f"{n}.hang.invalid", 1)) for n in range(60)]
        await asyncio.sleep(0)
        names.wait_for(4)
        assert await resolver.find("honest.example", 2) == [FOUND]
        assert len(names.asked) == 5
        names.answer()
        answers = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(answer, socket.gaierror) for answer in answers)

    asyncio.run(ask())
    assert len(names.asked) == 61


def test_many_calls_of_one_name_share_a_look_up(names, resolver):
    async def ask() -> None:
        hung = [asyncio.ensure_future(resolver.find("a.hang.invalid", 1)) for _ in range(60)]
        await asyncio.sleep(0)
        names.wait_for(1)
        names.answer()
        answers = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(answer, socket.gaierror) for answer in answers)

    asyncio.run(ask())
    assert names.asked == ["a.hang.invalid"]


def test_a_name_that_one_platform_waits_for_is_looked_up_for_another_at_once(names, resolver):
    async def ask() -> None:
        hung = [asyncio.ensure_future(resolver.find(f"{n}.hang.invalid", 1)) for n in range(4)]
        queued = asyncio.ensure_future(resolver.find("honest.example", 1))
        await asyncio.sleep(0)
        names.wait_for(4)
        assert await resolver.find("honest.example", 2) == [FOUND]
        assert not queued.done()
        names.answer()
        await asyncio.gather(*hung, return_exceptions=True)
        assert await queued == [FOUND]

    asyncio.run(ask())


def test_who_gives_up_does_not_take_the_answer_from_the_others(names, resolver):
    async def ask() -> None:
        first = asyncio.ensure_future(resolver.find("a.hang.invalid", 1))
        second = asyncio.ensure_future(resolver.find("a.hang.invalid", 1))
        await asyncio.sleep(0)
        first.cancel()
        names.wait_for(1)
        names.answer()
        with pytest.raises(socket.gaierror):
            await second

    asyncio.run(ask())


def test_a_question_that_nobody_waits_for_any_more_is_not_asked(names, resolver, settings):
    settings.CONNECT_TIMEOUT = 0.0

    async def ask() -> None:
        hung = [asyncio.ensure_future(resolver.find(f"{n}.hang.invalid", 1)) for n in range(5)]
        await asyncio.sleep(0)
        names.wait_for(4)
        names.answer()
        answers = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(answer, socket.gaierror) for answer in answers)
        assert "in time" in str(answers[4])

    asyncio.run(ask())
    assert len(names.asked) == 4


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("2130706433", ["127.0.0.1"]),
        ("localhost", ["127.0.0.1", "::1"]),
    ],
)
def test_an_address_needs_no_look_up_and_no_thread(names, resolver, host, found):
    assert asyncio.run(resolver.find(host, 1)) == found
    assert not names.asked


def test_a_failure_is_remembered_for_seconds(names, resolver, monkeypatch):
    monkeypatch.setattr(resolver_module, "REMEMBERED_SECONDS", 1000.0)
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            asyncio.run(resolver.find("nobody.invalid", 1))
        with pytest.raises(socket.gaierror):
            asyncio.run(resolver.find("nobody.invalid", 2))
    assert names.asked == ["nobody.invalid"]
    monkeypatch.setattr(resolver_module, "REMEMBERED_SECONDS", -1.0)
    again = Resolver(names.look_up)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            asyncio.run(again.find("nobody.invalid", 1))
    assert len(names.asked) == 3


def test_what_was_found_is_asked_for_again(names, resolver):
    for _ in range(2):
        assert asyncio.run(resolver.find("honest.example", 1)) == [FOUND]
    assert len(names.asked) == 2


def test_no_look_up_is_made_on_the_thread_that_asks(names, resolver):
    with ThreadPoolExecutor(1, thread_name_prefix="django") as django:
        found = django.submit(asyncio.run, resolver.find("honest.example", 1)).result()
    assert found == [FOUND]
    assert set(names.threads) == {"resolver"}


def test_a_thread_does_not_wait_for_a_name_that_hangs(names, settings):
    """Jobs and views call others through the same client (hub/outbound/platform_calls.py)."""
    settings.CONNECT_TIMEOUT = 0.05
    process_wide = resolver_module.resolver
    before, process_wide.look_up = process_wide.look_up, names.look_up
    try:
        with pytest.raises(NotArrived, match="its name was not resolved in time"):
            platform_calls.call("GET", "http://b.hang.invalid/", {}, seconds=5)
    finally:
        names.answer()
        process_wide.look_up = before


def test_the_machines_own_resolver_is_asked():
    assert ask_system("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(OSError, match=r"."):
        ask_system("nobody.invalid")
