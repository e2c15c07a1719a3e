"""What a drain takes into memory of each receiver (docs/decisions/0008)."""

import asyncio

from hub.drains.shard import Room, Shard
from hub.models import Delivery, Sharding

# No platforms, so that no drain and no sweep of the hub looks for their rows.
BIG, SMALL = 2**41, 2**41 + 1
SHARD = 800


def _push(receiver: int, body: bytes) -> int:
    return Delivery.objects.create(
        receiver_id=receiver,
        ordering_key="key",
        module="locations",
        method="PUT",
        interface_role="RECEIVER",
        path="NL/CPO/1",
        body=body,
        correlation_id="c",
    ).pk


def test_a_body_of_any_size_is_taken_and_one_receivers_bytes_leave_room_for_the_others(hub):
    big = [_push(BIG, b"x" * 40) for _ in range(3)]
    small = [_push(SMALL, b"x") for _ in range(3)]
    shards = Sharding.number()

    async def claim(held: list[int], left: int) -> list[int]:
        async with Shard(SHARD, shards) as shard:
            assert await shard.take()
            rooms = {BIG: Room(5, left), SMALL: Room(2, 10)}
            pushes, _ = await shard.claim(rooms, held)
            await shard.release()
        return [push.id for push in pushes]

    assert asyncio.run(claim([], 10)) == [big[0], *small[:2]]
    assert asyncio.run(claim([big[0], *small[:2]], 41)) == [*big[1:], small[2]]
    Delivery.objects.filter(pk__in=[*big, *small]).delete()
