"""The one lease: the database's clock and a fence; its holder's own end by a clock nobody sets."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db.models.functions import Now

from hub.db import leases
from hub.db.leases import LEASE, Lease
from hub.models import Party
from hub.models.pulls import Pull
from hub.ocpi.datatypes import Role
from hub.outbound.platform_calls import AsyncCaller, LeaseEnded
from simulators.testing import Running
from tests.hub.strangers import CUSTOM, Stranger, until


@pytest.fixture(params=[-10, 10])
def host_of_another_time(request) -> Iterator[None]:
    """This process's host is so many seconds behind the database's, or before it."""
    there = datetime.now(UTC) + timedelta(seconds=request.param)
    with time_machine.travel(there, tick=True):
        yield


@pytest.fixture(scope="module")
def party(hub) -> Running[Stranger]:
    return hub.join(Stranger(Role.EMSP, listens=False))


@pytest.fixture
def row(party) -> Iterator[Pull]:
    """Any row that is leased; nobody pulls this module."""
    identity = party.simulator.party
    platform = Party.objects.get(party_id=identity.party_id).platform
    row = Pull.objects.create(
        platform=platform,
        country_code=identity.country_code,
        party_id=identity.party_id,
        module="none",
        due_at=Now() + timedelta(days=1),
    )
    yield row
    row.delete()


def expire(row: Pull) -> None:
    Pull.objects.filter(pk=row.pk).update(lease_until=Now())


def is_leased(row: Pull) -> bool:
    return Pull.objects.filter(pk=row.pk, lease_until__gt=Now()).exists()


def test_one_holder_at_a_time_whatever_its_host_takes_for_the_time(row, host_of_another_time):
    first = leases.take(row)
    assert first is not None
    assert first.is_held
    assert leases.take(row) is None
    expire(row)
    second = leases.take(row)
    assert second is not None
    assert second.fence > first.fence


def test_a_lease_ends_for_its_holder_before_it_ends_for_others():
    now, whole = leases.clock(), LEASE.total_seconds()
    assert Lease(1, now - whole + leases.MARGIN + 3.0).is_held
    assert not Lease(1, now - whole + leases.MARGIN).is_held


def test_a_lease_is_kept_while_its_job_runs_and_given_back_however_that_ends(row):
    lease = leases.take(row)
    assert lease is not None

    def work() -> None:
        with leases.holding(row, lease):
            expire(row)
            until(lambda: is_leased(row))
            assert lease.is_held
            raise ValueError("the job")

    with pytest.raises(ValueError, match="the job"):
        work()
    assert not lease.is_held
    assert not is_leased(row)


def test_who_was_taken_over_hears_of_it_and_takes_nothing_back(row):
    taken = leases.take(row)
    assert taken is not None
    # For so long that it does not end before it hears of it.
    lease = Lease(taken.fence, leases.clock(), 1000.0)
    with leases.holding(row, lease):
        # A renewal may come between.
        other = until(lambda: expire(row) or leases.take(row))
        until(lambda: not lease.is_held)
    assert other is not None
    assert Pull.objects.get(pk=row.pk).fence == other.fence


def test_nothing_leaves_under_a_lease_that_has_ended(party):
    simulator = party.simulator
    url = f"{simulator.endpoint_url(CUSTOM, 'receiver')}/leased"
    before = len(simulator.got)

    async def send(lease: Lease) -> int:
        caller = AsyncCaller()
        try:
            answer = await caller.call(1, "PUT", url, {}, b"{}", lease=lease)
        finally:
            caller.close()
        return answer.status

    with pytest.raises(LeaseEnded):
        asyncio.run(send(Lease(1, leases.clock() - LEASE.total_seconds())))
    assert len(simulator.got) == before
    assert asyncio.run(send(Lease(1, leases.clock()))) == 200
    assert len(simulator.got) == before + 1
