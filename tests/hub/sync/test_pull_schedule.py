"""Whose lists the hub fetches and when; what a whole list has no more (Object Pull)."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from hub.models import Party, Platform, PullRule
from hub.models.pulls import Pull
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.sync import pull_tasks
from locations.models import Location
from simulators.testing import Running
from tariffs.models import Tariff
from tests.hub.lists import Lists, location, page_of, tariff
from tests.hub.pulling import five, kept, row_of, run, told
from tests.hub.strangers import SENDER, Stranger, ask, until
from tests.running_hub import new_party

HUB = PartyId("NL", "HUB")


@pytest.fixture(autouse=True)
def _quick(settings) -> None:
    settings.PULL_PAUSE = 0.001
    # No list is due by itself while a test asks for one.
    settings.PULL_SPLAY = 1e6


@pytest.fixture
def source(hub) -> Running[Stranger]:
    """A CPO of its own for each test."""
    return hub.join(Stranger(Role.CPO, listens=False))


@pytest.fixture
def listener(hub) -> Running[Stranger]:
    """An eMSP that is told what changes."""
    return hub.join(Stranger(Role.EMSP, listens=False))


# --- Whose lists, and when -----------------------------------------------------------------------


def _sweep(platform_id: int) -> None:
    """By the clock, when all lists of the platform are due, until they are read."""
    pull_tasks.queue_due()
    due = Pull.objects.filter(platform=platform_id)
    due.update(due_at=timezone.now(), woken_at=None)
    pull_tasks.queue_due()
    until(lambda: not Pull.objects.due(timezone.now()).filter(pk__in=due))
    until(lambda: not due.filter(lease_until__gt=timezone.now()))


def _platform(running: Running[Stranger]) -> Platform:
    return Party.objects.filter(party_id=running.simulator.party.party_id)[0].platform


def _rules(hub, running: Running[Stranger], rule: PullRule) -> None:
    Platform.objects.filter(pk=_platform(running).pk).update(pull_rule=rule)


def test_a_new_party_is_pulled_by_itself_according_to_its_role(hub):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    other = hub.join(Stranger(Role.OTHER, listens=False))
    scsp = hub.join(Stranger(Role.SCSP, listens=False))
    half = hub.join(Stranger(Role.CPO, listens=False, offers=[("tariffs", SENDER)]))
    found = {}
    for running in (cpo, other, scsp, half):
        lists = Lists(running.simulator)
        _sweep(_platform(running).pk)
        found[running] = {message.module for message in lists.asked}
    assert found == {
        cpo: {"locations", "tariffs"},
        other: {"tokens"},
        scsp: set(),
        half: {"tariffs"},
    }


def test_each_cpo_of_a_platform_is_asked_for_its_own(hub):
    second = new_party()
    both = hub.join(Stranger(Role.CPO, more=[(second, Role.CPO)], listens=False))
    first = both.simulator.party
    lists = Lists(both.simulator)
    lists.answers = lambda message: page_of([location(message.to_party, "L1")])
    _sweep(_platform(both).pk)
    asked = [m.to_party for m in lists.asked if m.module == "locations"]
    assert sorted(asked) == sorted([first, second])
    for party in (first, second):
        assert Location.objects.filter(owner=str(party), object_id="L1").exists()


def test_who_pushes_is_not_asked_unless_the_operator_says_always(hub, source):
    lists = Lists(source.simulator, locations=five(source), tariffs=[])
    platform = _platform(source)
    _sweep(platform.pk)
    party = source.simulator.party
    path = f"receiver/locations/{party.country_code}/{party.party_id}/L9"
    body = json.dumps(location(party, "L9")).encode()
    assert ask(hub, source, "PUT", path, to=HUB, body=body).code == 1000
    assert row_of(source).pushed_at > timezone.now() - timedelta(minutes=1)
    for rule, module, expected in (
        (PullRule.WHEN_SILENT, "locations", False),
        (PullRule.WHEN_SILENT, "tariffs", True),
        (PullRule.ALWAYS, "locations", True),
        (PullRule.NEVER, "locations", False),
    ):
        _rules(hub, source, rule)
        lists.asked.clear()
        _sweep(platform.pk)
        assert (module in {message.module for message in lists.asked}) is expected, rule
    long_ago = timezone.now() - timedelta(days=8)
    _rules(hub, source, PullRule.WHEN_SILENT)
    Pull.objects.filter(platform=platform).update(pushed_at=long_ago)
    lists.asked.clear()
    _sweep(platform.pk)
    assert "locations" in {message.module for message in lists.asked}


def test_after_a_run_the_next_is_due_by_the_schedule_and_not_at_the_same_moment_for_all(
    hub, source, settings
):
    settings.PULL_EVERY = 1000.0
    Lists(source.simulator)
    due = {run(source, module).due_at for module in ("locations", "tariffs")}
    seconds = [(moment - timezone.now()).total_seconds() for moment in due]
    assert len(due) == 2
    assert all(850 < value < 1001 for value in seconds)


def test_a_platform_is_asked_one_page_at_a_time(hub):
    running = hub.join(Stranger(Role.CPO, more=[(new_party(), Role.CPO)], listens=False))
    open_now, most = [], []
    lists = Lists(running.simulator)

    async def slowly(message):
        open_now.append(message)
        most.append(len(open_now))
        await asyncio.sleep(0.05)
        open_now.remove(message)
        return lists.say(message)

    running.simulator.says = slowly
    platform = _platform(running).pk
    pull_tasks.queue_due()
    Pull.objects.filter(platform=platform).update(due_at=timezone.now())
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(pull_tasks.take_turn, [platform] * 4))
    until(lambda: len(most) == 4)
    assert set(most) == {1}


# --- What is gone --------------------------------------------------------------------------------


@pytest.fixture
def priced(hub, source) -> Lists:
    """Three Tariffs, read once."""
    documents = [tariff(source.simulator.party, f"T{number}") for number in range(3)]
    lists = Lists(source.simulator, tariffs=documents)
    run(source, "tariffs")
    return lists


def test_a_tariff_that_a_full_list_has_no_more_is_deleted_and_that_is_told(
    hub, source, listener, priced
):
    del priced.documents["tariffs"][1]
    assert run(source, "tariffs").removed == 0
    assert kept(Tariff, source) == ["T0", "T1", "T2"]
    row = run(source, "tariffs", full=True)
    assert (row.removed, row.unchanged) == (1, 2)
    assert kept(Tariff, source) == ["T0", "T2"]
    (message,) = until(lambda: told(listener, source, "tariffs"))
    assert (message.method, message.parts[-1], message.body) == ("DELETE", "T1", b"")


def test_no_tariff_is_deleted_because_of_a_list_that_is_broken(hub, source, priced):
    documents = priced.documents["tariffs"]
    documents[1] |= {"currency": 7}
    assert run(source, "tariffs", full=True).removed == 0
    del documents[1]
    priced.answers = lambda message: page_of(documents, X_Total_Count="3")
    assert run(source, "tariffs", full=True).removed == 0
    priced.answers = lambda message: page_of([])
    assert run(source, "tariffs", full=True).removed == 0
    assert kept(Tariff, source) == ["T0", "T1", "T2"]


def test_a_location_that_is_gone_stays(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    run(source)
    del lists.documents["locations"][1:]
    assert run(source, full=True).removed == 0
    assert len(kept(Location, source)) == 5


def test_now_and_then_the_whole_list_is_read_again(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    row = run(source)
    Pull.objects.filter(pk=row.pk).update(full_finished_at=timezone.now() - timedelta(days=8))
    run(source)
    assert "date_from" not in lists.asked[-1].query
    run(source)
    assert "date_from" in lists.asked[-1].query


def test_a_time_ahead_of_the_hubs_clock_hides_nothing_that_comes_after(hub, source):
    ahead = location(source.simulator.party, "L1", last_updated="2099-01-01T00:00:00Z")
    Lists(source.simulator, locations=[ahead])
    assert run(source).high_water_mark < timezone.now()
    assert run(source).date_from < datetime.now(UTC)
