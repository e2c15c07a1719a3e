"""The outbox: rows for the pushes that the hub owes, written with the change that causes them."""

import logging
from collections.abc import Sequence

from celery.exceptions import CeleryError
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from hub.celery import app
from hub.models import Delivery

logger = logging.getLogger(__name__)
# What publishing raises when the broker is away; the sweeps find the rows without it.
BROKER_ERRORS = (CeleryError, KombuError, RedisError, OSError)


def enqueue(deliveries: Sequence[Delivery]) -> None:
    """Write the rows in the caller's transaction; wake workers when it commits."""
    if not deliveries:
        return
    rows = Delivery.objects.bulk_create(deliveries)
    keys = {(row.receiver_id, row.ordering_key): None for row in rows}

    def wake_all() -> None:
        for receiver, ordering_key in keys:
            wake("hub.delivery.deliver", receiver, ordering_key)

    transaction.on_commit(wake_all)


def wake(task: str, *arguments: object) -> None:
    """Tell a worker that a row waits. With no broker the sweep finds it a second later."""
    try:
        app.send_task(task, args=arguments, retry=False)
    except BROKER_ERRORS as error:
        logger.warning("no broker to wake a worker for %s: %s", task, error)
