"""URLs of the hub that can mean one thing only are taken, and noted (tests/hub/ocpi)."""

import pytest

from hub.ocpi.datatypes import Role
from tests.hub.deviations.counts import counts_of
from tests.hub.pushing import HUB, Owner, location_of, tariff_of
from tests.hub.strangers import CUSTOM, OFFERS, RECEIVER, Stranger, ask, raw, send, token_of, until
from tests.minimal import as_json


def noted(running, rule: str) -> bool:
    """Whether the hub has counted it."""
    return rule in {found for found, _ in counts_of(running.simulator.party)}


@pytest.mark.parametrize(
    ("odd", "rule"),
    [
        ("receiver/tariffs{own}/T1", "missing-slash"),
        ("receiver/tariffs//{own}/T1", "doubled-slash"),
        ("receiver//tariffs/{own}//T1", "doubled-slash"),
        ("Receiver/Tariffs/{own}/T1", "letter-case"),
    ],
)
@pytest.mark.parametrize("is_named", [True, False])
def test_a_push_arrives_at_the_url_that_is_meant(hub, cpo, emsp, odd, rule, is_named):
    party = cpo.simulator.party
    body = as_json(tariff_of(party, "T1"))
    to = emsp if is_named else HUB
    assert ask(hub, cpo, "PUT", odd, to=to, body=body).code == 1000
    own = f"/{party.country_code}/{party.party_id}/T1"
    until(lambda: emsp.simulator.targets[-1:] == [emsp.simulator.where("tariffs", RECEIVER) + own])
    assert is_named or Owner(hub, cpo, "tariffs").kept("T1") is not None
    until(lambda: noted(cpo, rule))


@pytest.mark.parametrize("odd", ["Sender/Locations", "sender//locations//", "SENDER/locations/"])
def test_a_list_is_found(hub, cpo, odd):
    owner = Owner(hub, cpo, "locations")
    owner.put("ODD", body=location_of(owner.party, "ODD"))
    for to in (HUB, None):
        answer = ask(hub, cpo, "GET", odd, to=to)
        assert answer.said == (200, 1000)
        assert "ODD" in [one["id"] for one in answer.envelope["data"]]


@pytest.mark.parametrize(
    "path",
    ["clientinfo", "clientinfo/", "HubClientInfo", "hubclientinfo/", "/OCPI/2.2.1//hubclientinfo"],
)
def test_hubclientinfo_is_found(hub, cpo, emsp, path):
    path = path if path.startswith("/") else f"/ocpi/2.2.1/{path}"
    answer = send(hub, "GET", path, token_of(cpo))
    assert answer.said == (200, 1000)
    found = [one["party_id"] for one in answer.envelope["data"]]
    assert emsp.simulator.party.party_id in found or "x-total-count" in answer.headers
    if "/clientinfo" in path:
        until(lambda: noted(cpo, "module-name"))


@pytest.mark.parametrize("path", ["//ocpi/2.2.1", "/OCPI/2.2.1/", "/ocpi//2.2.1/"])
def test_version_details_are_found(hub, cpo, path):
    assert send(hub, "GET", path, token_of(cpo)).said == (200, 1000)
    assert send(hub, "GET", path).status == 401


def test_a_custom_module_of_that_name_gets_what_is_sent_to_it(hub, cpo):
    offers = [*OFFERS, ("tariffsnl", RECEIVER)]
    other = hub.join(Stranger(Role.EMSP, offers=offers))
    other.simulator.says = lambda message: raw()
    for path in ("receiver/tariffsNL/ABC/T1", f"receiver/{CUSTOM}//a//b/"):
        assert ask(hub, cpo, "PUT", path, to=other, body=b"{}").said == (200, 1000)
    first, second = other.simulator.targets
    assert first == other.simulator.where("tariffsnl", RECEIVER) + "/ABC/T1"
    assert second.endswith("//a//b/")


@pytest.mark.parametrize("path", ["/OCPI/versions", "//ocpi/versions", "/Ocpi/nothing"])
def test_an_odd_path_that_leads_nowhere_is_404_with_an_envelope(hub, cpo, path):
    answer = send(hub, "GET", path, token_of(cpo))
    assert (answer.said, answer.headers["content-type"]) == ((404, 2000), "application/json")
