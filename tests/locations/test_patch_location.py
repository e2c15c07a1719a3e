"""PATCH of Locations, EVSEs and Connectors (mod_locations, PATCH Method)."""

from itertools import count

import pytest

from hub.models import StaleCopy
from locations.models import Location
from tests.hub.pushing import T1, T2, T3, connector_of, evse_of, location_of
from tests.object_cases import EXAMPLES

NUMBERS = count(1000)


@pytest.fixture
def location(owner, emsp):
    """A Location of two EVSEs with two Connectors each, which the eMSP has; its id."""
    location_id = f"place-{next(NUMBERS)}"
    connectors = [connector_of("1"), connector_of("2", tariff_ids=["11", "12"])]
    evses = [evse_of(uid, connectors=connectors) for uid in ("3255", "3256")]
    body = location_of(owner.party, location_id, name="Gent", evses=evses)
    assert owner.put(location_id, body=body).code == 1000
    owner.told(emsp, location_id, 1)  # or else one that follows is merged into it
    return location_id


def test_the_changed_fields_are_merged_and_the_others_stay(owner, emsp, location):
    before = owner.kept(location)
    body = (EXAMPLES / "location_patch_example_location.json").read_bytes()
    body = body.replace(b"2019-06-24T12:39:09Z", T2.encode())
    assert owner.patch(location, body=body).said == (200, 1000)
    changes = {"name": "Interparking Gent Zuid", "last_updated": T2}
    assert owner.kept(location) == before | changes
    message = owner.told(emsp, location, 2)[1]
    assert (message.method, message.body) == ("PATCH", body)


@pytest.mark.parametrize(
    ("file", "ids", "changes"),
    [
        ("location_patch_example_status", ("3255",), {"status": "CHARGING"}),
        ("location_patch_example_remove_evse", ("3256",), {"status": "REMOVED"}),
        ("location_patch_example_tariff", ("3255", "2"), {"tariff_ids": ["15"]}),
    ],
)
def test_the_examples_of_the_text_change_what_their_urls_name(
    owner, emsp, location, file, ids, changes
):
    before = owner.kept(location)
    body = (EXAMPLES / f"{file}.json").read_bytes().replace(b"2019-06-24T12:39:09Z", T2.encode())
    assert owner.patch(location, *ids, body=body).said == (200, 1000)
    wanted = before | {"last_updated": T2}
    wanted["evses"][int(ids[0]) - 3255] |= {"last_updated": T2}
    part = wanted["evses"][int(ids[0]) - 3255]
    if len(ids) == 2:
        part = part["connectors"][1]
    part |= changes | {"last_updated": T2}
    assert owner.kept(location) == wanted
    assert owner.told(emsp, location, 2)[1].body == body
    assert emsp.simulator.targets[-1].endswith("/".join((location, *ids)))


def test_a_removed_evse_stays_as_removed(owner, emsp, location):
    owner.patch(location, "3256", body={"status": "REMOVED", "last_updated": T2})
    kept = owner.kept(location, viewer=emsp)
    assert [one["status"] for one in kept["evses"]] == ["AVAILABLE", "REMOVED"]
    assert owner.kept(location, "3256", viewer=emsp)["status"] == "REMOVED"


@pytest.mark.parametrize("ids", [(), ("3255",), ("3255", "1")])
def test_last_updated_is_required(owner, emsp, location, ids):
    before = owner.kept(location)
    answer = owner.patch(location, *ids, body={})
    assert answer.said == (200, 2001)
    assert "last_updated" in answer.envelope["status_message"]
    assert owner.kept(location) == before
    owner.told(emsp, location, 1)
    assert not StaleCopy.objects.filter(object_id=location.upper()).exists()


def test_nested_arrays_are_replaced_not_merged(owner, location):
    changes = {"facilities": ["HOTEL", "CAFE"], "last_updated": T2}
    owner.patch(location, body=changes)
    owner.patch(location, body={"facilities": ["MALL"], "last_updated": T2})
    assert owner.kept(location)["facilities"] == ["MALL"]
    owner.patch(location, "3255", body={"connectors": [connector_of("9")], "last_updated": T2})
    assert owner.kept(location)["evses"][0]["connectors"] == [connector_of("9")]
    owner.patch(location, body={"evses": [evse_of("1")], "last_updated": T3})
    assert owner.kept(location)["evses"] == [evse_of("1")]


def test_a_nested_object_is_replaced_as_one_field(owner, location):
    owner.patch(
        location,
        body={"operator": {"name": "A", "website": "https://a.example"}, "last_updated": T2},
    )
    owner.patch(location, body={"operator": {"name": "B"}, "last_updated": T2})
    assert owner.kept(location)["operator"] == {"name": "B"}


def test_unknown_fields_of_both_keep_their_bytes(owner, location):
    owner.patch(location, "3255", body=b'{"x_power":1.10,"last_updated":"%s"}' % T2.encode())
    owner.patch(location, "3255", "1", body=b'{"y":1e3,"last_updated":"%s"}' % T2.encode())
    document = bytes(Location.objects.get(object_id=location.upper()).document)
    assert b'"x_power":1.10' in document
    assert b'"y":1e3' in document


def test_an_update_of_another_evse_at_an_earlier_time_is_taken(owner, emsp, location):
    owner.patch(location, "3255", body={"status": "CHARGING", "last_updated": T3})
    answer = owner.patch(location, "3256", body={"status": "BLOCKED", "last_updated": T2})
    assert "status_message" not in answer.envelope
    kept = owner.kept(location)
    assert [one["status"] for one in kept["evses"]] == ["CHARGING", "BLOCKED"]
    assert [one["last_updated"] for one in kept["evses"]] == [T3, T2]
    assert kept["last_updated"] == T3
    assert len(owner.told(emsp, location, 3)) == 3


def test_an_older_update_of_an_evse_never_wins_and_an_equal_one_does(owner, emsp, location):
    owner.patch(location, "3255", body={"status": "CHARGING", "last_updated": T3})
    owner.told(emsp, location, 2)
    older = owner.patch(location, "3255", body={"status": "AVAILABLE", "last_updated": T2})
    assert older.said == (200, 1000)
    assert "newer" in older.envelope["status_message"]
    assert owner.kept(location, "3255")["status"] == "CHARGING"
    owner.patch(location, "3255", body={"status": "BLOCKED", "last_updated": T3})
    assert owner.kept(location, "3255")["status"] == "BLOCKED"
    told = [one.json()["status"] for one in owner.told(emsp, location, 3)[1:]]
    assert told == ["CHARGING", "BLOCKED"]


def test_a_part_whose_clock_was_ahead_takes_updates_again(owner, location):
    owner.patch(
        location, "3255", body={"status": "UNKNOWN", "last_updated": "2199-01-01T00:00:00Z"}
    )
    owner.patch(location, "3255", body={"status": "CHARGING", "last_updated": T2})
    assert owner.kept(location, "3255")["status"] == "CHARGING"
    assert owner.kept(location)["last_updated"] == T2


@pytest.mark.parametrize(
    ("ids", "named"), [(("9",), "EVSE '9'"), (("9", "1"), "EVSE '9'"), (("3255", "9"), "Connector")]
)
def test_an_unknown_part_is_2003_and_nothing_is_sent_on(owner, location, ids, named):
    answer = owner.patch(location, *ids, body={"last_updated": T2})
    assert answer.said == (200, 2003)
    assert named in answer.envelope["status_message"]
    assert owner.kept(location)["last_updated"] == T1
    assert not StaleCopy.objects.filter(object_id=location.upper()).exists()


def test_an_unknown_location_is_2003_and_nothing_is_sent_on(owner):
    for ids in ((), ("1",), ("1", "1")):
        assert owner.patch("never", *ids, body={"last_updated": T2}).said == (200, 2003)
    assert owner.kept("never") is None
    assert not StaleCopy.objects.filter(object_id="NEVER").exists()


@pytest.mark.parametrize(
    ("ids", "body", "path"),
    [
        ((), {"city": None}, "$.city"),
        ((), {"evses": [{"status": "AVAILABLE"}]}, "evses[0]"),
        (("3255",), {"status": None}, "$.status"),
        (("3255", "1"), {"max_voltage": "many"}, "$.max_voltage"),
        (("3255",), {"uid": "other"}, "uid"),
        (("3255", "1"), {"id": "other"}, "id"),
        ((), {"id": "other"}, "id"),
    ],
)
def test_what_the_hub_cannot_answer_for_is_neither_stored_nor_sent(
    owner, location, ids, body, path
):
    before = owner.kept(location)
    answer = owner.patch(location, *ids, body=body | {"last_updated": T2})
    assert answer.said == (200, 2001)
    assert path in answer.envelope["status_message"]
    assert owner.kept(location) == before
    assert not StaleCopy.objects.filter(object_id=location.upper()).exists()
