"""Pages (transport_and_format, Pagination)."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.pagination import MAX_LIMIT, Page, page_headers, read_page

URL = "https://hub.example/ocpi/2.2.1/hubclientinfo"


def test_without_parameters_the_page_begins_at_the_first_object():
    assert read_page({}) == Page(0, MAX_LIMIT, None, None)


@pytest.mark.parametrize(
    ("text", "limit"), [("1", 1), ("0050", 50), (str(MAX_LIMIT), MAX_LIMIT), ("2000", MAX_LIMIT)]
)
def test_a_limit_is_at_most_the_hubs_own(text, limit):
    assert read_page({"limit": text}).limit == limit


@pytest.mark.parametrize("text", ["0", "10", "9" * 30])
def test_an_offset_may_be_beyond_every_list_but_not_beyond_a_databases_integers(text):
    assert 0 <= read_page({"offset": text}).offset <= min(int(text), 2**63 - 1)


@pytest.mark.parametrize("name", ["offset", "limit"])
@pytest.mark.parametrize(
    "text", ["-1", "1.0", "x", "", " ", "٣", "²", "1e3", "0x1", "+1", "9" * 31]
)
def test_what_is_no_whole_number_is_2001(name, text):
    with pytest.raises(InvalidParameters, match=name):
        read_page({name: text})


def test_a_limit_of_0_is_2001():
    with pytest.raises(InvalidParameters, match="limit"):
        read_page({"limit": "0"})


@pytest.mark.parametrize(
    "text",
    [
        "2019-01-28T12:00:00",
        "2019-01-28T12:00:00Z",
        "2019-01-28T12:00:00.000Z",
        "2019-01-28T13:00:00+01:00",
        "2019-01-28T13:00:00 01:00",
    ],
)
def test_a_time_without_designator_is_utc_and_an_offset_is_understood(text):
    wanted = datetime(2019, 1, 28, 12, tzinfo=UTC)
    page = read_page({"date_from": text, "date_to": text})
    assert (page.date_from, page.date_to) == (wanted, wanted)


@pytest.mark.parametrize("name", ["date_from", "date_to"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2019",
        "2019-02-30T00:00:00Z",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
    ],
)
def test_what_is_no_time_is_2001(name, text):
    with pytest.raises(InvalidParameters, match=name):
        read_page({name: text})


def _link(page: Page, total: int, query: dict[str, str] | None = None) -> dict[str, list[str]]:
    link = page_headers(page, total, URL, query or {})["Link"]
    assert link.startswith(f"<{URL}?")
    assert link.endswith('>; rel="next"')
    return parse_qs(urlsplit(link[1:].partition(">")[0]).query)


def test_the_headers_of_a_page_in_the_middle():
    page = Page(10, 5, None, None)
    found = page_headers(page, 30, URL, {})
    assert (found["X-Total-Count"], found["X-Limit"]) == ("30", "5")
    assert _link(page, 30) == {"offset": ["15"], "limit": ["5"]}


@pytest.mark.parametrize(("offset", "total"), [(0, 5), (0, 0), (5, 10), (100, 10)])
def test_the_last_page_has_no_link_and_the_same_limit(offset, total):
    found = page_headers(Page(offset, 5, None, None), total, URL, {})
    assert "Link" not in found
    assert found["X-Limit"] == "5"


def test_the_filters_go_on_into_the_next_page_as_they_were_sent_and_nothing_else():
    query = {"date_from": "2019-01-28T13:00:00+01:00", "date_to": "2020-01-01T00:00:00", "x": "1"}
    found = _link(read_page(query), 1000, query | {"offset": "0"})
    assert found["date_from"] == ["2019-01-28T13:00:00+01:00"]
    assert found["date_to"] == ["2020-01-01T00:00:00"]
    assert set(found) == {"offset", "limit", "date_from", "date_to"}
