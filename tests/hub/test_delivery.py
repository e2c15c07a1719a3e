"""Pushes that the hub owes: in order, retried for seconds, then given up (Offline behaviour)."""

import asyncio
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from hub import delivery, outbox, party_status
from hub.leases import LEASE
from hub.models import Delivery, DrainLease, MessageBody, Party
from hub.ocpi.datatypes import Role
from simulators.testing import Running
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import CUSTOM, RECEIVER, Stranger, ask, raw, until
from tests.running_hub import new_party


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
    """Wake the drains of these rows, if nobody drains them now."""
    for shard in {DrainLease.shard_of(row.receiver_id) for row in rows}:
        outbox.wake("hub.delivery.drain", shard)


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
        (500, b"<html>"),
        (200, b"<html>"),
    ],
)
def test_what_the_receiver_refuses_is_not_sent_again(hub, emsp, status, body):
    emsp.simulator.says = lambda message: raw(body, status)
    row = _deliver(_push(emsp))
    assert row.state == "REFUSED"
    assert str(status) in row.outcome
    _deliver(row)
    assert len(emsp.simulator.got) == 1


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
    tried = Delivery.objects.filter(receiver=row.receiver_id, attempts=2)
    probe = until(tried.first)
    assert (probe.state, _status(emsp)) == ("WAITING", "CONNECTED")
    assert timedelta(0) < probe.not_before - timezone.now() <= timedelta(seconds=3)
    until(lambda: _status(emsp) == "OFFLINE")
    states = [_state(one) for one in (row, *waiting)]
    assert sorted(set(states)) == ["DROPPED", "FAILED"]
    assert states.count("FAILED") == 1
    for one in (row, *waiting):
        assert one.attempts == 3 if one.state == "FAILED" else "OFFLINE" in one.outcome
    cpo.wait_for(
        lambda: [
            m.json()["status"]
            for m in cpo.received(module="hubclientinfo")
            if m.parts == party and m.json()["status"] == "OFFLINE"
        ]
    )


def test_a_retry_that_succeeds_leaves_everything_well_and_nothing_overtakes(hub, emsp):
    emsp.set_faults(gone=True)
    first = _push(emsp, "first")
    _wake(first)
    until(lambda: first.refresh_from_db() or first.attempts == 1)
    emsp.clear_faults()
    second = _deliver(_push(emsp, "second"))
    assert (_state(first), first.attempts) == ("DELIVERED", 2)
    assert (second.state, second.attempts) == ("DELIVERED", 1)
    assert [m.parts[-1] for m in emsp.simulator.got] == ["first", "second"]
    assert _status(emsp) == "CONNECTED"


def test_the_sweep_wakes_a_worker_for_what_nobody_carries(hub, emsp):
    lost = _push(emsp, "lost", key="a")
    done = _push(emsp, "done", key="c", state="DELIVERED")
    not_due = _push(emsp, "soon", key="d", not_before=timezone.now() + LEASE)
    delivery.sweep()
    until(lambda: _state(lost) == "DELIVERED")
    assert [m.parts[-1] for m in emsp.simulator.got] == ["lost"]
    assert _state(done) == "DELIVERED"
    assert _state(not_due) == "WAITING"
    not_due.delete()


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
    delivery.sweep()
    assert _deliver(row).state == "DROPPED"
    assert not newcomer.stranger.got


def test_an_endpoint_that_is_offered_no_more_drops_the_push_and_nothing_else(hub, emsp):
    row = _push(emsp, module="never-offered")
    assert _deliver(row).state == "DROPPED"
    assert _deliver(_push(emsp)).state == "DELIVERED"
    assert Party.objects.get(party_id=emsp.simulator.party.party_id).status == "CONNECTED"


def test_a_slow_receiver_does_not_delay_another_one(hub, emsp):
    other = hub.join(Stranger(Role.EMSP, listens=False))
    freed = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(freed.wait, 8)
        return raw()

    emsp.simulator.says = hangs
    slow = [_push(emsp, str(number), key=str(number)) for number in range(4)]
    quick = [_push(other, str(number), key=str(number)) for number in range(4)]
    _wake(*slow, *quick)
    try:
        other.wait_for(lambda: len(other.simulator.got) == 4, timeout=6)
    finally:
        freed.set()
    emsp.wait_for(lambda: len(emsp.simulator.got) == 4)


def test_a_change_that_is_rolled_back_pushes_nothing_and_is_routed_by_nobody(hub, cpo, emsp):
    before = Delivery.objects.count()
    parties = Party.objects.filter(party_id=emsp.simulator.party.party_id)
    with transaction.atomic():
        party_status.change(parties, "SUSPENDED")
        # While it is not committed, nobody is refused for it.
        assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
        transaction.set_rollback(True)
    assert Delivery.objects.count() == before
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
    assert parties.get().status == "CONNECTED"


def test_a_broadcast_is_one_body_and_a_row_for_each_receiver(hub, emsp):
    other = hub.join(Stranger(Role.EMSP, listens=False))
    cpo = new_party("NL")
    before = MessageBody.objects.count()
    broadcast = outbox.Broadcast(
        module=CUSTOM,
        method="PATCH",
        role=RECEIVER,
        path="NL/CPO/1",
        body=b'{"n": 1.50}',
        ordering_key="1",
        sender=cpo,
        correlation_id="c",
    )
    receivers = [outbox.Addressee(_platform(one), *one.simulator.party) for one in (emsp, other)]
    with transaction.atomic():
        assert outbox.spread(broadcast, receivers) == 2
        assert not other.simulator.got
    for one in (emsp, other):
        (message,) = one.wait_for(lambda one=one: one.simulator.got)
        assert message.body == b'{"n": 1.50}'
        assert message.to_party == one.simulator.party
        assert message.headers["OCPI-from-party-id"] == cpo.party_id
    assert MessageBody.objects.count() == before + 1
    assert outbox.spread(broadcast, []) == 0
