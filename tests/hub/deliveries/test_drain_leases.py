"""Each shard of receivers has one drain: who is taken over sends and writes nothing more."""

import asyncio
from datetime import timedelta
from itertools import count
from uuid import uuid4

import psycopg
import pytest
from django.db.models import F
from django.utils import timezone

from hub.db.leases import Lease, clock
from hub.db.notify import connection_parameters
from hub.deliveries.calls import DeliveryCall
from hub.deliveries.lanes import Item
from hub.deliveries.rows import End, Fate, Key, LaneRoom
from hub.deliveries.send import Sender, SendResult
from hub.deliveries.shard import LeaseLost, Shard
from hub.models import DrainLease, Sharding
from hub.ocpi.datatypes import InterfaceRole
from hub.outbox import outbox
from hub.routing.directory import holder
from tests.hub.deliveries.waiting import platform_of, push, state_of, wake
from tests.hub.strangers import CUSTOM, Gate, until

HOUR = timedelta(hours=1)
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


def test_not_a_byte_leaves_once_the_lease_has_ended(hub, receiver):
    """What was read for a call may be older by then than what another drain has sent."""
    party, number = receiver.simulator.party, next(_shards)
    call = DeliveryCall(
        Item(Key("key", is_message=True)),
        platform_of(receiver),
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
    assert len(receiver.simulator.got) == 1


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
            assert left == {waiting.id}
            assert len((await mine.claim({}, 5, [], []))[0]) == 1
            assert await mine.end(told) == set()
            assert (await mine.claim({}, 5, [], []))[0] == []
            await database.rollback()

    asyncio.run(claims())


def test_a_drain_that_lost_its_lease_ends_and_sends_nothing_more(hub, receiver, caplog):
    gate = receiver.simulator.says = Gate()
    first = push(receiver, "first")
    wake()
    receiver.wait_for(lambda: receiver.simulator.got)
    shard = DrainLease.shard_of(first.receiver_id)
    lease = DrainLease.objects.filter(shard=shard)
    lease.update(fence=F("fence") + 1, owner="another", lease_until=timezone.now() + HOUR)
    # The first drain hears of it when it renews, and says so.
    until(lambda: f"shard {shard} was taken over" in caplog.text)
    second = push(receiver, "second")
    gate.is_open.set()
    assert (state_of(first), state_of(second)) == ("WAITING", "WAITING")
    _expire(shard)
    until(lambda: state_of(second) == "DELIVERED")
    assert [m.parts[-1] for m in receiver.simulator.got] == ["first", "first", "second"]
