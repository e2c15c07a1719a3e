"""Each part of a Location is guarded by its own last change (mod_locations, PUT and PATCH).

Some CPOs raise the `last_updated` of parents, some do not (ocpi/ocpi#569), and updates overtake
each other: what comes late is taken where nothing newer is known of that very part.
"""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.ocpi.party import PartyId
from hub.store.pushed import EVERYBODY, Pushed, PushOutcome
from hub.store.store import Whole
from locations.models import ESSENTIALS, Location
from tests.hub.pushing import connector_of, evse_of, location_of

pytestmark = pytest.mark.django_db
OWNER = PartyId("NL", "CPO")
ONE_DATABASE = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def at(minute: int) -> str:
    return f"2026-01-01T10:{minute:02}:00Z"


def push(method: str, body: dict, *ids: str, audience: str = EVERYBODY):
    sent = json.dumps(body).encode()
    return Location.push(Pushed(method, OWNER, ("L", *ids), {}, sent, audience))


def put(minute: int, evses: list | None = None, *ids: str, audience: str = EVERYBODY, **more):
    location = location_of(OWNER, "L", last_updated=at(minute), evses=evses or [], **more)
    return push("PUT", location, audience=audience)


def patch(minute: int, *ids: str, audience: str = EVERYBODY, **changes):
    return push("PATCH", changes | {"last_updated": at(minute)}, *ids, audience=audience)


def pulled(minute: int, evses: list, **more) -> list[Whole]:
    location = location_of(OWNER, "L", last_updated=at(minute), evses=evses, **more)
    document = json.dumps(location).encode()
    pushed = Pushed("PUT", OWNER, ("L",), {}, document)
    whole = Location.whole(("NL-CPO", "L"), document, pushed.read(ESSENTIALS[0]))
    return Location.keep_changed([whole])


def evse(uid: str, minute: int, *connectors: dict, **more) -> dict:
    return evse_of(
        uid, connectors=list(connectors or [connector(minute)]), last_updated=at(minute), **more
    )


def connector(minute: int, connector_id: str = "1", **more) -> dict:
    return connector_of(connector_id, last_updated=at(minute), **more)


def kept(audience: str = EVERYBODY) -> dict:
    return json.loads(bytes(Location.objects.get(audience=audience).document))


def statuses(audience: str = EVERYBODY) -> dict[str, str]:
    return {one["uid"]: one["status"] for one in kept(audience)["evses"]}


def test_what_comes_after_its_connector_changed_is_taken_of_an_evse_and_of_its_location():
    put(0, [evse("1", 0), evse("2", 0)])
    patch(20, "1", "1", max_amperage=32)
    assert patch(10, "1", status="OUTOFORDER").kept is PushOutcome.CHANGED
    assert patch(5, name="Renamed").kept is PushOutcome.CHANGED
    found = kept()
    assert (found["name"], statuses()["1"]) == ("Renamed", "OUTOFORDER")
    assert found["evses"][0]["connectors"][0]["max_amperage"] == 32
    # Parents show the latest change in them, as the text asks.
    assert [found["last_updated"], found["evses"][0]["last_updated"]] == [at(20), at(20)]
    assert found["evses"][0]["connectors"][0]["last_updated"] == at(20)
    # None of the three is older than the same kept part; the next ones are.
    assert not patch(9, "1", status="AVAILABLE").kept
    assert not patch(4, name="Before").kept
    assert not patch(19, "1", "1", max_amperage=16).kept


def test_a_whole_location_whose_own_time_was_not_raised_brings_its_newer_evse():
    put(0, [evse("1", 0)])
    patch(10, "1", status="CHARGING")
    assert put(0, [evse("1", 20, status="BLOCKED")]).kept is PushOutcome.CHANGED
    assert statuses() == {"1": "BLOCKED"}
    # It is kept as it was sent.
    assert kept()["last_updated"] == at(0)


def test_in_a_whole_put_the_newer_evse_and_connector_win_and_others_are_told_so():
    put(0, [evse("1", 0, connector(0), connector(0, "2")), evse("2", 0)])
    patch(20, "1", status="CHARGING")
    patch(20, "2", "1", max_amperage=63)
    told = put(
        10,
        [evse("1", 5, connector(10), connector(5, "2", max_voltage=400)), evse("2", 10)],
        name="Whole",
    )
    assert told.kept is PushOutcome.CHANGED
    found = kept()
    assert (found["name"], statuses()) == ("Whole", {"1": "CHARGING", "2": "AVAILABLE"})
    assert found["evses"][0]["connectors"][1]["max_voltage"] == 400
    assert found["evses"][1]["connectors"][0]["max_amperage"] == 63
    assert found["last_updated"] == at(20)
    assert json.loads(told.body) == found


@pytest.mark.parametrize(("minute", "stays"), [(9, True), (10, False), (11, False)])
def test_a_missing_evse_goes_unless_it_changed_after_the_put(minute, stays):
    put(0, [evse("1", 0), evse("2", 0)])
    patch(10, "2", status="CHARGING")
    put(minute, [evse("1", 0)], name="Whole")
    assert ("2" in statuses()) is stays
    assert kept()["name"] == "Whole"


def test_an_evse_with_a_connector_newer_than_the_put_stays_and_so_does_the_connector():
    put(0, [evse("1", 0, connector(0), connector(0, "2"))])
    patch(20, "1", "2", max_amperage=63)
    put(10, [evse("1", 10, connector(10))])
    assert [one["id"] for one in kept()["evses"][0]["connectors"]] == ["1", "2"]
    put(15, [])
    assert [one["uid"] for one in kept()["evses"]] == ["1"]
    put(20, [])
    assert kept()["evses"] == []


def test_of_equal_times_what_comes_in_counts():
    put(5, [evse("1", 5)])
    assert put(5, [evse("1", 5, status="BLOCKED")], name="Equal").kept is PushOutcome.CHANGED
    assert (kept()["name"], statuses()) == ("Equal", {"1": "BLOCKED"})
    assert patch(5, "1", status="CHARGING").kept is PushOutcome.CHANGED
    assert patch(5, "1", "1", max_amperage=1).kept is PushOutcome.CHANGED


def test_an_old_put_that_says_nothing_new_of_any_part_is_ignored():
    put(10, [evse("1", 0)])
    assert not put(5, [evse("1", 0)], name="Old").kept
    assert "name" not in kept()


def test_an_old_put_brings_back_no_evse_that_a_newer_one_has_left_out():
    put(0, [evse("1", 0), evse("2", 0)])
    put(10, [evse("1", 0)])
    assert not put(5, [evse("1", 0), evse("2", 0)]).kept
    assert statuses() == {"1": "AVAILABLE"}


def test_an_old_put_takes_no_evse_away_that_a_newer_one_lists():
    put(10, [evse("1", 0), evse("2", 0)])
    put(5, [evse("1", 3, status="CHARGING")])
    assert statuses() == {"1": "CHARGING", "2": "AVAILABLE"}


def test_an_evse_that_is_put_by_itself_is_added_whatever_its_time():
    put(10, [evse("1", 0)])
    assert push("PUT", evse("2", 3), "2").kept is PushOutcome.CREATED
    assert list(statuses()) == ["1", "2"]


def test_a_put_of_an_evse_keeps_its_newer_connector_and_tells_others_so():
    put(0, [evse("1", 0)])
    patch(20, "1", "1", max_amperage=63)
    told = push("PUT", evse("1", 10, connector(10), connector(10, "2"), status="BLOCKED"), "1")
    [found] = kept()["evses"]
    assert (found["status"], found["last_updated"]) == ("BLOCKED", at(20))
    assert [one["max_amperage"] for one in found["connectors"]] == [63, 16]
    assert json.loads(told.body) == found


def test_a_part_without_a_time_has_its_parents():
    put(5, [evse("1", 0) | {"last_updated": None}])
    patch(30, name="Later")
    assert not patch(4, "1", status="CHARGING").kept
    assert patch(5, "1", status="CHARGING").kept
    assert patch(5, "1", status="BLOCKED").kept


def test_a_list_in_a_patch_is_the_whole_list_but_for_what_is_newer():
    put(0, [evse("1", 0), evse("2", 0), evse("3", 0)])
    patch(20, "2", status="CHARGING")
    patch(10, evses=[evse("3", 10), evse("4", 0)])
    assert statuses() == {"3": "AVAILABLE", "4": "AVAILABLE", "2": "CHARGING"}
    patch(20, "3", connectors=[connector(0, "9")])
    assert [one["id"] for one in kept()["evses"][0]["connectors"]] == ["9"]


@pytest.mark.parametrize("minutes", [6, 60 * 24])
def test_a_time_far_ahead_guards_nothing(minutes):
    ahead = (timezone.now() + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    put(0, [evse("1", 0), evse("2", 0)])
    push("PATCH", {"status": "UNKNOWN", "last_updated": ahead}, "1")
    assert kept()["last_updated"] == at(0)
    # For date_from it has changed all the same.
    assert Location.objects.get().last_updated > timezone.now() - timedelta(minutes=5)
    assert patch(1, "1", status="CHARGING").kept
    push("PATCH", {"name": "Ahead", "last_updated": ahead})
    assert put(2, [evse("2", 2)]).kept
    assert (list(statuses()), "name" in kept()) == (["2"], False)


def test_a_time_a_little_ahead_guards_as_any():
    soon = (timezone.now() + timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    put(0, [evse("1", 0)])
    push("PATCH", {"status": "UNKNOWN", "last_updated": soon}, "1")
    assert not patch(1, "1", status="CHARGING").kept


def test_a_location_is_in_lists_from_the_last_change_of_any_part_on():
    put(0, [evse("1", 30, status="BLOCKED")])
    assert Location.objects.get().last_updated.minute == 30
    patch(40, "1", "1", max_amperage=1)
    patch(35, name="Later")
    assert Location.objects.get().last_updated.minute == 40


def test_what_a_pull_brings_is_merged_part_by_part():
    put(0, [evse("1", 0), evse("2", 0)])
    patch(20, "1", status="CHARGING")
    [news] = pulled(10, [evse("1", 5), evse("2", 10, status="BLOCKED")], name="Pulled")
    assert statuses() == {"1": "CHARGING", "2": "BLOCKED"}
    assert kept()["name"] == "Pulled"
    assert json.loads(news.document) == kept()
    assert not pulled(10, [evse("1", 5), evse("2", 10, status="BLOCKED")], name="Pulled")
    assert not pulled(9, [evse("1", 5)])
    assert pulled(10, [evse("1", 30, status="BLOCKED"), evse("2", 10, status="BLOCKED")])
    assert statuses()["1"] == "BLOCKED"


def test_a_pull_says_nothing_new_again_of_a_location_whose_clock_is_ahead():
    def again():
        location = location_of(OWNER, "L", last_updated="2199-01-01T00:00:00Z")
        document = json.dumps(location).encode()
        reading = Pushed("PUT", OWNER, ("L",), {}, document).read(ESSENTIALS[0])
        return Location.keep_changed([Location.whole(("NL-CPO", "L"), document, reading)])

    assert again()
    assert not again()
    assert pulled(0, [evse("1", 0)])


def test_a_broadcast_goes_into_variants_part_by_part():
    put(0, [evse("1", 0), evse("2", 0)], name="All")
    put(0, [evse("1", 0), evse("2", 0)], name="One", audience="DE-MSP")
    patch(20, "1", status="CHARGING", audience="DE-MSP")
    patch(10, "1", status="BLOCKED")
    patch(10, "2", status="BLOCKED")
    assert statuses() == {"1": "BLOCKED", "2": "BLOCKED"}
    assert statuses("DE-MSP") == {"1": "CHARGING", "2": "BLOCKED"}
    # A whole one ends a variant that says nothing newer, and no other.
    put(15, [evse("1", 15), evse("2", 15)], name="All")
    assert (kept()["name"], kept("DE-MSP")["name"]) == ("All", "One")
    put(20, [evse("1", 20), evse("2", 20)], name="All")
    assert not Location.objects.filter(audience="DE-MSP").exists()
    assert not Location.objects.get().has_variants


def test_a_variant_that_only_knows_what_was_broadcast_ends_though_a_part_was_broadcast_later():
    put(0, [evse("1", 0)], name="All")
    put(0, [evse("1", 0)], name="One", audience="DE-MSP")
    patch(20, "1", status="CHARGING")
    put(10, [evse("1", 10)], name="New")
    assert [row.audience for row in Location.objects.all()] == [EVERYBODY]
    assert (kept()["name"], statuses()) == ("New", {"1": "CHARGING"})


def test_a_directed_put_is_guarded_part_by_part_by_what_was_broadcast():
    put(0, [evse("1", 0)], name="All")
    patch(20, "1", status="CHARGING")
    put(10, [evse("1", 10)], name="One", audience="DE-MSP")
    assert (kept("DE-MSP")["name"], statuses("DE-MSP")) == ("One", {"1": "CHARGING"})
    assert kept()["name"] == "All"


def test_one_that_was_kept_before_parts_had_moments_of_their_own_is_as_its_document_says():
    put(10, [evse("1", 10), evse("2", 5)])
    Location.objects.update(moments={})
    assert not put(9, [evse("1", 9), evse("2", 5)]).kept
    assert put(10, [evse("1", 12, status="BLOCKED"), evse("2", 5)]).kept
    Location.objects.update(moments={})
    assert patch(7, "2", status="CHARGING").kept
    assert statuses() == {"1": "BLOCKED", "2": "CHARGING"}
    Location.objects.update(moments={})
    pulled(12, [evse("1", 11), evse("2", 8)], name="Pulled")
    assert (kept()["name"], statuses()) == ("Pulled", {"1": "BLOCKED", "2": "AVAILABLE"})


def test_a_merged_location_keeps_each_spelling_and_every_unknown_field():
    first = (
        b'{"country_code":"NL","party_id":"CPO","id":"L","publish":true,"x_loc":1.10,'
        b'"address":"A","city":"B","country":"NLD","coordinates":{"latitude":"51.5",'
        b'"longitude":"4.00000","x_geo":1e3},"time_zone":"Europe/Amsterdam","evses":['
        b'{"uid":"1","status":"NEW_WORD","x_evse":[1.0],"connectors":[{"id":1,"standard":"MCS",'
        b'"format":"CABLE","power_type":"DC","max_voltage":230.0,"max_amperage":"16","x_c":null,'
        b'"last_updated":"2026-01-01 10:00:00+00:00"}],"last_updated":"2026-01-01T10:00:00"}],'
        b'"last_updated":"2026-01-01T12:00:00+02:00"}'
    )
    Location.push(Pushed("PUT", OWNER, ("L",), {}, first))
    change = b'{"floor_level":"\\u0031","y":0.50,"last_updated":"2026-01-01T10:05:00+00:00"}'
    Location.push(Pushed("PATCH", OWNER, ("L", "1"), {}, change))
    Location.push(
        Pushed("PATCH", OWNER, ("L", "1", "1"), {}, b'{"z":1e0,"last_updated":"2026-01-01 10:04"}')
    )
    document = bytes(Location.objects.get().document)
    for part in (
        b'"x_loc":1.10', b'"latitude":"51.5"', b'"x_geo":1e3', b'"status":"NEW_WORD"',
        b'"x_evse":[1.0]', b'"id":1', b'"max_voltage":230.0', b'"max_amperage":"16"',
        b'"x_c":null', b'"floor_level":"\\u0031"', b'"y":0.50', b'"z":1e0',
        b'"last_updated":"2026-01-01 10:04"',
    ):  # fmt: skip
        assert part in document
    assert document.count(b'"last_updated":"2026-01-01T10:05:00+00:00"') == 2


# --- Any order ------------------------------------------------------------------------------------

UIDS = ("1", "2", "3")
MINUTES = st.integers(1, 50)


@st.composite
def updates(draw) -> list:
    """Whole Locations of a CPO, and updates of their parts, no two parts changed at one time."""
    minutes = draw(st.lists(MINUTES, unique=True, min_size=2, max_size=7))
    return [(minute, draw(st.sampled_from(["whole", "name", *UIDS, "1/1"]))) for minute in minutes]


def apply(minute: int, what: str) -> None:
    if what == "whole":
        # What a CPO that knows of all earlier changes would not send: all parts as of the PUT.
        put(minute, [evse(uid, minute, status=_word(minute)) for uid in UIDS], name=_word(minute))
    elif what == "name":
        patch(minute, name=_word(minute))
    elif what == "1/1":
        patch(minute, "1", "1", max_amperage=minute)
    else:
        patch(minute, what, status=_word(minute))


def _word(minute: int) -> str:
    return f"W{minute}"


@ONE_DATABASE
@given(updates(), st.randoms(use_true_random=False))
def test_whole_ones_and_parts_end_in_the_same_state_in_any_order(changes, shuffle):
    ends = set()
    in_order = sorted(changes)
    for order in (in_order, in_order[::-1], shuffle.sample(changes, len(changes))):
        Location.objects.all().delete()
        put(0, [evse(uid, 0) for uid in UIDS], name="W0")
        for minute, what in order:
            apply(minute, what)
        found = kept()
        ends.add(
            json.dumps([found["name"], *sorted(map(json.dumps, found["evses"]))], sort_keys=True)
        )
        latest = max(minute for minute, _ in changes)
        assert Location.objects.get().last_updated.minute == latest
    assert len(ends) == 1
