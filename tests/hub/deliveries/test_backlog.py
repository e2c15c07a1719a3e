"""Broadcasts are refused while nobody delivers, and for no slow receiver."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from hub.models import Delivery, DrainLease, Sharding
from hub.ocpi.errors import ServerError
from hub.outbox.backlog import backlog
from tests.hub.deliveries.waiting import push, state_of, wake
from tests.hub.strangers import Gate, until


@pytest.fixture
def fresh_backlog(hub):
    """Looks anew; the worker has all shards by now."""
    until(lambda: DrainLease.objects.count() == Sharding.number())
    backlog.__init__()
    yield
    backlog.__init__()


def test_a_broadcast_is_refused_while_nobody_delivers(hub, receiver, fresh_backlog):
    with transaction.atomic():  # Seen by nobody else.
        DrainLease.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
        push(receiver)
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


def test_one_slow_receiver_keeps_no_broadcast_of_others_away(hub, receiver, fresh_backlog):
    gate = receiver.simulator.says = Gate()
    row = push(receiver, created_at=timezone.now() - timedelta(minutes=1))
    wake()
    receiver.wait_for(lambda: receiver.simulator.got)
    backlog.check()
    gate.is_open.set()
    until(lambda: state_of(row) == "DELIVERED")
