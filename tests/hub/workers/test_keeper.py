"""Who holds which shards: an even part each, while workers come and go and shards change."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from hub.deliveries.keeper import Keeper
from hub.models import Delivery, DrainLease, Party, Sharding, WorkerProcess
from hub.ocpi.datatypes import Role
from hub.outbox import outbox
from tests.hub.strangers import CUSTOM, Stranger, until


@pytest.fixture
def another(hub) -> Iterator[Keeper]:
    """A second worker of deliveries: present, and at work a moment later."""
    keeper = Keeper()
    thread = threading.Thread(target=keeper.run, daemon=True)
    WorkerProcess.objects.create(
        name="another", queue="deliveries", lease_until=Now() + timedelta(minutes=1)
    )
    thread.start()
    yield keeper
    keeper.stop()
    thread.join(60)
    assert not thread.is_alive()
    WorkerProcess.objects.filter(name="another").delete()


def held(keeper: Keeper) -> int:
    return sum(holding.drain is not None for holding in list(keeper._held.values()))


def push(running) -> None:
    party = running.simulator.party
    platform = Party.objects.get(party_id=party.party_id).platform
    outbox.enqueue(
        [
            Delivery(
                receiver=platform,
                ordering_key="k",
                module=CUSTOM,
                method="PUT",
                interface_role="RECEIVER",
                path="1",
                body=b"{}",
                to_country_code=party.country_code,
                to_party_id=party.party_id,
                correlation_id="c",
            )
        ]
    )


def all_arrive(receivers) -> None:
    before = [len(one.simulator.got) for one in receivers]
    for one in receivers:
        push(one)
    for one, number in zip(receivers, before, strict=True):
        one.wait_for(lambda one=one, number=number: len(one.simulator.got) == number + 1)


def test_shards_are_shared_evenly_and_change_hands_while_everything_runs(hub, another):
    receivers = [hub.join(Stranger(Role.EMSP, listens=False)) for _ in range(4)]
    until(lambda: held(another) == 1 and DrainLease.held() == {0, 1})
    all_arrive(receivers)
    said = StringIO()
    call_command("delivery_shards", "4", stdout=said)
    assert said.getvalue() == "4 shards\n"
    until(lambda: held(another) == 2 and DrainLease.held() == {0, 1, 2, 3})
    assert set(DrainLease.objects.values_list("shards", flat=True)) == {4}
    all_arrive(receivers)
    # A worker that is gone: the other one takes all.
    WorkerProcess.objects.filter(name="another").delete()
    another.stop()
    until(lambda: held(another) == 0)
    until(lambda: DrainLease.held() == {0, 1, 2, 3})
    all_arrive(receivers)
    Sharding.change(2)
    until(lambda: DrainLease.held() == {0, 1})
    all_arrive(receivers)


@pytest.mark.parametrize("number", ["0", "257"])
def test_a_number_of_shards_that_makes_no_sense_is_refused(hub, number):
    with pytest.raises(CommandError, match=f"{number} is not a number from 1 to 256"):
        call_command("delivery_shards", number)
    assert Sharding.number() == 2
