"""Pushes that the hub owes: written with the change, carried by jobs, never lost.

In the order they run: `outbox.enqueue`, `deliver` (the Celery task), `_send`, `_record`,
`_give_up`; `sweep` picks up what was left behind.
OCPI says not to queue for a party that is away (transport_and_format, Offline behaviour): a push
is tried a few times within seconds; then the party is OFFLINE and what waits for it is dropped.
"""

import logging
from datetime import timedelta

from celery import shared_task
from django.db import models
from django.utils import timezone

from hub import outbound, outbox, party_status
from hub.directory import PlatformEntry, holder
from hub.leases import LEASE, process_name, renewed
from hub.models import Delivery, DeliveryState
from hub.ocpi import envelope, headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import HubError
from hub.record.calls import noted
from hub.record.note import Kind

logger = logging.getLogger(__name__)
# Pauses before the second and third attempt; after the third the receiver is given up.
PAUSES = (timedelta(seconds=1), timedelta(seconds=3))
_ATTEMPTS = len(PAUSES) + 1
SECONDS = 10.0


@shared_task
def deliver(receiver: int, ordering_key: str) -> None:
    """Carry what waits for one receiver under one ordering key, oldest first."""
    while (delivery := _claim(receiver, ordering_key)) is not None:
        directory = holder.current()
        platform = directory.platforms.get(receiver)
        if platform is None or not platform.is_registered:
            _end(delivery, DeliveryState.DROPPED, "the receiver is not registered any more")
            continue
        url = _url(delivery, platform)
        if url is None:
            _end(delivery, DeliveryState.DROPPED, f"the receiver offers no {delivery.module}")
            continue
        try:
            with renewed(delivery):
                response = _send(delivery, platform, url)
        except HubError as error:
            if not _retry(delivery, error):
                _give_up(delivery, error)
            return
        _record(delivery, response)


def _claim(receiver: int, ordering_key: str) -> Delivery | None:
    """Lease the oldest waiting row of the key, if nobody has it and it is due."""
    now = timezone.now()
    claimed = Delivery.objects.raw(
        """
        UPDATE hub_delivery SET lease_owner = %s, lease_until = %s, attempts = attempts + 1
        WHERE id = (SELECT min(id) FROM hub_delivery
                    WHERE receiver_id = %s AND ordering_key = %s AND state = 'WAITING')
          AND state = 'WAITING' AND not_before <= %s
          AND (lease_until IS NULL OR lease_until <= %s)
        RETURNING *
        """,
        [process_name(), now + LEASE, receiver, ordering_key, now, now],
    )
    return next(iter(claimed), None)


def _url(delivery: Delivery, platform: PlatformEntry) -> str | None:
    """Where it goes; None when the receiver does not offer the interface any more."""
    if not delivery.interface_role:
        return delivery.path
    endpoint = platform.endpoint(delivery.module, InterfaceRole(delivery.interface_role))
    return None if endpoint is None else f"{endpoint.rstrip('/')}/{delivery.path}"


def _send(delivery: Delivery, platform: PlatformEntry, url: str) -> outbound.Response:
    """One attempt; HubError when the receiver was not reached or did not answer."""
    sent = {
        "Authorization": platform.authorization,
        "Content-Type": "application/json",
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: delivery.correlation_id,
    }
    if delivery.to_party_id:
        sent |= {
            headers.FROM_COUNTRY_CODE: delivery.from_country_code,
            headers.FROM_PARTY_ID: delivery.from_party_id,
            headers.TO_COUNTRY_CODE: delivery.to_country_code,
            headers.TO_PARTY_ID: delivery.to_party_id,
        }
    body = delivery.content
    role = InterfaceRole(delivery.interface_role) if delivery.interface_role else None
    with noted(
        Kind.DELIVERY if role else Kind.CALLBACK,
        delivery.method,
        sent,
        platform,
        module=delivery.module,
        role=role,
        rest=delivery.path,
        body=body,
    ) as call:
        return call.answered(outbound.call(delivery.method, url, sent, body, seconds=SECONDS))


def _record(delivery: Delivery, response: outbound.Response) -> None:
    """The receiver has answered: taken, or refused for good."""
    answer = envelope.read_answer(response.body)
    accepted = envelope.is_accepted(response.status, response.body)
    outcome = f"HTTP {response.status}, OCPI {answer.status_code}"
    if not accepted:
        outcome = f"{outcome}: {answer.status_message or 'no message'}"
    _end(delivery, DeliveryState.DELIVERED if accepted else DeliveryState.REFUSED, outcome)


def _end(delivery: Delivery, state: DeliveryState, outcome: str) -> None:
    """Mark the row, unless a lease that ran out has let another worker do so."""
    Delivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.WAITING, lease_owner=process_name()
    ).update(state=state, outcome=outcome[:300], ended_at=timezone.now(), lease_until=None)
    logger.info(
        "%s %s to platform %s: %s (%s), attempt %s, correlation %s",
        delivery.method,
        delivery.module,
        delivery.receiver_id,
        state.value,
        outcome,
        delivery.attempts,
        delivery.correlation_id,
    )


def _retry(delivery: Delivery, error: HubError) -> bool:
    """Free the row for another attempt; False when it had its last."""
    if delivery.attempts >= _ATTEMPTS:
        return False
    due = timezone.now() + PAUSES[delivery.attempts - 1]
    Delivery.objects.filter(
        pk=delivery.pk, state=DeliveryState.WAITING, lease_owner=process_name()
    ).update(not_before=due, lease_until=None, outcome=error.message[:300])
    return True


def _give_up(delivery: Delivery, error: HubError) -> None:
    """After the last attempt: the receiver is OFFLINE, and what waits for it is dropped."""
    _end(delivery, DeliveryState.FAILED, error.message)
    party_status.is_away(delivery.receiver_id, error.message)


@shared_task
def sweep() -> None:
    """Wake workers for rows that are due but nobody carries."""
    now = timezone.now()
    due = (
        Delivery.objects.filter(
            models.Q(lease_until__isnull=True, created_at__lt=now - timedelta(seconds=1))
            | models.Q(lease_until__lt=now),
            state=DeliveryState.WAITING,
            not_before__lte=now,
        )
        .values_list("receiver", "ordering_key")
        .distinct()[:1000]
    )
    for receiver, ordering_key in due:
        outbox.wake("hub.delivery.deliver", receiver, ordering_key)
