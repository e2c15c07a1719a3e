"""GET of one Location, EVSE or Connector, on both interfaces (mod_locations, GET Method)."""

import pytest

from hub.ocpi.datatypes import Role
from tests.hub.pushing import HUB, Owner, connector_of, evse_of, location_of
from tests.hub.strangers import Stranger, ask, raw


@pytest.fixture(scope="module")
def other_owner(hub):
    return Owner(hub, hub.join(Stranger(Role.CPO)), "locations")


@pytest.fixture
def location(owner):
    evses = [evse_of("3256", connectors=[connector_of("1"), connector_of("2/x")])]
    body = location_of(owner.party, "LOC 1", evses=evses)
    owner.put("LOC 1", body=body)
    return body


@pytest.mark.parametrize("prefix", ["sender", "receiver"])
def test_each_level_has_its_url(owner, emsp, location, prefix):
    own, to, readers = owner.path("loc 1"), None, [owner.running]
    if prefix == "sender":
        own, to, readers = "sender/locations/loc%201", HUB, [owner.running, emsp]
    evse = location["evses"][0]
    for rest, wanted in (
        ("", location),
        ("/3256", evse),
        ("/3256/2%2FX", evse["connectors"][1]),
        ("/3256/1/", evse["connectors"][0]),
    ):
        for reader in readers:
            answer = ask(owner.hub, reader, "GET", own + rest, to=to)
            assert answer.said == (200, 1000)
            assert answer.envelope["data"] == wanted
            assert answer.headers["ocpi-from-party-id"] == "HUB"


@pytest.mark.parametrize("rest", ["/9", "/9/1", "/3256/9"])
def test_a_part_that_is_not_there_is_404_in_an_envelope(owner, emsp, location, rest):
    for path, to, reader in (
        (owner.path("LOC 1"), None, owner.running),
        ("sender/locations/LOC%201", HUB, emsp),
    ):
        answer = ask(owner.hub, reader, "GET", path + rest, to=to)
        assert answer.status == 404
        assert 2000 <= answer.code < 3000
        assert "LOC 1" in answer.envelope["status_message"]
        assert "data" not in answer.envelope


@pytest.mark.parametrize("location_id", ["nothing", "%C3%A9", "x" * 80, "%FF"])
def test_a_location_that_is_not_there_is_404_in_an_envelope(owner, emsp, location_id):
    for path, to in (
        (f"{owner.path()}/{location_id}", None),
        (f"sender/locations/{location_id}", HUB),
    ):
        answer = ask(owner.hub, emsp, "GET", path, to=to)
        assert answer.status == 404
        assert 2000 <= answer.code < 3000


def test_a_receiver_interface_shows_its_owner_alone_what_is_there(owner, emsp, location):
    for to in (None, emsp, owner.running):
        answer = ask(owner.hub, emsp, "GET", owner.path("LOC 1"), to=to)
        assert answer.said == (404, 2000)
        nothing = ask(owner.hub, emsp, "GET", owner.path("LOC 9"), to=to)
        assert nothing.envelope["status_message"] == answer.envelope["status_message"]
    assert not owner.running.simulator.got


def test_what_is_below_a_connector_is_no_url(owner, emsp, location):
    answer = ask(owner.hub, emsp, "GET", f"{owner.path('LOC 1')}/3256/1/more")
    assert answer.status == 404


def test_a_get_on_a_receiver_interface_is_never_broadcast(owner, location):
    answer = owner.send("GET", "LOC 1", to=HUB)
    assert answer.said == (200, 4000)
    assert "GET SHALL NOT be used" in answer.envelope["status_message"]


def test_an_id_of_two_owners_is_refused_with_the_reason_and_never_guessed(owner, other_owner, emsp):
    for one in (owner, other_owner):
        one.put("two", body=location_of(one.party, "two"))
    answer = ask(owner.hub, emsp, "GET", "sender/locations/two", to=HUB)
    assert answer.said == (200, 2001)
    for one in (owner, other_owner):
        assert str(one.party) in answer.envelope["status_message"]
        assert one.kept("two")["id"] == "two"  # The Receiver interface's URL names the owner.
        assert one.kept("two", viewer=emsp)["party_id"] == one.party.party_id


def test_a_party_that_is_named_is_asked_itself(owner, emsp, location):
    says = b'{"status_code":1000,"data":{"id":"mine"},"timestamp":"2026-01-01T00:00:00Z"}'
    owner.running.simulator.says = lambda message: raw(says)
    answer = ask(owner.hub, emsp, "GET", "sender/locations/LOC%201", to=owner.running)
    assert answer.body == says
    assert owner.running.simulator.targets[-1].endswith("/LOC%201")
