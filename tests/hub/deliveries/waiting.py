"""Rows of messages that wait for one receiver, and what becomes of them."""

from typing import Any
from uuid import uuid4

from hub.models import Delivery, Party
from hub.outbox import outbox
from simulators.testing import Running
from tests.hub.strangers import CUSTOM, Stranger, until


def platform_of(running: Running[Stranger]) -> int:
    """The id of its platform."""
    return Party.objects.filter(party_id=running.simulator.party.party_id)[0].platform_id


def delivery_to(
    running: Running[Stranger], path: str = "1", key: str = "key", **changes: Any
) -> Delivery:
    """A message to it that nobody has written yet."""
    party = running.simulator.party
    values = {
        "receiver_id": platform_of(running),
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
    return Delivery(**(values | changes))


def push(running: Running[Stranger], path: str = "1", key: str = "key", **changes: Any) -> Delivery:
    """A row that waits."""
    row = delivery_to(running, path, key, **changes)
    row.save(force_insert=True)
    return row


def wake() -> None:
    """Tell the drains to look."""
    outbox.nudge("deliveries")


def state_of(row: Delivery) -> str:
    """Its state by now."""
    row.refresh_from_db()
    return row.state


def deliver(row: Delivery) -> Delivery:
    """Let a drain carry it, and wait until it has ended."""
    wake()
    until(lambda: state_of(row) != "WAITING")
    return row


def status_of(running: Running[Stranger]) -> str:
    """Whether its party is CONNECTED."""
    return Party.objects.get(party_id=running.simulator.party.party_id).status
