"""The feed of an operator with odd spellings in one Location of five is whole at the hub."""

import json

import pytest

from hub.models.pulls import Pull
from hub.ocpi.datatypes import Role
from hub.sync import pull_tasks
from simulators.testing import Running
from tests import minimal
from tests.hub.deviations.counts import counts_of
from tests.hub.lists import Lists
from tests.hub.strangers import Stranger, ask, until
from tests.locations.feed import ODD, as_sent, feed


@pytest.fixture
def cpo(hub) -> Running[Stranger]:
    return hub.join(Stranger(Role.CPO, listens=False))


@pytest.fixture
def emsp(hub) -> Running[Stranger]:
    return hub.join(Stranger(Role.EMSP, listens=False))


def listed(hub, reader: Running[Stranger], owner: Running[Stranger]) -> dict[str, object]:
    """GET All, followed to its end."""
    url, found = "sender/locations?limit=40", []
    while url:
        answer = ask(hub, reader, "GET", url)
        assert answer.said == (200, 1000)
        found += answer.envelope["data"]
        link = answer.headers.get("link", "")
        url = link.partition(">")[0].removeprefix("<")
    return {one["id"]: one for one in found if one["party_id"] == owner.simulator.party.party_id}


def test_pushed_each_location_is_stored_spread_and_listed_as_it_was_sent(hub, cpo, emsp):
    sent = {one["id"]: one for one in feed(cpo.simulator.party)}
    for location_id, one in sent.items():
        path = f"receiver/locations/{minimal.owned(cpo.simulator.party, location_id)}"
        said = ask(hub, cpo, "PUT", path, body=as_sent(one))
        assert said.said == (201, 1000), said
    assert listed(hub, emsp, cpo) == sent
    until(lambda: len(emsp.simulator.got) >= len(sent))
    told = {message.parts[2]: message.body for message in emsp.simulator.got}
    assert {key: json.loads(body) for key, body in told.items()} == sent
    assert {told[one] for one in sent} == {as_sent(one) for one in sent.values()}
    paths = {path: number for (_, path), number in counts_of(cpo.simulator.party).items()}
    assert paths == {
        "Location.coordinates.latitude": 9,
        "Location.coordinates.longitude": 9,
        "Location.directions[].text": 8,
        "Location.operator.website": 3,
    }


def test_later_changes_of_an_odd_location_find_it(hub, cpo, emsp):
    one = feed(cpo.simulator.party)[min(ODD)]
    path = f"receiver/locations/{minimal.owned(cpo.simulator.party, one['id'])}"
    ask(hub, cpo, "PUT", path, body=as_sent(one))
    [evse] = one["evses"]
    change = {"status": "CHARGING", "last_updated": "2026-03-01T10:00:00+00:00"}
    said = ask(hub, cpo, "PATCH", f"{path}/{evse['uid']}", body=json.dumps(change).encode())
    assert said.said == (200, 1000), said
    [found] = listed(hub, emsp, cpo).values()
    assert found["evses"][0]["status"] == "CHARGING"
    assert found["evses"][0]["last_updated"] == "2026-03-01T10:00:00+00:00"
    assert found["coordinates"] == one["coordinates"]


def test_pulled_each_location_is_stored_and_listed(hub, cpo, emsp, settings):
    settings.PULL_PAUSE = 0.001
    sent = feed(cpo.simulator.party)
    Lists(cpo.simulator, size=40, locations=sent)
    [row] = pull_tasks.request(cpo.simulator.party, ["locations"], full=True)
    until(lambda: not Pull.objects.get(pk=row.pk).is_requested)
    done = Pull.objects.get(pk=row.pk)
    assert (done.bad, done.foreign, done.stored) == (0, 0, 100)
    assert listed(hub, emsp, cpo) == {one["id"]: one for one in sent}
    until(lambda: sum(counts_of(cpo.simulator.party).values()) >= 9 + 8 + 3)
