"""A stored object knows whether its document deviates, and until when it did not."""

from datetime import UTC, datetime, timedelta

import pytest

from hub.store.pushed import EVERYBODY, PushOutcome
from hub.store.store import Merged, Whole
from locations.models import Location

pytestmark = pytest.mark.django_db
IDENTITY = {"owner": "NL-CPO", "object_id": "L"}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PARTY = "DE-MSP"


def keep(minute: int, *, deviates: bool, audience: str = EVERYBODY) -> PushOutcome:
    moment = BEGAN + timedelta(minutes=minute)
    return Location.keep(IDENTITY, audience, b"{}", moment, deviates=deviates)


def merge(minute: int, *, deviates: bool, audience: str = EVERYBODY) -> PushOutcome | None:
    moment = BEGAN + timedelta(minutes=minute)
    return Location.merge(
        IDENTITY, audience, lambda _: Merged(b"{}", moment, is_new=False, deviates=deviates)
    )


def pull(minute: int, *, deviates: bool) -> list[Whole]:
    moment = BEGAN + timedelta(minutes=minute)
    document = b'{"minute":%d}' % minute
    return Location.keep_changed([Whole(("NL-CPO", "L"), document, moment, deviates)])


def stored(audience: str = EVERYBODY) -> Location:
    return Location.objects.get(audience=audience)


@pytest.mark.parametrize("way", [keep, merge, pull])
def test_one_that_deviates_from_its_beginning_was_never_clean(way):
    keep(0, deviates=True)
    way(1, deviates=True)
    assert (stored().deviates, stored().clean_until) == (True, None)


@pytest.mark.parametrize("way", [keep, merge, pull])
def test_one_that_begins_to_deviate_was_clean_until_then_however_often_it_changes(way):
    keep(0, deviates=False)
    assert (stored().deviates, stored().clean_until) == (False, None)
    way(1, deviates=True)
    first = stored()
    assert first.deviates
    assert first.clean_until <= first.received_at
    way(2, deviates=True)
    assert stored().clean_until == first.clean_until
    assert stored().received_at > first.received_at


@pytest.mark.parametrize("way", [keep, merge, pull])
def test_one_that_is_corrected_deviates_no_more_until_it_does_again(way):
    keep(0, deviates=True)
    way(1, deviates=False)
    assert (stored().deviates, stored().clean_until) == (False, None)
    way(2, deviates=True)
    assert stored().clean_until <= stored().received_at


@pytest.mark.parametrize("way", [keep, pull])
def test_an_older_one_changes_nothing(way):
    keep(5, deviates=False)
    assert not way(1, deviates=True)
    assert not stored().deviates


def test_the_second_of_two_ways_of_keeping_says_the_same():
    """With variants beside it, a whole object is kept by another statement."""
    keep(0, deviates=False)
    keep(0, deviates=False, audience=PARTY)
    keep(1, deviates=True)
    assert stored().clean_until <= stored().received_at
    keep(2, deviates=True)
    assert stored().clean_until < stored().received_at
    keep(3, deviates=False)
    assert (stored().deviates, stored().clean_until) == (False, None)


def test_each_variant_says_it_of_its_own_document():
    keep(0, deviates=False)
    merge(1, deviates=True, audience=PARTY)
    assert stored(PARTY).deviates
    assert not stored().deviates


def test_several_of_a_page_are_told_apart():
    wholes = [
        Whole(("NL-CPO", name), b"{}", BEGAN, deviates)
        for name, deviates in (("A", True), ("B", False), ("C", True))
    ]
    assert len(Location.keep_changed(wholes)) == 3
    found = Location.objects.filter(deviates=True).values_list("object_id", flat=True)
    assert set(found) == {"A", "C"}
