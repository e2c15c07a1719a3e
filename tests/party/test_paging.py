"""Lists of another party, read page by page (transport_and_format, Pagination)."""

from collections.abc import Iterator
from typing import Any

import pytest

from party.paging import ListUnreadable, objects_of
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Running[Cpo], Running[Emsp]]]:
    with Running(Cpo(locations=120)) as cpo, Running(Emsp()) as emsp:
        emsp.register(cpo.versions_url, cpo.simulator.invite())
        yield cpo, emsp


@pytest.fixture(autouse=True)
def _well_again(pair) -> Iterator[None]:
    yield
    pair[0].clear_faults()


def read(emsp: Running[Emsp], **more: Any) -> list[dict[str, Any]]:
    async def all_of_it() -> list[dict[str, Any]]:
        return [one async for one in objects_of(emsp.simulator, "locations", **more)]

    return emsp.run(all_of_it())


def test_all_pages_are_read_once_each(pair):
    cpo, emsp = pair
    before = len(cpo.received(module="locations"))
    assert len({one["id"] for one in read(emsp)}) == 120
    assert len(cpo.received(module="locations")) - before == 3
    assert len(read(emsp, query={"limit": "40"})) == 120
    assert len(read(emsp, most=100)) == 100
    assert read(emsp, query={"date_from": "2099-01-01T00:00:00Z"}) == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"looping_link": True}, "leads to http"),
        ({"hard_coded_https": True}, "leads to https"),
        ({"http_500": True}, "HTTP 500"),
        ({"not_an_envelope": True}, "HTTP 422"),
    ],
)
def test_a_list_that_cannot_be_read_to_its_end_is_an_error(pair, fault, words):
    cpo, emsp = pair
    cpo.set_faults(module="locations", **fault)
    with pytest.raises(ListUnreadable, match=words) as caught:
        read(emsp)
    assert caught.value.answer is not None


def test_a_relative_link_is_followed(pair):
    cpo, emsp = pair
    cpo.set_faults(module="locations", relative_link=True)
    assert len(read(emsp)) == 120


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "many"},
        {"offset": "-1"},
        {"limit": "0"},
        {"offset": "9" * 31},
        {"date_from": "yesterday"},
    ],
)
def test_a_query_that_cannot_be_read_is_2001(pair, query):
    _, emsp = pair
    answer = emsp.call("locations", "SENDER", "GET", query=query)
    assert (answer.http_status, answer.status_code) == (200, 2001)
