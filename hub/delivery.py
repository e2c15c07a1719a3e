"""Pushes that the hub owes: written with the change, carried by jobs, never lost.

In the order they run: `outbox.enqueue` or `spread`; `drain`, the job that carries what waits for a
shard of the receivers (`hub/drains/drain.py`); `sweep`, which starts what nobody has started.
"""

import asyncio
import logging

import psycopg
import uvloop
from celery import shared_task
from celery.worker import state as worker_state
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from hub import outbox
from hub.directory import holder
from hub.drains.drain import Drain
from hub.drains.shard import LeaseLost, Shard
from hub.models import Delivery, DeliveryState, DrainLease
from hub.record import counters

logger = logging.getLogger(__name__)


@shared_task
def drain(shard: int) -> None:
    """Carry what waits for the receivers of one shard, until nothing does."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_drain(shard))
        except LeaseLost:
            logger.warning("shard %s was taken over by another worker", shard)
        except (psycopg.Error, DatabaseError) as error:
            # What was not marked is repeated by the next drain; the sweep starts it.
            logger.warning("the drain of shard %s ended: %s", shard, error)


async def _drain(number: int) -> None:
    async with Shard(number) as shard:
        # A row may be written between the last look and the end: whoever wrote it saw the lease
        # held and woke nobody. So there is a look after the lease is given back.
        while await shard.take():
            receivers = await Drain(shard, _is_stopping).run()
            if _is_stopping() or not await shard.has_waiting(receivers):
                return


@shared_task
def sweep() -> None:
    """Wake a worker for each shard in which something waits and that nobody holds."""
    held = DrainLease.held()
    waiting_for = outbox.receivers_waiting()
    # Read after the rows: an older snapshot does not know a platform that has just come.
    known = holder.refresh().platforms
    for receiver in waiting_for:
        if receiver not in known:
            waiting = Delivery.objects.filter(receiver=receiver, state=DeliveryState.WAITING)
            dropped = waiting.update(
                state=DeliveryState.DROPPED,
                outcome="the receiver is not registered any more",
                ended_at=timezone.now(),
            )
            counters.delivery_ended(receiver, DeliveryState.DROPPED, dropped)
        elif (shard := DrainLease.shard_of(receiver)) not in held:
            held.add(shard)
            outbox.wake_drain(shard)


def _is_stopping() -> bool:
    """Whether the worker was told to stop; Celery keeps its exit code, which may be 0."""
    return any(
        value is not None and value is not False
        for value in (worker_state.should_stop, worker_state.should_terminate)
    )
