"""The outbox: rows for the pushes that the hub owes, written with the change that causes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from hub.backlog import backlog
from hub.models import Delivery
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.party import PartyId
from hub.workers.wake import nudge as nudge
from hub.workers.wake import wake as wake


def enqueue(deliveries: Sequence[Delivery]) -> None:
    """Write the rows in the caller's transaction; wake workers when it commits."""
    if not deliveries:
        return
    Delivery.objects.bulk_create(deliveries)
    transaction.on_commit(_wake_drains, robust=True)


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
    transaction.on_commit(_wake_drains, robust=True)
    return len(receivers)


def _wake_drains() -> None:
    """They hold their shards all the time, and look less often when nothing comes."""
    nudge("deliveries")


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
