"""GET List on the Sender interface of the hub: GET All (transport_and_format, Pagination)."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.db import connection

from hub.ocpi.datatypes import Role
from locations.models import Location
from tests.hub.pushing import HUB, T1, T2, T3, Owner, ids_of, listed, location_of, next_of
from tests.hub.strangers import Stranger, ask

MANY = 3210


@pytest.fixture(scope="module")
def second_owner(hub):
    return Owner(hub, hub.join(Stranger(Role.CPO)), "locations")


@pytest.fixture
def _empty(hub):
    Location.objects.all().delete()


@pytest.fixture
def seven(_empty, owner):
    """Seven Locations, L0 to L6, each a second later than the one before."""
    ids = [f"L{number}" for number in range(7)]
    for number, one in enumerate(ids):
        moment = f"2026-01-01T00:00:0{number}Z"
        owner.put(one, body=location_of(owner.party, one, last_updated=moment))
    return ids


@pytest.fixture
def many(_empty, owner):
    """Thousands of small documents, written by SQL: M0001, M0002, …"""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ocpi_locations_location
                (owner, object_id, audience, last_updated, document, received_at)
            SELECT %s, 'M' || n, '', '2026-01-01',
                   convert_to('{"id":"M' || n || '"}', 'UTF8'), now()
            FROM generate_series(1, %s) AS n ORDER BY n
            """,
            [str(owner.party), MANY],
        )
    return [f"M{number}" for number in range(1, MANY + 1)]


def get(owner, viewer, query="", path="sender/locations"):
    return ask(owner.hub, viewer, "GET", f"{path}{query}", to=HUB)


@pytest.mark.usefixtures("_empty")
def test_objects_of_all_owners_come_oldest_first_each_with_its_owner(owner, second_owner, emsp):
    for one, location_id in ((owner, "A"), (second_owner, "B"), (owner, "C")):
        one.put(location_id, body=location_of(one.party, location_id))
    page = get(owner, emsp)
    found = page.envelope["data"]
    assert [(one["party_id"], one["id"]) for one in found] == [
        (owner.party.party_id, "A"),
        (second_owner.party.party_id, "B"),
        (owner.party.party_id, "C"),
    ]
    assert page.headers["ocpi-from-party-id"] == "HUB"
    assert page.headers["ocpi-to-party-id"] == emsp.simulator.party.party_id


@pytest.mark.usefixtures("_empty")
def test_an_empty_list_is_a_list(owner, emsp):
    page = get(owner, emsp)
    assert page.said == (200, 1000)
    assert page.envelope["data"] == []
    assert (page.headers["x-total-count"], page.headers["x-limit"]) == ("0", "100")
    assert "link" not in page.headers


@pytest.mark.parametrize("path", ["sender/locations", "sender/locations/"])
def test_pages_follow_each_other_until_the_last_which_has_no_link(owner, emsp, seven, path):
    pages = listed(owner.hub, emsp, f"{path}?limit=3")
    assert [len(page.envelope["data"]) for page in pages] == [3, 3, 1]
    assert ids_of(pages) == seven
    assert {page.headers["x-limit"] for page in pages} == {"3"}
    assert {page.headers["x-total-count"] for page in pages} == {"7"}
    assert ["link" in page.headers for page in pages] == [True, True, False]
    assert pages[0].headers["link"].endswith('; rel="next"')


def test_the_last_page_may_be_full(owner, emsp, seven):
    (page,) = listed(owner.hub, emsp, "sender/locations?limit=7")
    assert "link" not in page.headers


def test_the_link_says_offset_limit_and_the_filters(owner, emsp, seven):
    page = get(owner, emsp, f"?limit=2&date_from={T1}&date_to=2026-01-01T00:00:06")
    query = parse_qs(urlsplit(next_of(page)).query)
    assert query["offset"] == ["2"]
    assert query["limit"] == ["2"]
    assert query["date_from"] == [T1]
    assert query["date_to"] == ["2026-01-01T00:00:06"]
    pages = listed(owner.hub, emsp, next_of(page))
    assert ids_of([page, *pages]) == seven[:6]
    assert {one.headers["x-total-count"] for one in pages} == {"6"}


def test_date_from_is_inclusive_and_date_to_exclusive(owner, emsp, seven):
    def found(query):
        return ids_of(listed(owner.hub, emsp, f"sender/locations{query}"))

    from_, to = "2026-01-01T00:00:02", "2026-01-01T00:00:04"
    assert found(f"?date_from={from_}Z") == seven[2:]
    assert found(f"?date_to={to}Z") == seven[:4]
    assert found(f"?date_from={from_}&date_to={to}") == seven[2:4]
    assert found(f"?date_from={from_}.000Z&date_to={from_}.001Z") == seven[2:3]
    assert found(f"?date_from={to}Z&date_to={from_}Z") == []
    with_offset = quote("2026-01-01T01:00:02+01:00")
    assert found(f"?date_from={with_offset}") == seven[2:]


def test_an_update_of_a_part_is_found_by_its_locations_last_updated(owner, emsp, seven):
    owner.patch("L1", "3256", "1", body={"max_amperage": 32, "last_updated": T2})
    found = ids_of(listed(owner.hub, emsp, f"sender/locations?date_from={T2}"))
    assert found == ["L1"]


def test_a_limit_above_the_hubs_is_lowered_to_it(owner, emsp, many):
    page = get(owner, emsp, "?limit=2000")
    assert page.headers["x-limit"] == "100"
    assert len(page.envelope["data"]) == 100
    assert parse_qs(urlsplit(next_of(page)).query)["limit"] == ["100"]


@pytest.mark.parametrize("offset", ["7", "8", "1000000", "9" * 25])
def test_an_offset_beyond_the_end_gives_an_empty_page(owner, emsp, seven, offset):
    page = get(owner, emsp, f"?offset={offset}&limit=2")
    assert page.said == (200, 1000)
    assert page.envelope["data"] == []
    assert page.headers["x-total-count"] == "7"
    assert page.headers["x-limit"] == "2"
    assert "link" not in page.headers


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=a", "limit=", "limit=1.5", "offset=-1", "offset=x",
        "offset=%D9%A3", f"offset={'9' * 31}", "date_from=yesterday",
        "date_to=2026-13-01T00:00:00Z", "date_from=", "date_from=12",
        "date_to=0001-01-01T00:00:00%2B01:00",
    ],
)  # fmt: skip
def test_absurd_values_are_2001_and_named(owner, emsp, query):
    page = get(owner, emsp, f"?{query}")
    assert page.said == (200, 2001)
    assert (
        query.partition("=")[0] in page.envelope["status_message"]
        or "UTC" in (page.envelope["status_message"])
    )


@pytest.mark.parametrize(
    "mark", ["", "x", "1.2", "1.2.3", "-1.-1.-1", "9.9.9.9", f"0.{'9' * 40}.0", "٣.٣.٣"]
)
def test_a_mark_that_no_link_has_is_nothing(owner, emsp, seven, mark):
    page = get(owner, emsp, f"?offset=2&limit=2&after={quote(mark)}")
    assert ids_of([page]) == seven[2:4]


def test_the_offset_of_a_link_may_be_changed(owner, emsp, seven):
    link = next_of(get(owner, emsp, "?limit=2"))
    for offset, wanted in ((1, seven[1:3]), (2, seven[2:4]), (4, seven[4:6])):
        url = link.replace("offset=2", f"offset={offset}")
        assert ids_of([get(owner, emsp, path=url)]) == wanted


def test_the_filter_of_a_link_may_be_changed(owner, emsp, seven):
    link = next_of(get(owner, emsp, "?limit=2"))
    page = get(owner, emsp, "&date_from=2026-01-01T00:00:03Z", path=link)
    assert ids_of([page]) == seven[5:7]
    other = next_of(get(owner, emsp, "?limit=1&date_from=2026-01-01T00:00:05Z"))
    page = get(owner, emsp, path=other.replace("date_from", "date_other"))
    assert ids_of([page]) == seven[1:2]


def test_an_object_that_changes_keeps_its_place(owner, emsp, seven):
    first = get(owner, emsp, "?limit=3")
    for one in ("L0", "L5"):
        owner.put(one, body=location_of(owner.party, one, last_updated=T2))
        owner.patch(one, "3256", body={"status": "CHARGING", "last_updated": T3})
    pages = listed(owner.hub, emsp, next_of(first))
    assert ids_of([first, *pages]) == seven


def test_an_object_that_is_new_comes_last_and_raises_the_total(owner, emsp, seven):
    first = get(owner, emsp, "?limit=3")
    owner.put("L7", body=location_of(owner.party, "L7"))
    pages = listed(owner.hub, emsp, next_of(first))
    assert ids_of([first, *pages]) == [*seven, "L7"]
    assert get(owner, emsp).headers["x-total-count"] == "8"
    assert pages[-1].headers["x-total-count"] == "8"


def test_what_leaves_or_enters_the_filter_during_a_crawl_shifts_no_other_object(owner, emsp, many):
    to = "date_to=2026-01-02T00:00:00Z"
    first = get(owner, emsp, f"?{to}&limit=100")
    gone = [f"M{number}" for number in range(50, 90)] + ["M150", "M1005"]
    Location.objects.filter(object_id__in=gone).update(last_updated=T3)
    pages = listed(owner.hub, emsp, next_of(first))
    assert ids_of([first, *pages]) == many[:100] + [one for one in many[100:] if one not in gone]
    # And back again.
    first = get(owner, emsp, f"?{to}&limit=100")
    Location.objects.filter(object_id__in=gone).update(last_updated=T1)
    pages = listed(owner.hub, emsp, next_of(first))
    found = ids_of([first, *pages])
    assert len(found) == len(set(found))
    assert set(found) == set(many) - {f"M{number}" for number in range(50, 90)}


def test_rows_that_are_deleted_during_a_crawl_shift_no_other_object(owner, emsp, many):
    first = get(owner, emsp, "?limit=100")
    gone = [f"M{number}" for number in range(1, 3000, 7)]
    Location.objects.filter(object_id__in=gone).delete()
    pages = listed(owner.hub, emsp, next_of(first))
    assert ids_of(pages) == [one for one in many[100:] if one not in gone]


@pytest.mark.parametrize("offset", [0, 999, 1000, 1001, 2500, MANY - 1])
def test_an_offset_of_the_clients_own_counts_what_is_there_now(owner, emsp, many, offset):
    get(owner, emsp)
    gone = many[:2000:3]
    Location.objects.filter(object_id__in=gone).delete()
    left = [one for one in many if one not in gone]
    page = get(owner, emsp, f"?offset={offset}&limit=2")
    assert ids_of([page]) == left[offset : offset + 2]
    assert page.headers["x-total-count"] == str(len(left))


def test_without_to_a_list_is_get_all(owner, emsp):
    owner.put("unaddressed", body=location_of(owner.party, "unaddressed"))
    pages = [ask(owner.hub, emsp, "GET", "sender/locations?limit=500", to=to) for to in (None, HUB)]
    assert pages[0].envelope["data"] == pages[1].envelope["data"] != []
    assert pages[0].headers["ocpi-from-party-id"] == "HUB"
    assert not owner.running.simulator.got
