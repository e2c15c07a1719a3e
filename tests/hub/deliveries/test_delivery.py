"""Messages that the hub owes: in order, tried again, given up with OFFLINE (Offline behaviour)."""

import asyncio
import threading
from datetime import timedelta
from itertools import count
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from hub.db.leases import Lease, clock
from hub.db.notify import connection_parameters
from hub.deliveries.calls import DeliveryCall
from hub.deliveries.lanes import Item
from hub.deliveries.rows import End, Fate, Key, LaneRoom
from hub.deliveries.send import Sender, SendResult
from hub.deliveries.shard import LeaseLost, Shard
from hub.models import Delivery, DrainLease, Party, Platform, Sharding
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import ServerError
from hub.outbox import outbox
from hub.outbox.backlog import backlog
from hub.parties import onboarding
from hub.routing.directory import holder
from simulators.testing import PATIENCE, Running
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, until

HOUR = timedelta(hours=1)


@pytest.fixture
def emsp(hub) -> Running[Stranger]:
    """A receiver of its own for each test."""
    return hub.join(Stranger(Role.EMSP, listens=False))


def _platform(running) -> int:
    return Party.objects.filter(party_id=running.simulator.party.party_id)[0].platform_id


def _push(running, path: str = "1", key: str = "key", **changes) -> Delivery:
    """A row that waits."""
    party = running.simulator.party
    values = {
        "receiver_id": _platform(running),
        "ordering_key": key,
        "module": CUSTOM,
        "method": "PUT",
        "interface_role": "RECEIVER",
        "path": path,
        "body": b'{"n": 1.50}',
        "from_country_code": "NL",
        "from_party_id": "HUB",
        "to_country_code": party.country_code,
        "to_party_id": party.party_id,
        "correlation_id": str(uuid4()),
    }
    return Delivery.objects.create(**(values | changes))


def _wake(*rows: Delivery) -> None:
    """Tell their drains to look."""
    outbox.nudge("deliveries")


def _state(row: Delivery) -> str:
    row.refresh_from_db()
    return row.state


def _deliver(row: Delivery) -> Delivery:
    """Let a drain carry it, and wait until it has ended."""
    _wake(row)
    until(lambda: _state(row) != "WAITING")
    return row


def _status(running) -> str:
    return Party.objects.get(party_id=running.simulator.party.party_id).status


def test_a_push_arrives_with_all_headers_and_byte_for_byte(hub, emsp):
    row = _deliver(_push(emsp, "a/b%2Fc"))
    assert row.state == "DELIVERED"
    assert row.ended_at
    (message,) = emsp.simulator.got
    assert message.body == b'{"n": 1.50}'
    assert emsp.simulator.targets[0].endswith(f"/{CUSTOM}/a/b%2Fc")
    assert message.to_party == emsp.simulator.party
    assert message.headers["OCPI-from-party-id"] == "HUB"
    assert message.headers["X-Correlation-ID"] == row.correlation_id
    assert message.headers["X-Request-ID"]
    assert message.headers["Content-Type"] == "application/json"
    assert message.connection is emsp.simulator.hub


def test_pushes_of_one_key_arrive_in_the_order_in_which_they_were_written(hub, emsp):
    rows = [_push(emsp, str(number)) for number in range(10)]
    outbox.enqueue([])
    _wake(*rows)
    emsp.wait_for(lambda: len(emsp.simulator.got) >= 10)
    assert [m.parts[-1] for m in emsp.simulator.got] == [str(number) for number in range(10)]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_empty_2xx_or_a_1xxx_is_delivered(hub, emsp, status):
    emsp.simulator.says = lambda message: raw(b"", status)
    assert _deliver(_push(emsp)).state == "DELIVERED"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"status_code":2001,"status_message":"why","timestamp":"T"}'),
        (400, b'{"status_code":1000,"timestamp":"T"}'),
        (404, b'{"status_code":2003,"timestamp":"T"}'),
        (404, b'{"status_code":2003,"status_message":"a\\u0000b","timestamp":"T"}'),
        (500, b"<html>"),
        (200, b"<html>"),
    ],
)
def test_what_the_receiver_refuses_is_not_sent_again(hub, emsp, status, body):
    emsp.simulator.says = lambda message: raw(body, status)
    row = _deliver(_push(emsp))
    assert row.state == "REFUSED"
    assert str(status) in row.outcome
    _deliver(_push(emsp, "next"))
    assert [m.parts[-1] for m in emsp.simulator.got] == ["1", "next"]


def test_a_refused_push_does_not_hold_up_the_next(hub, emsp):
    emsp.simulator.says = lambda message: raw(b"<html>", 500 if message.parts[-1] == "1" else 200)
    _push(emsp, "1")
    _deliver(_push(emsp, "2"))
    assert [m.parts[-1] for m in emsp.simulator.got] == ["1", "2"]


def test_an_unreachable_receiver_is_tried_again_within_seconds_then_offline(hub, cpo, emsp):
    party = emsp.simulator.party
    emsp.set_faults(gone=True)
    row = _push(emsp)
    waiting = [_push(emsp, str(number), key=str(number)) for number in range(20)]
    _wake(row)
    until(lambda: _status(emsp) == "OFFLINE")
    until(lambda: {_state(one) for one in (row, *waiting)} == {"FAILED"})
    for one in (row, *waiting):
        assert "OFFLINE" in one.outcome
        assert bytes(one.body) == b'{"n": 1.50}'
    cpo.wait_for(
        lambda: [
            m.json()["status"]
            for m in cpo.received(module="hubclientinfo")
            if m.parts == party and m.json()["status"] == "OFFLINE"
        ]
    )


def test_one_that_answers_a_check_stays_connected_and_its_rows_wait(hub, emsp):
    """Only its versions answer: a proxy in front of a module that is down."""
    is_down = True
    emsp.simulator.says = lambda message: raw(b"<html>", 502) if is_down else raw()
    row = _push(emsp)
    _wake(row)
    # The third failure asks whether it is there at all.
    until(lambda: row.refresh_from_db() or row.attempts >= 3)
    assert (row.state, _status(emsp)) == ("WAITING", "CONNECTED")
    is_down = False
    until(lambda: _state(row) == "DELIVERED")
    assert _status(emsp) == "CONNECTED"


def test_a_module_that_is_down_holds_up_no_other(hub, emsp):
    emsp.simulator.says = lambda message: raw(b"", 502) if message.module == CUSTOM else raw()
    down = [_push(emsp, str(number), key=str(number)) for number in range(15)]
    _wake(*down)
    emsp.wait_for(lambda: emsp.simulator.got)
    other = _deliver(_push(emsp, "NL/CPO/1", module="sessions"))
    assert other.state == "DELIVERED"
    assert {_state(one) for one in down} == {"WAITING"}
    Delivery.objects.filter(pk__in=[one.pk for one in down]).delete()


def test_a_retry_that_succeeds_leaves_everything_well_and_nothing_overtakes(hub, emsp):
    emsp.set_faults(gone=True)
    first = _push(emsp, "first")
    _wake(first)
    until(lambda: first.refresh_from_db() or first.attempts >= 1)
    emsp.clear_faults()
    second = _deliver(_push(emsp, "second"))
    assert _state(first) == second.state == "DELIVERED"
    assert first.attempts >= 2
    assert second.attempts == 1
    assert [m.parts[-1] for m in emsp.simulator.got] == ["first", "second"]
    assert _status(emsp) == "CONNECTED"


def test_what_nobody_told_of_is_carried_all_the_same(hub, emsp):
    lost = _push(emsp, "lost", key="a")
    done = _push(emsp, "done", key="c", state="DELIVERED")
    until(lambda: _state(lost) == "DELIVERED")
    assert [m.parts[-1] for m in emsp.simulator.got] == ["lost"]
    assert _state(done) == "DELIVERED"


def test_a_receiver_that_unregistered_gets_nothing(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    newcomer.delete()
    platform = Party.objects.get(party_id=newcomer.party.party_id).platform_id
    row = Delivery.objects.create(
        receiver_id=platform,
        ordering_key="k",
        module=CUSTOM,
        method="PUT",
        interface_role="RECEIVER",
        path="1",
        body=b"{}",
        correlation_id="c",
    )
    assert _deliver(row).state == "DROPPED"
    assert not newcomer.stranger.got


def test_an_endpoint_that_is_offered_no_more_drops_the_push_and_nothing_else(hub, emsp):
    row = _push(emsp, module="never-offered")
    assert _deliver(row).state == "DROPPED"
    assert _deliver(_push(emsp)).state == "DELIVERED"
    assert Party.objects.get(party_id=emsp.simulator.party.party_id).status == "CONNECTED"


def test_a_slow_receiver_does_not_delay_another_one(hub, emsp):
    other = hub.join(Stranger(Role.EMSP, listens=False))
    freed, answered = threading.Event(), []

    async def hangs(message):
        await asyncio.to_thread(freed.wait, PATIENCE)
        answered.append(message)
        return raw()

    emsp.simulator.says = hangs
    slow = [_push(emsp, str(number), key=str(number)) for number in range(4)]
    quick = [_push(other, str(number), key=str(number)) for number in range(4)]
    _wake(*slow, *quick)
    try:
        other.wait_for(lambda: len(other.simulator.got) == 4)
        assert not answered
    finally:
        freed.set()
    emsp.wait_for(lambda: len(emsp.simulator.got) == 4)


def test_a_change_that_is_rolled_back_pushes_nothing_and_is_routed_by_nobody(hub, cpo, emsp):
    before = Delivery.objects.count()
    parties = Party.objects.filter(party_id=emsp.simulator.party.party_id)
    with transaction.atomic():
        onboarding.suspend(emsp.simulator.party)
        # While it is not committed, nobody is refused for it.
        assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
        transaction.set_rollback(True)
    assert Delivery.objects.count() == before
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
    assert parties.get().status == "CONNECTED"


class Gate:
    """Holds every answer back until it is opened."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    async def __call__(self, message):
        await asyncio.to_thread(self.is_open.wait, PATIENCE)
        return raw()


def test_objects_of_one_receiver_are_on_their_way_at_once(hub, emsp):
    gate = emsp.simulator.says = Gate()
    rows = [_push(emsp, str(number), key=str(number)) for number in range(12)]
    _wake(*rows)
    emsp.wait_for(lambda: len(emsp.simulator.got) == 10)
    gate.is_open.set()
    until(lambda: {_state(row) for row in rows} == {"DELIVERED"})
    assert {m.parts[-1] for m in emsp.simulator.got} == {str(number) for number in range(12)}


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_a_pause_gets_it_and_then_everything_in_order(hub, emsp, status):
    answers = iter([raw(b"", status, Retry_After="2")])
    emsp.simulator.says = lambda message: next(answers, raw())
    first, second = _push(emsp, "first"), _push(emsp, "second")
    _wake(first)
    until(lambda: _state(second) == "DELIVERED")
    refused, again, after = emsp.simulator.got
    assert [m.parts[-1] for m in (refused, again, after)] == ["first", "first", "second"]
    assert again.at - refused.at >= timedelta(seconds=2)
    assert (_state(first), first.attempts) == ("DELIVERED", 2)
    assert _status(emsp) == "CONNECTED"


def test_an_endless_pause_is_cut_short(hub, emsp, settings):
    settings.DELIVERY_MAX_PAUSE = 0.1
    answers = iter([raw(b"", 429, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT")])
    emsp.simulator.says = lambda message: next(answers, raw())
    assert _deliver(_push(emsp)).state == "DELIVERED"


def test_a_platform_may_have_a_rate_of_its_own(hub, emsp):
    Platform.objects.filter(pk=_platform(emsp)).update(pushes_per_second=4)
    holder.refresh()  # The drain's own.
    rows = [_push(emsp, str(number), key=str(number)) for number in range(9)]
    _wake(*rows)
    emsp.wait_for(lambda: len(emsp.simulator.got) == 9)
    times = [m.at for m in emsp.simulator.got]
    assert times[-1] - times[0] >= timedelta(seconds=0.9)


def test_an_offline_receiver_that_answers_is_checked(hub, emsp):
    Party.objects.filter(party_id=emsp.simulator.party.party_id).update(status="OFFLINE")
    assert _deliver(_push(emsp)).state == "DELIVERED"
    until(lambda: _status(emsp) == "CONNECTED")


def test_a_token_that_changed_under_way_is_looked_up_again(hub, emsp):
    platforms = Platform.objects.filter(pk=_platform(emsp))

    async def says(message):
        if len(emsp.simulator.got) > 1:
            return raw()
        # Fixed, or it would have been tried in its other form.
        await asyncio.to_thread(platforms.update, fixed_token_form="BASE64")
        return raw(b"", 401)

    emsp.simulator.says = says
    row = _deliver(_push(emsp))
    assert (row.state, row.outcome) == ("DELIVERED", "HTTP 200, OCPI 1000")


# --- Leases ------------------------------------------------------------------------------------

# Shards that there are not: nobody else drains them.
_shards = count(900)


def _expire(shard: int) -> None:
    DrainLease.objects.filter(shard=shard).update(lease_until=timezone.now())


def test_a_shard_has_one_holder_and_a_newer_fence_for_the_next(hub):
    number, shards = next(_shards), Sharding.number()

    async def take_over():
        async with Shard(number, shards) as old, Shard(number, shards) as new:
            assert await old.take()
            assert not await new.take()
            await asyncio.to_thread(_expire, number)
            assert await new.take()
            assert new.fence > old.fence
            with pytest.raises(LeaseLost):
                await old.end([End(1, 0, Fate.TOLD, "late", 1, is_message=True)])
            with pytest.raises(LeaseLost):
                await old.renew()
            await old.release()
            assert not await old.take()
            await new.release()
            assert await old.take()

    asyncio.run(take_over())


def test_not_a_byte_leaves_once_the_lease_has_ended(hub, emsp):
    """What was read for a call may be older by then than what another drain has sent."""
    party, number = emsp.simulator.party, next(_shards)
    call = DeliveryCall(
        Item(Key("key", is_message=True)),
        _platform(emsp),
        CUSTOM,
        InterfaceRole.RECEIVER,
        "PUT",
        "late",
        b"{}",
        ("NL", "HUB"),
        (party.country_code, party.party_id),
        str(uuid4()),
    )

    async def in_django(function, *arguments):
        return await asyncio.to_thread(function, *arguments)

    async def carried() -> list[SendResult]:
        async with Shard(number, await in_django(Sharding.number)) as shard:
            assert await shard.take()
            carrier = Sender(in_django, shard)
            directory = await in_django(holder.refresh)
            found = [(await carrier.carry(call, directory)).verdict]
            await shard.release()
            found.append((await carrier.carry(call, directory)).verdict)
            carrier.close()
            return found

    assert asyncio.run(carried()) == [SendResult.TAKEN, SendResult.UNSENT]
    assert len(emsp.simulator.got) == 1


def _holding(number: int, database: psycopg.AsyncConnection, fence: int) -> Shard:
    """A shard under a lease that stands in no committed row."""
    shard = Shard(number, number + 1)
    shard._database, shard._held = database, Lease(fence, clock())
    return shard


def test_a_drain_that_was_taken_over_can_neither_claim_nor_mark(hub):
    """In a transaction that is rolled back: the hub's own drains see nothing of it."""
    number = next(_shards)

    async def claims() -> None:
        async with await psycopg.AsyncConnection.connect(**connection_parameters()) as database:
            await database.execute(
                "INSERT INTO hub_drainlease (shard, shards, fence, owner) VALUES (%s, 1, 7, '')",
                [number],
            )
            await database.execute(
                "INSERT INTO hub_stalecopy (receiver_id, party, module, owner, object_id, variant, "
                "part, spelling, is_deleted, priority, raised, correlation_id, merged, "
                "first_at, state, outcome) VALUES (%s, '', 'tariffs', 'NL-CPO', 'T', '', '', '', "
                "false, 1, 3, 'c', '{}', now(), 'WAITING', '')",
                [number],  # As receiver: no platform has it.
            )
            mine, taken_over = _holding(number, database, 7), _holding(number, database, 6)
            assert (await taken_over.claim({}, 5, [], []))[0] == []
            (waiting,), _ = await mine.claim({}, 5, [], [])
            assert (waiting.platform_id, waiting.key.owner) == (number, "NL-CPO")
            assert (await mine.claim({}, 5, [waiting.id], []))[0] == []
            # A lane that is full takes what is urgent alone.
            full = {(number, "tariffs"): LaneRoom(5, outbox.URGENT)}
            assert (await mine.claim(full, 5, [], []))[0] == []
            await database.execute(
                "UPDATE hub_stalecopy SET priority = 0 WHERE id = %s", [waiting.id]
            )
            assert len((await mine.claim(full, 5, [], []))[0]) == 1
            told = [End(waiting.id, 3, Fate.TOLD)]
            with pytest.raises(LeaseLost):
                await taken_over.end(told)
            # It has changed meanwhile: what was sent is not the newest.
            left = await mine.end([End(waiting.id, 2, Fate.TOLD)])
            assert left == [waiting.id]
            assert await mine.raised(left) == {waiting.id: 3}
            assert len((await mine.claim({}, 5, [], []))[0]) == 1
            assert await mine.end(told) == []
            assert (await mine.claim({}, 5, [], []))[0] == []
            await database.rollback()

    asyncio.run(claims())


def test_a_drain_that_lost_its_lease_ends_and_sends_nothing_more(hub, emsp, caplog):
    gate = emsp.simulator.says = Gate()
    first = _push(emsp, "first")
    _wake(first)
    emsp.wait_for(lambda: emsp.simulator.got)
    shard = DrainLease.shard_of(first.receiver_id)
    lease = DrainLease.objects.filter(shard=shard)
    lease.update(fence=F("fence") + 1, owner="another", lease_until=timezone.now() + HOUR)
    # The first drain hears of it when it renews, and says so.
    until(lambda: f"shard {shard} was taken over" in caplog.text)
    second = _push(emsp, "second")
    gate.is_open.set()
    assert (_state(first), _state(second)) == ("WAITING", "WAITING")
    _expire(shard)
    until(lambda: _state(second) == "DELIVERED")
    assert [m.parts[-1] for m in emsp.simulator.got] == ["first", "first", "second"]


# --- Backpressure ------------------------------------------------------------------------------


@pytest.fixture
def fresh_backlog():
    backlog.__init__()
    yield
    backlog.__init__()


def test_a_broadcast_is_refused_while_nobody_delivers(hub, emsp, fresh_backlog):
    with transaction.atomic():  # Seen by nobody else.
        DrainLease.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
        _push(emsp)
        backlog.check()
        Delivery.objects.filter(state="WAITING").update(
            created_at=timezone.now() - timedelta(minutes=1)
        )
        # A worker that begins anew gives its shards back first; one may be new besides.
        DrainLease.objects.update(lease_until=timezone.now())
        DrainLease.objects.filter(shard=0).delete()
        backlog.__init__()
        backlog.check()
        DrainLease.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
        backlog.__init__()
        with pytest.raises(ServerError, match="nobody has delivered") as refusal:
            backlog.check()
        transaction.set_rollback(True)
    assert (refusal.value.code, refusal.value.headers) == (3000, {"Retry-After": "5"})
    backlog.__init__()
    backlog.check()


def test_one_slow_receiver_keeps_no_broadcast_of_others_away(hub, emsp, fresh_backlog):
    gate = emsp.simulator.says = Gate()
    row = _push(emsp, created_at=timezone.now() - timedelta(minutes=1))
    _wake(row)
    emsp.wait_for(lambda: emsp.simulator.got)
    backlog.check()
    gate.is_open.set()
    until(lambda: _state(row) == "DELIVERED")
