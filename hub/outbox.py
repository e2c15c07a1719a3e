"""The outbox: rows for the pushes that the hub owes, written with the change that causes them."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from celery.exceptions import CeleryError
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from hub.backlog import backlog
from hub.celery import app
from hub.models import Delivery, DrainLease
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId

logger = logging.getLogger(__name__)
# What publishing raises when the broker is away; the sweeps find the rows without it.
BROKER_ERRORS = (CeleryError, KombuError, RedisError, OSError)

# A wake-up that nobody took for so long is void: the sweeps have given another one since, and a
# queue that is behind must not fill with all of them.
WAKE_EXPIRES: Final = 60
# A drain is woken so often at most by one process.
WAKE_EVERY: Final = 0.2
_woken: dict[int, float] = {}


def enqueue(deliveries: Sequence[Delivery]) -> None:
    """Write the rows in the caller's transaction; wake workers when it commits."""
    if not deliveries:
        return
    Delivery.objects.bulk_create(deliveries)
    _wake_at_commit({delivery.receiver_id for delivery in deliveries})


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One message to many receivers (transport_and_format, Broadcast Push)."""

    module: str
    method: str
    role: InterfaceRole
    # What follows the receiver's endpoint.
    path: str
    body: bytes
    # Messages with the same key reach each receiver in the order in which they were written.
    ordering_key: str
    sender: PartyId
    correlation_id: str


class Addressee(NamedTuple):
    """A party that a broadcast goes to."""

    platform_id: int
    country_code: str
    party_id: str


def spread(broadcast: Broadcast, receivers: Iterable[Addressee]) -> int:
    """Write one row a receiver and the body once, in the caller's transaction; returns how many.

    ServerError (3000) with Retry-After when the hub is too far behind to take more.
    """
    receivers = list(receivers)
    if not receivers:
        return 0
    backlog.check(len(receivers))
    platforms, country_codes, party_ids = zip(*receivers, strict=True)
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH shared AS (
                INSERT INTO hub_messagebody (body, created_at) VALUES (%s, %s) RETURNING id
            )
            INSERT INTO hub_delivery (
                receiver_id, to_country_code, to_party_id, shared_id, ordering_key, module, method,
                interface_role, path, body, from_country_code, from_party_id, correlation_id,
                state, attempts, not_before, outcome, created_at)
            SELECT receiver.platform, receiver.country_code, receiver.party_id, shared.id,
                   %s, %s, %s, %s, %s, '', %s, %s, %s, 'WAITING', 0, %s, '', %s
            FROM shared, unnest(%s::bigint[], %s::text[], %s::text[])
                 AS receiver (platform, country_code, party_id)
            """,
            [
                broadcast.body,
                now,
                broadcast.ordering_key,
                broadcast.module,
                broadcast.method,
                broadcast.role,
                broadcast.path,
                *broadcast.sender,
                broadcast.correlation_id,
                now,
                now,
                list(platforms),
                list(country_codes),
                list(party_ids),
            ],
        )
    _wake_at_commit(set(platforms))
    return len(receivers)


def _wake_at_commit(receivers: set[int]) -> None:
    shards = {DrainLease.shard_of(receiver) for receiver in receivers}
    transaction.on_commit(lambda: _wake_drains(shards), robust=True)


def _wake_drains(shards: set[int]) -> None:
    """Wake a worker for those that nobody drains.

    Asked after the commit: a drain looks once more after it has given its lease back, so it has
    either seen the rows or is seen to be gone here.
    """
    for shard in shards - DrainLease.held():
        wake_drain(shard)


def wake_drain(shard: int) -> None:
    """Tell a worker that something waits in a shard.

    A drain goes on for a moment after it was woken, so one message in a while is enough: those of
    an hour without workers must not fill the broker.
    """
    now = time.monotonic()
    if now - _woken.get(shard, -WAKE_EVERY) >= WAKE_EVERY:
        _woken[shard] = now
        wake("hub.delivery.drain", shard)


def receivers_waiting() -> list[int]:
    """Each platform for which something waits: one look at the index for each, however much."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE head AS (
                (SELECT receiver_id FROM hub_delivery WHERE state = 'WAITING'
                 ORDER BY receiver_id LIMIT 1)
                UNION ALL
                SELECT following.receiver_id FROM head CROSS JOIN LATERAL (
                    SELECT receiver_id FROM hub_delivery
                    WHERE state = 'WAITING' AND receiver_id > head.receiver_id
                    ORDER BY receiver_id LIMIT 1
                ) AS following
            )
            SELECT receiver_id FROM head
            """
        )
        return [receiver for (receiver,) in cursor.fetchall()]


def wake(task: str, *arguments: object) -> None:
    """Tell a worker that a row waits. With no broker the sweep finds it a second later."""
    try:
        app.send_task(task, args=arguments, retry=False, expires=WAKE_EXPIRES)
    except BROKER_ERRORS as error:
        logger.warning("no broker to wake a worker for %s: %s", task, error)
