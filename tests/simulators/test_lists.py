"""Sender lists with pages, and what real ones do wrong with them."""

from collections.abc import Iterator

import pytest

from hub.ocpi.party import PartyId
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running

CPO = PartyId("NL", "CPO")


@pytest.fixture
def pair() -> Iterator[tuple[Running[Cpo], Running[Emsp]]]:
    with Running(Cpo(locations=70)) as cpo, Running(Emsp(tokens=60)) as emsp:
        emsp.register(cpo.versions_url, cpo.simulator.invite())
        yield cpo, emsp


def page(emsp: Running[Emsp], **query: str):
    return emsp.call("locations", "SENDER", "GET", to=CPO, query=query)


def test_a_long_list_has_pages(pair) -> None:
    _, emsp = pair
    first, second = page(emsp), page(emsp, offset="50")
    assert (len(first.data), len(second.data)) == (50, 20)
    assert "offset=50" in first.headers["Link"]
    assert "Link" not in second.headers
    assert len({one["id"] for one in first.data + second.data}) == 70
    assert len(emsp.simulator.tokens) == 60


def test_without_link(pair) -> None:
    cpo, emsp = pair
    cpo.set_faults(no_link=True)
    answer = page(emsp)
    assert "Link" not in answer.headers
    assert answer.headers["X-Total-Count"] == "70"


def test_a_looping_link(pair) -> None:
    cpo, emsp = pair
    cpo.set_faults(looping_link=True)
    assert "offset=0" in page(emsp).headers["Link"]


def test_a_bad_object_on_each_page(pair) -> None:
    cpo, emsp = pair
    cpo.set_faults(bad_object=True)
    bad = [one for one in page(emsp).data if one["last_updated"] == "yesterday"]
    assert len(bad) == 1
