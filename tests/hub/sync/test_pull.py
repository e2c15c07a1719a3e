"""The hub fetches the lists of parties that do not push (Client Owned Object Pull, Pagination)."""

import json
import logging
from datetime import timedelta

import msgspec
import pytest
from django.db import connection, transaction
from django.utils import timezone

from hub.models import Party, StaleCopy
from hub.models.pulls import Pull, PullState, Untold
from hub.models.replays import under_way_since
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.routing.directory import holder
from hub.sync import pull_tasks, pulled_objects, tell_pulled
from hub.sync.pulled_page import PulledPage
from locations.models import Location
from simulators.testing import Running
from tests.hub.lists import Lists, location, page_of, token
from tests.hub.pulling import five, kept, row_of, run, told
from tests.hub.pushing import settled
from tests.hub.strangers import Stranger, ask, raw, until
from tests.running_hub import new_party
from tokens.models import Token

HUB = PartyId("NL", "HUB")
LATER = "2026-02-01T00:00:00Z"


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


# --- What becomes of a list ----------------------------------------------------------------------


def test_the_first_pull_stores_all_pages_and_tells_nobody(hub, source, listener):
    lists = Lists(source.simulator, locations=five(source))
    row = run(source)
    assert (row.state, row.pages, row.stored, row.last_error) == (PullState.FINISHED, 3, 5, "")
    assert not StaleCopy.objects.filter(owner=str(source.simulator.party))
    assert kept(Location, source) == ["L0", "L1", "L2", "L3", "L4"]
    assert lists.offsets() == [0, 2, 4]
    assert "date_from" not in lists.asked[0].query
    for message in lists.asked:
        assert message.from_party == HUB
        assert message.to_party == source.simulator.party
        assert message.headers["X-Request-ID"]
    assert not told(listener, source)


def test_later_only_what_changed_is_asked_for_and_is_told_like_a_push(hub, source, listener):
    documents = five(source)
    lists = Lists(source.simulator, locations=documents)
    run(source)
    documents[3] |= {"city": "Brugge", "last_updated": LATER}
    lists.asked.clear()
    row = run(source)
    # The latest `last_updated` that was seen, less the overlap.
    assert lists.asked[0].query["date_from"] == "2025-12-31T23:50:00Z"
    assert (row.stored, row.unchanged) == (1, 4)
    (message,) = until(lambda: told(listener, source))
    assert json.loads(message.body) == documents[3]
    assert message.method == "PUT"
    assert message.parts == (*source.simulator.party, "L3")
    assert message.from_party == HUB
    assert message.to_party == listener.simulator.party
    run(source)
    assert lists.asked[-1].query["date_from"] == "2026-01-31T23:50:00Z"
    settled(listener)
    assert len(told(listener, source)) == 1


def test_other_content_of_the_same_time_is_news_and_other_bytes_are_none(hub, source, listener):
    documents = five(source)[:2]
    Lists(source.simulator, locations=documents)
    run(source)
    documents[0] |= {"city": "Brugge"}
    documents[1] = dict(reversed(documents[1].items()))
    row = run(source)
    assert (row.stored, row.unchanged) == (1, 1)
    (message,) = until(lambda: told(listener, source))
    assert message.parts[-1] == "L0"


def test_what_the_hub_has_newer_stays(hub, source, listener):
    lists = Lists(source.simulator, locations=five(source)[:1])
    run(source)
    party = source.simulator.party
    path = f"receiver/locations/{party.country_code}/{party.party_id}/L0"
    newer = location(party, "L0", city="Pushed", last_updated=LATER)
    assert ask(hub, source, "PUT", path, to=HUB, body=json.dumps(newer).encode()).code == 1000
    assert lists.documents["locations"][0]["city"] == "Gent"
    row = run(source, full=True)
    assert (row.stored, row.unchanged) == (0, 1)
    found = Location.objects.get(owner=str(party))
    assert json.loads(bytes(found.document))["city"] == "Pushed"


def test_objects_of_parties_elsewhere_are_not_taken(hub, source, listener):
    stranger = location(new_party(), "L0")
    Lists(source.simulator, locations=[stranger, *five(source)[:1]])
    row = run(source)
    assert (row.stored, row.foreign) == (1, 1)
    assert not Location.objects.filter(owner=f"XX-{stranger['party_id']}").exists()


def test_an_object_that_is_not_valid_is_skipped_and_named(hub, source, caplog):
    documents = five(source)
    documents[1]["coordinates"] = "51.0, 3.7"
    with caplog.at_level(logging.WARNING, logger="hub.pulled"):
        Lists(source.simulator, locations=documents)
        row = run(source)
    assert (row.state, row.stored, row.bad) == (PullState.FINISHED, 4, 1)
    (line,) = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert "'L1'" in line
    assert "$.coordinates" in line


def test_an_object_twice_in_a_page_counts_once_the_newer(hub, source):
    twice = [
        location(source.simulator.party, "l0", city=city, last_updated=moment)
        for city, moment in (("New", LATER), ("Old", "2026-01-01T00:00:00Z"))
    ]
    Lists(source.simulator, locations=twice)
    row = run(source)
    assert (row.stored, row.unchanged) == (1, 1)
    found = Location.objects.get(owner=str(source.simulator.party))
    assert json.loads(bytes(found.document))["city"] == "New"


def test_tokens_come_from_emsps_and_no_uid_is_logged(hub, caplog):
    emsp = hub.join(Stranger(Role.EMSP, listens=False))
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    party = emsp.simulator.party
    documents = [token(party, "SECRET1"), token(party, "SECRET2", valid="x"), token(party, "A/B")]
    Lists(emsp.simulator, tokens=documents)
    with caplog.at_level(logging.INFO):
        row = run(emsp, "tokens")
    assert (row.stored, row.bad) == (2, 1)
    assert "SECRET" not in caplog.text
    assert Token.objects.filter(owner=str(party), type="APP_USER").count() == 2
    documents[2] |= {"valid": False, "last_updated": LATER}
    run(emsp, "tokens")
    (message,) = until(lambda: told(cpo, emsp, "tokens"))
    assert message.parts[-1] == "A/B"
    assert message.query["type"] == "APP_USER"


def test_a_single_object_instead_of_a_list_is_taken(hub, source):
    Lists(source.simulator).answers = lambda message: raw(
        json.dumps({"status_code": 1000, "data": five(source)[0]}).encode()
    )
    assert run(source).stored == 1


# --- Links as real parties write them ------------------------------------------------------------


@pytest.mark.parametrize("total", [True, False])
def test_a_link_that_leads_back_is_not_followed_for_ever(hub, source, total):
    lists = Lists(source.simulator, locations=five(source))
    lists.total = total
    lists.link = lambda message, following: f"{source.url}{message.path}?offset=2&limit=500"
    row = run(source)
    assert row.state == PullState.FINISHED
    # X-Total-Count tells that there is more, and our own counting where.
    assert row.stored == (5 if total else 4)
    assert ("leads back" in row.last_error) is not total
    assert row.pages <= 4


def test_without_link_the_hub_counts_on(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    lists.link = lambda message, following: None
    row = run(source)
    assert (row.stored, row.last_error) == (5, "")
    assert lists.offsets() == [0, 2, 4]


@pytest.mark.parametrize(
    "origin", ["https://{netloc}", "http://cpo.internal:8080/behind/the/proxy"]
)
def test_a_link_to_elsewhere_is_followed_at_the_host_that_was_asked(hub, source, origin):
    lists = Lists(source.simulator, locations=five(source))
    netloc = source.url.partition("//")[2]
    lists.link = lambda message, following: (
        following and f"{origin.format(netloc=netloc)}{message.path}?offset={following}"
    )
    assert run(source).stored == 5


def test_a_list_that_goes_on_and_on_with_the_same_page_ends(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    lists.total = False
    lists.answers = lambda message: page_of(
        five(source)[:2],
        Link=f"<{source.url}{message.path}?offset={int(message.query['offset']) + 2}>; rel=next",
    )
    row = run(source)
    assert (row.pages, row.stored) == (2, 2)
    assert "leads back" in row.last_error


def test_a_circle_of_links_that_takes_longer_than_a_turn_ends_by_the_count():
    url = "http://127.0.0.1:9/locations"
    page = PulledPage(url, [msgspec.Raw(b"{}")], b"", f"{url}?offset=4", 10, "")
    assert page.followers(4)
    assert not page.followers(2000)


def test_an_empty_page_ends_the_list_whatever_its_link_says(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    lists.total = False
    lists.link = lambda message, following: (
        f"{source.url}{message.path}?offset={int(message.query['offset']) + 2}"
    )
    row = run(source)
    assert (row.pages, row.stored, row.last_error) == (4, 5, "")


def test_a_list_shorter_than_it_says_is_read_from_the_same_time_again(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    lists.answers = lambda message: page_of([] if len(lists.asked) > 1 else five(source)[:2],
                                            X_Total_Count="5")  # fmt: skip
    row = run(source)
    assert row.last_error == "the list ended after 2 of 5 objects"
    lists.answers = lambda message: None
    lists.asked.clear()
    assert run(source).stored == 3
    assert "date_from" not in lists.asked[0].query


# --- What goes wrong, and goes on ----------------------------------------------------------------


def test_a_run_goes_on_where_it_broke_off(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    lists.answers = lambda message: raw(b"", 500) if message.query["offset"] == "2" else None
    (row,) = pull_tasks.request(source.simulator.party, ["locations"])
    row = until(lambda: Pull.objects.filter(pk=row.pk, failures=1).first())
    assert (row.state, row.stored, row.pages) == (PullState.RUNNING, 2, 1)
    assert "HTTP 500" in row.last_error
    assert row.due_at > timezone.now()
    lists.answers = lambda message: None
    lists.asked.clear()
    row = run(source)
    assert (row.state, row.stored, row.pages, row.last_error) == (PullState.FINISHED, 5, 3, "")
    assert lists.offsets() == [2, 4]


def test_a_page_read_twice_changes_nothing(hub, source, listener):
    lists = Lists(source.simulator, locations=five(source))
    run(source)
    # As if the process had died between the answer and the commit.
    Pull.objects.filter(pk=row_of(source).pk).update(
        next_url=f"{source.url}{lists.asked[1].path}?offset=2&limit=500", state=PullState.RUNNING
    )
    row = run(source)
    assert (row.stored, row.state) == (5, PullState.FINISHED)
    assert kept(Location, source) == ["L0", "L1", "L2", "L3", "L4"]
    assert not told(listener, source)


def test_what_was_kept_is_told_though_its_worker_died_and_to_who_came_meanwhile(
    hub, source, listener
):
    documents = [location(source.simulator.party, f"L{n}", city="Gent") for n in range(205)]
    lists = Lists(source.simulator, locations=documents)
    lists.size = 500
    assert run(source).stored == 205  # In two transactions.
    for one in documents:
        one |= {"city": "Brugge", "last_updated": LATER}
    row = row_of(source)
    asked = holder.refresh()
    page = PulledPage(
        "", [msgspec.Raw(json.dumps(one).encode()) for one in documents], b"", None, 1, "c"
    )
    objects = pulled_objects.objects_of(row, page, asked)
    with transaction.atomic():
        untold = pulled_objects.keep(row, objects, "died")
    since = Location.objects.filter(owner=str(source.simulator.party)).earliest("received_at")
    assert under_way_since() <= untold.since <= since.received_at
    late = hub.join(Stranger(Role.EMSP, listens=False))
    tell_pulled.advance()
    assert not Untold.objects.exists()
    for receiver in (listener, late):
        until(lambda receiver=receiver: len({m.parts for m in told(receiver, source)}) == 205)
        assert told(receiver, source)[-1].json()["city"] == "Brugge"


def test_a_page_whose_url_has_run_out_begins_the_list_anew(hub, source):
    lists = Lists(source.simulator, locations=five(source))
    refuses = [True]
    lists.answers = lambda message: (
        raw(b'{"status_code":2001}') if message.query["offset"] == "2" and refuses else None
    )
    (row,) = pull_tasks.request(source.simulator.party, ["locations"])
    until(lambda: Pull.objects.filter(pk=row.pk, failures=1, next_url="").exists())
    refuses.clear()
    row = run(source)
    assert (row.stored, row.unchanged) == (3, 2)
    assert kept(Location, source) == ["L0", "L1", "L2", "L3", "L4"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_party_that_asks_to_wait_is_waited_for(hub, source, status):
    lists = Lists(source.simulator, locations=five(source))
    lists.answers = lambda message: raw(b"", status, Retry_After="3000")
    (row,) = pull_tasks.request(source.simulator.party, ["locations"])
    row = until(lambda: Pull.objects.filter(pk=row.pk, failures=1).first())
    assert timedelta(minutes=45) < row.due_at - timezone.now() < timedelta(minutes=51)
    assert not pull_tasks.take_turn(row.platform_id)
    assert len(lists.asked) == 1


@pytest.mark.parametrize("answer", [(b'{"status_code":2000}', 200), (b"", 401), (b"", 404)])
def test_a_list_that_is_refused_is_given_up_until_it_is_due_again(hub, source, answer):
    lists = Lists(source.simulator)
    lists.answers = lambda message: raw(*answer)
    row = run(source)
    assert row.state == PullState.FAILED
    assert row.last_error
    assert row.due_at > timezone.now() + timedelta(minutes=50)
    # A token that is refused in one form is sent once in the other.
    assert len(lists.asked) == (2 if answer == (b"", 401) else 1)


def test_a_party_that_never_answers_well_is_given_up_after_some_times(hub, source):
    lists = Lists(source.simulator)
    lists.answers = lambda message: raw(b"<h1>Oops</h1>")
    (row,) = pull_tasks.request(source.simulator.party, ["locations"])
    for failures in (1, 2, 3, 4):
        until(lambda n=failures: Pull.objects.filter(pk=row.pk, failures=n, lease_until=None))
        Pull.objects.filter(pk=row.pk).update(due_at=timezone.now())
        pull_tasks.take_turn(row.platform_id)
    row = row_of(source)
    assert (row.state, row.is_requested, len(lists.asked)) == (PullState.FAILED, False, 5)


def test_a_silent_party_holds_nobody_up_and_is_not_asked_while_it_is_away(hub, source):
    Lists(source.simulator, locations=five(source))
    dead = hub.join(Stranger(Role.CPO, listens=False))
    (row,) = pull_tasks.request(dead.simulator.party, ["locations"])
    dead.set_faults(gone=True)
    Pull.objects.filter(pk=row.pk).update(due_at=timezone.now())
    assert run(source).stored == 5
    Party.objects.filter(platform=row.platform_id).update(status="OFFLINE")
    until(lambda: pull_tasks.take_turn(row.platform_id) or row_of(dead).due_at > timezone.now())
    with pytest.raises(pull_tasks.NothingToPull, match="is OFFLINE"):
        pull_tasks.request(dead.simulator.party, ["locations"])


@pytest.fixture
def no_deliveries(hub):
    """The database takes no mark of Locations while this is open."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE hub_stalecopy ADD CONSTRAINT none CHECK (module <> 'locations') NOT VALID"
        )

    def take_again() -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hub_stalecopy DROP CONSTRAINT IF EXISTS none")

    yield take_again
    take_again()


def test_a_page_is_kept_while_the_outbox_takes_nothing_and_told_by_the_clock(
    hub, source, listener, no_deliveries
):
    documents = five(source)[:1]
    Lists(source.simulator, locations=documents)
    run(source)
    documents[0] |= {"city": "Brugge", "last_updated": LATER}
    assert run(source).failures == 0
    found = Location.objects.get(owner=str(source.simulator.party))
    assert json.loads(bytes(found.document))["city"] == "Brugge"
    assert not told(listener, source)
    no_deliveries()
    tell_pulled.advance()
    until(lambda: told(listener, source))
    settled(listener)
    assert len(told(listener, source)) == 1
