"""The sweep: what it gives up, since no drain has it."""

import pytest
from django.db import connection
from django.utils import timezone

from hub import delivery
from hub.directory import holder
from hub.models import Delivery, Platform


@pytest.fixture
def snapshot(db):
    """The directory as of now; what the test's own transaction shows is forgotten after it."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # This transaction will not commit.
    yield holder.refresh()
    holder.__init__()


def _owed_to(receiver: int) -> Delivery:
    return Delivery.objects.create(
        receiver_id=receiver,
        ordering_key="key",
        module="locations",
        method="PUT",
        interface_role="RECEIVER",
        path="NL/CPO/1",
        body=b"{}",
        correlation_id="c",
    )


def test_what_is_owed_to_a_platform_that_has_just_come_is_not_dropped(snapshot):
    platform = Platform.objects.create(name="Just come", registered_at=timezone.now())
    row = _owed_to(platform.pk)
    assert platform.pk not in holder.current().platforms
    delivery.sweep()
    row.refresh_from_db()
    assert row.state == "WAITING"


def test_what_is_owed_to_nobody_is_dropped(snapshot):
    row = _owed_to(2**40)
    delivery.sweep()
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("DROPPED", "the receiver is not registered any more")
