"""Broadcast Push, GET All and Open Routing through the store (transport_and_format)."""

import json

import pytest

from hub.ocpi.datatypes import Role
from locations.models import Location
from tests.hub.pushing import HUB, location_of, settled
from tests.hub.strangers import Stranger, ask, raw, until
from tests.running_hub import new_party


def put(hub, cpo, location: dict, to=HUB, rest: str = ""):
    party = cpo.simulator.party
    path = f"receiver/locations/{party.country_code}/{party.party_id}/{location['id']}{rest}"
    return ask(hub, cpo, "PUT", path, to=to, body=json.dumps(location).encode())


def pushes(running, location_id: str) -> list:
    return [m for m in running.simulator.got if m.module == "locations" and location_id in m.path]


@pytest.fixture(scope="module")
def others(hub):
    return {role: hub.join(Stranger(role)) for role in (Role.NSP, Role.OTHER, Role.NAP, Role.SCSP)}


@pytest.fixture(scope="module")
def second_cpo(hub):
    return hub.join(Stranger(Role.CPO))


@pytest.mark.parametrize("to", [HUB, None])
def test_a_location_goes_from_the_hub_to_every_opposite_role_and_nobody_else(
    hub, cpo, emsp, others, second_cpo, to
):
    location = location_of(cpo.simulator.party, f"spread-{to}")
    answer = put(hub, cpo, location, to)
    assert answer.said == (201, 1000)
    assert answer.headers["ocpi-from-party-id"] == "HUB"
    told = [emsp, others[Role.NSP], others[Role.OTHER], others[Role.NAP]]
    for running in told:
        (message,) = until(lambda running=running: pushes(running, location["id"]))
        assert json.loads(message.body) == location
        assert message.from_party == HUB
        assert message.to_party == running.simulator.party
    settled()
    for running in (cpo, second_cpo, others[Role.SCSP]):
        assert not pushes(running, location["id"])


def test_an_update_of_an_evse_is_merged_and_raises_its_parent(hub, cpo, emsp):
    location = location_of(cpo.simulator.party, "merge")
    put(hub, cpo, location)
    settled()
    party = cpo.simulator.party
    path = f"receiver/locations/{party.country_code}/{party.party_id}/merge/3256"
    body = b'{"status":"CHARGING","last_updated":"2026-01-02T00:00:00Z","x":1.0}'
    assert ask(hub, cpo, "PATCH", path, to=HUB, body=body).said == (200, 1000)
    messages = until(lambda: len(m := pushes(emsp, "merge")) > 1 and m)
    assert messages[-1].method == "PATCH"
    assert messages[-1].body == body
    kept = ask(hub, cpo, "GET", path.removesuffix("/3256")).envelope["data"]
    assert kept["last_updated"] == kept["evses"][0]["last_updated"] == "2026-01-02T00:00:00Z"
    assert kept["evses"][0]["status"] == "CHARGING"
    assert b'"x":1.0' in ask(hub, cpo, "GET", path).body


def test_an_older_update_is_neither_stored_nor_sent_on(hub, cpo, emsp):
    put(hub, cpo, location_of(cpo.simulator.party, "old", city="Gent"))
    until(lambda: pushes(emsp, "old"))
    older = location_of(
        cpo.simulator.party, "old", city="Brugge", last_updated="2025-12-31T00:00:00Z"
    )
    answer = put(hub, cpo, older)
    assert answer.said == (200, 1000)
    assert "newer" in answer.envelope["status_message"]
    found = ask(hub, emsp, "GET", "sender/locations/old", to=HUB).envelope["data"]
    assert found["city"] == "Gent"
    settled()
    assert len(pushes(emsp, "old")) == 1


def test_what_one_party_is_told_alone_it_alone_sees(hub, cpo, emsp, others):
    put(hub, cpo, location_of(cpo.simulator.party, "variant", city="Everybody"))
    put(hub, cpo, location_of(cpo.simulator.party, "variant", city="Emsp"), to=emsp)
    see = {
        running.simulator.party: ask(hub, running, "GET", "sender/locations/variant", to=HUB)
        for running in (emsp, others[Role.NSP])
    }
    assert [answer.envelope["data"]["city"] for answer in see.values()] == ["Emsp", "Everybody"]
    newer = location_of(
        cpo.simulator.party, "variant", city="News", last_updated="2026-01-03T00:00:00Z"
    )
    put(hub, cpo, newer)
    assert Location.objects.filter(object_id="VARIANT").count() == 1


def test_get_all_lists_what_everybody_pushed_oldest_first(hub, cpo, second_cpo, emsp):
    for number, running in enumerate((cpo, second_cpo, cpo)):
        put(hub, running, location_of(running.simulator.party, f"list-{number}"))
    seen, url = [], "sender/locations?limit=2"
    while url:
        answer = ask(hub, emsp, "GET", url, to=HUB)
        seen += answer.envelope["data"]
        assert answer.headers["x-limit"] == "2"
        assert int(answer.headers["x-total-count"]) >= 3
        link = answer.headers.get("link", "")
        url = link.partition(">")[0].removeprefix("<")
    ids = [location["id"] for location in seen if location["id"].startswith("list-")]
    assert ids == ["list-0", "list-1", "list-2"]
    assert len({(one["country_code"], one["party_id"], one["id"]) for one in seen}) == len(seen)


def test_a_get_of_one_location_without_to_goes_to_its_owner(hub, cpo, emsp):
    put(hub, cpo, location_of(cpo.simulator.party, "open"))
    cpo.simulator.says = lambda message: raw(b'{"status_code":1000,"data":{"id":"open"}}')
    answer = ask(hub, emsp, "GET", "sender/locations/OPEN")
    assert answer.status == 200
    [asked] = [message for message in cpo.simulator.got if message.method == "GET"]
    assert asked.path.endswith("/OPEN")


def test_a_location_that_two_cpos_have_is_never_guessed(hub, cpo, second_cpo, emsp):
    for running in (cpo, second_cpo):
        put(hub, running, location_of(running.simulator.party, "twice"))
    answer = ask(hub, emsp, "GET", "sender/locations/twice")
    assert answer.said == (200, 4001)
    assert str(second_cpo.simulator.party) in answer.envelope["status_message"]
    assert ask(hub, emsp, "GET", "sender/locations/twice", to=HUB).said == (200, 2001)


def test_somebody_elses_object_cannot_be_broadcast(hub, cpo, second_cpo):
    location = location_of(second_cpo.simulator.party, "forged")
    party = second_cpo.simulator.party
    path = f"receiver/locations/{party.country_code}/{party.party_id}/forged"
    body = json.dumps(location).encode()
    assert ask(hub, cpo, "PUT", path, to=HUB, body=body).said == (200, 2001)


def token_of_emsp(emsp, uid: str) -> bytes:
    party = emsp.simulator.party
    return json.dumps(
        {
            "country_code": party.country_code,
            "party_id": party.party_id,
            "uid": uid,
            "type": "RFID",
            "contract_id": "DE8ACC12E46L89",
            "issuer": "TheNewMotion",
            "valid": True,
            "whitelist": "ALWAYS",
            "last_updated": "2026-01-01T00:00:00Z",
        }
    ).encode()


def test_an_authorization_goes_to_the_issuer_of_a_known_token(hub, cpo, emsp):
    party = emsp.simulator.party
    path = f"receiver/tokens/{party.country_code}/{party.party_id}/UID1"
    assert ask(hub, emsp, "PUT", path, to=HUB, body=token_of_emsp(emsp, "UID1")).said == (201, 1000)
    ask(hub, cpo, "POST", "sender/tokens/uid1/authorize")
    assert [one.path for one in emsp.simulator.got if one.path.endswith("/uid1/authorize")]


def test_an_unknown_token_is_asked_of_every_emsp_and_allowed_wins(hub, cpo, emsp):
    second = hub.join(Stranger(Role.EMSP, party=new_party()))
    unknown = b'{"status_code":2004,"timestamp":"2026-01-01T00:00:00Z"}'
    emsp.simulator.says = lambda message: raw(unknown, 404)
    allowed = b'{"status_code":1000,"data":{"allowed":"ALLOWED"},"timestamp":"2026Z"}'
    second.simulator.says = lambda message: raw(allowed)
    answer = ask(hub, cpo, "POST", "sender/tokens/NOBODY/authorize")
    assert answer.body == allowed
    assert answer.headers["ocpi-from-party-id"] == second.simulator.party.party_id
    second.simulator.says = lambda message: raw(unknown, 404)
    assert ask(hub, cpo, "POST", "sender/tokens/NOBODY/authorize").said == (404, 2004)
