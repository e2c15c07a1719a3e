"""manage.py pull."""

import pytest
from django.core.management import CommandError

from hub.models.pulls import Pull
from hub.ocpi.datatypes import Role
from tests.hub.commands.calling import run
from tests.hub.lists import Lists, location
from tests.hub.strangers import Stranger, raw, until


@pytest.fixture(autouse=True)
def _only_on_request(settings) -> None:
    settings.PULL_SPLAY = 1e6


@pytest.fixture
def source(hub):
    """A CPO of its own for each test."""
    return hub.join(Stranger(Role.CPO, listens=False))


def test_it_asks_for_the_lists_and_a_worker_reads_them(source):
    lists = Lists(source.simulator, locations=[location(source.simulator.party, "L1")])
    party = source.simulator.party
    told = run("pull", *party, "--module", "locations")
    assert told == f"locations of {party}: a worker begins now.\n"
    until(lambda: Pull.objects.filter(party_id=party.party_id, stored=1).exists())
    assert {message.module for message in lists.asked} == {"locations"}


def test_it_waits_and_says_what_was_found(source):
    party = source.simulator.party
    Lists(source.simulator, locations=[location(party, "L1"), {"id": "L2"}])
    locations, tariffs = run("pull", *party, "--wait").splitlines()
    assert locations.startswith(f"locations of {party}: FINISHED, 1 pages, 1 stored, 0 unchanged, ")
    assert locations.endswith("1 not valid, 0 of others, 0 over quota, 0 removed")
    assert tariffs.startswith(f"tariffs of {party}: FINISHED, 1 pages, 0 stored")


def test_it_fails_when_a_list_is_refused(source):
    Lists(source.simulator).answers = lambda message: raw(b"", 403)
    with pytest.raises(CommandError, match="Not read to the end: locations of"):
        run("pull", *source.simulator.party, "--module", "locations", "--wait")


def test_with_full_the_whole_list_is_read(source):
    party = source.simulator.party
    lists = Lists(source.simulator, locations=[location(party, "L1")])
    for options in ((), (), ("--full",)):
        run("pull", *party, "--module", "locations", "--wait", *options)
    assert ["date_from" in message.query for message in lists.asked] == [False, True, False]


def test_who_has_no_such_list_is_told(hub, source):
    with pytest.raises(CommandError, match="NL-XXX is not a party of this hub"):
        run("pull", "NL", "XXX")
    with pytest.raises(CommandError, match="offers no list of tokens"):
        run("pull", *source.simulator.party, "--module", "tokens")
