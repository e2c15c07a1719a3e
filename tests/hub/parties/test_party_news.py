"""What each receiver is still to be told of parties: by a position, whatever their number."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from hub.deliveries.lanes import Item
from hub.deliveries.news import Telling
from hub.deliveries.rows import Fate, Key
from hub.deliveries.shard import Shard
from hub.models import NewsPosition, Party, StaleCopy, party_news
from hub.ocpi.datatypes import Role
from hub.outbox import outbox, owed
from hub.parties import onboarding, party_status
from hub.routing.directory import holder
from simulators.testing import Running
from tests.hub.strangers import Stranger, raw, until

pytestmark = pytest.mark.measured
INVALID = b'{"status_code":2001,"status_message":"Not this one","timestamp":"T"}'


class Listener(Stranger):
    """Answers ClientInfo as `says_of_parties` tells it to, and keeps what it was told."""

    def __init__(self) -> None:
        super().__init__(Role.EMSP)
        self.told: list[tuple[str, str]] = []
        self.says_of_parties = Stranger.says_yes

    async def respond(self, request, message):
        if message.module != "hubclientinfo":
            return await super().respond(request, message)
        self.told.append((message.parts[1], message.json()["status"]))
        answer = self.says_of_parties(message)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture(scope="module")
def listener(hub) -> Running[Listener]:
    return hub.join(Listener())


@pytest.fixture
def others(hub, listener) -> list[Running[Stranger]]:
    """Two that the listener was told of."""
    joined = [hub.join(Stranger(Role.CPO)) for _ in range(2)]
    until(lambda: _is_even(listener))
    return joined


def _platform(running: Running) -> int:
    return Party.objects.get(party_id=running.simulator.party.party_id).platform_id


def _told(listener: Running[Listener], other: Running) -> list[str]:
    name = other.simulator.party.party_id
    return [status for party, status in listener.simulator.told if party == name]


def _hears(listener: Running[Listener], other: Running, *statuses: str) -> None:
    until(lambda: _told(listener, other)[-len(statuses) :] == [*statuses])


def _is_even(listener: Running[Listener]) -> bool:
    return not party_news.owed(_platform(listener))


@contextmanager
def _held_open(change, *arguments) -> Iterator[None]:
    """A transaction that has changed something, and commits only when the block ends."""
    has_changed, may_commit = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with transaction.atomic():
                change(*arguments)
                has_changed.set()
                assert may_commit.wait(30)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(run)
        try:
            assert has_changed.wait(30)
            yield
        finally:
            may_commit.set()
            changing.result()


def test_a_change_that_commits_after_a_later_one_is_told_too(hub, listener, others):
    first, second = others
    with _held_open(party_status.is_away, _platform(first), "gone"):
        party_status.is_away(_platform(second), "gone")
        _hears(listener, second, "OFFLINE")
        until(lambda: _is_even(listener))
        assert _told(listener, first)[-1] == "CONNECTED"
    _hears(listener, first, "OFFLINE")


def test_who_comes_or_comes_back_during_a_change_is_told_of_it(hub, listener, others):
    with _held_open(party_status.is_away, _platform(others[0]), "gone"):
        newcomer = hub.join(Listener())
    _hears(newcomer, others[0], "OFFLINE")
    assert newcomer.simulator.told == [(others[0].simulator.party.party_id, "OFFLINE")]
    party_status.is_away(_platform(listener), "gone")
    with _held_open(party_status.is_back, _platform(others[0])):
        party_status.is_back(_platform(listener))
    _hears(listener, others[0], "CONNECTED")


def test_a_status_that_is_taken_back_before_it_left_is_told_to_nobody(hub, listener, others):
    one, other = others
    gate = threading.Event()

    async def waits(message):
        await asyncio.to_thread(gate.wait, 30)
        return raw()

    listener.simulator.says_of_parties = waits
    before = len(_told(listener, one))
    assert onboarding.suspend(one.simulator.party)
    until(lambda: len(_told(listener, one)) > before)
    # It is being told SUSPENDED; what comes next waits for its answer.
    assert onboarding.resume(one.simulator.party)
    assert onboarding.suspend(one.simulator.party)
    # Who was told of this knew of that.
    assert onboarding.suspend(other.simulator.party)
    _hears(listener, other, "SUSPENDED")
    gate.set()
    until(lambda: _is_even(listener))
    assert _told(listener, one)[before:] == ["SUSPENDED"]
    assert onboarding.resume(one.simulator.party)
    _hears(listener, one, "SUSPENDED", "CONNECTED")


def test_what_was_refused_is_shown_and_told_again_when_it_changes_or_when_asked(
    hub, listener, others
):
    one, other = others
    name = one.simulator.party.party_id
    platform = _platform(listener)
    listener.simulator.says_of_parties = lambda message: (
        raw(INVALID) if message.parts[1] == name else raw()
    )
    assert onboarding.suspend(one.simulator.party)
    refused = StaleCopy.objects.filter(receiver=platform, module="hubclientinfo")
    until(lambda: refused.exists() and _is_even(listener))
    copy = refused.get()
    assert (copy.state, copy.owner, copy.object_id) == (
        "REFUSED",
        str(one.simulator.party),
        "CPO",
    )
    assert "Not this one" in copy.outcome
    (lane,) = [lane for lane in owed.lanes(platform) if lane.module == "hubclientinfo"]
    assert (lane.objects, lane.refused) == (0, 1)
    assert onboarding.suspend(other.simulator.party)
    _hears(listener, other, "SUSPENDED")
    assert _told(listener, one)[-2:] == ["CONNECTED", "SUSPENDED"]  # Not again.
    listener.simulator.says_of_parties = Stranger.says_yes
    assert outbox.try_again([copy.pk]) == 1
    _hears(listener, one, "SUSPENDED", "SUSPENDED")
    until(lambda: not refused.exists())
    assert outbox.try_again([copy.pk]) == 0


def test_nobody_waits_for_a_position_that_is_locked(hub, listener, others):
    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        NewsPosition.objects.select_for_update().get(receiver=_platform(listener))
        for other in others:
            assert pool.submit(_suspended, other.simulator.party).result(30)
            _hears(listener, other, "SUSPENDED")
        assert not _is_even(listener)
    until(lambda: _is_even(listener))


def _suspended(party) -> bool:
    try:
        return onboarding.suspend(party)
    finally:
        connection.close()


# --- As a drain sees it ---------------------------------------------------------------------------


class Watcher:
    """Takes for one receiver what is to be told."""

    def __init__(self, runner: asyncio.Runner, platform: int) -> None:
        self._runner = runner
        self._shard = Shard(0, 1)
        runner.run(self._shard.__aenter__())
        self.telling = Telling(self._shard)
        self.platform = platform
        self.items: dict[Key, Item] = {}

    def look(self, room: int = 100) -> list[str]:
        """Whose changes it takes now."""
        self._runner.run(self.telling.look(holder.refresh()))
        rows = self.telling.take(self.platform, room)
        for row in rows:
            self.items.setdefault(row.key, Item(row.key)).ids.add(row.id)
        return [row.key.owner for row in rows]

    def call(self, running: Running):
        """What is to be told of a party."""
        (item,) = [i for key, i in self.items.items() if key.owner == str(running.simulator.party)]
        return self.telling.call(item, self.platform, holder.refresh())

    def told(self, call, fate: Fate = Fate.TOLD) -> None:
        """It was."""
        self.telling.ended(call, fate, "")
        call.item.ids -= {number for number, _ in call.covers}

    def close(self) -> None:
        """Its connection."""
        self._runner.run(self._shard.__aexit__(None, None, None))


def test_what_was_taken_back_is_void_but_for_what_may_have_been_sent(hub, others):
    receiver = hub.join(Listener())
    one, other = (running.simulator.party for running in others)
    with asyncio.Runner() as runner:
        watcher = Watcher(runner, _platform(receiver))
        watcher.look()
        assert onboarding.suspend(one)
        assert onboarding.suspend(other)
        assert watcher.look(room=1) == [str(one)]
        begun = watcher.call(others[0])
        assert (begun.method, begun.void) == ("PUT", "")
        assert onboarding.resume(one)
        assert onboarding.resume(other)
        assert onboarding.suspend(other)
        assert onboarding.resume(other)
        assert set(watcher.look()) == {str(one), str(other)}
        # The call may have arrived; of the other one nothing has left, but that it was SUSPENDED
        # was not seen by this receiver's lane before that was taken back.
        assert not watcher.call(others[0]).void
        watcher.told(watcher.call(others[0]))
        watcher.told(watcher.call(others[1]))
        assert onboarding.suspend(other)
        assert watcher.look() == [str(other)]
        assert onboarding.resume(other)
        assert watcher.look() == [str(other)]
        assert watcher.call(others[1]).void == "the receiver holds this status"
        # Who takes over does not know what the former drain has sent.
        until(lambda: _is_even(receiver))
        NewsPosition.objects.filter(receiver=watcher.platform).update(version=0)
        heir = Watcher(runner, watcher.platform)
        heir.look(room=10_000)
        assert not heir.call(others[1]).void
        heir.close()
        watcher.close()
