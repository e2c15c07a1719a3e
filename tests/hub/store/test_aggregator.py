"""Aggregators and national access points: pushes and lists with each owner's ids."""

import json

import pytest

from hub.models import Agreement, Party, Platform
from hub.models.pulls import Pull
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.party import PartyId
from hub.routing.directory import load
from hub.store.pushed import Pushed
from hub.store.sharing import shared_with
from hub.sync import pull_tasks
from locations.models import Location
from tariffs.models import Tariff
from tests.hub.commands.calling import run as manage
from tests.hub.lists import Lists, location, tariff
from tests.hub.pushing import HUB, T1, T2, T3, Owner, listed, location_of, tariff_of
from tests.hub.strangers import Stranger, ask, until
from tests.running_hub import new_party


@pytest.fixture(autouse=True)
def _only_on_request(settings) -> None:
    settings.PULL_PAUSE, settings.PULL_SPLAY = 0.001, 1e6


@pytest.fixture
def nap(hub):
    """A national access point that the operator has marked."""
    running = hub.join(Stranger(Role.NAP, listens=False))
    manage("mark_aggregator", *running.simulator.party, "yes")
    return running


@pytest.fixture
def owner(hub):
    """A CPO that may tell its objects itself."""
    return Owner(hub, hub.join(Stranger(Role.CPO, listens=False)), "locations")


@pytest.fixture
def nsp(hub):
    return hub.join(Stranger(Role.NSP, listens=False))


def path(party: PartyId, object_id: str, module: str = "locations") -> str:
    return f"receiver/{module}/{party.country_code}/{party.party_id}/{object_id}"


def push(hub, nap, party: PartyId, object_id: str, *, to=HUB, **more):
    body = json.dumps(location_of(party, object_id, **more)).encode()
    return ask(hub, nap, "PUT", path(party, object_id), to=to, body=body)


def seen(hub, viewer, party: PartyId, object_id: str):
    """What GET All shows of it."""
    for page in listed(hub, viewer, "sender/locations?limit=1000"):
        for one in page.envelope["data"]:
            if (one["country_code"], one["party_id"], one["id"]) == (*party, object_id):
                return one
    return None


def heard(running, party: PartyId) -> list:
    got = [one for one in running.simulator.got if one.module != "hubclientinfo"]
    return [one for one in got if one.parts[1:2] == (party.party_id,)]


# --- Pushes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [HUB, None])
def test_what_it_pushes_of_others_is_kept_spread_and_shown_under_their_ids(hub, nap, nsp, to):
    stranger = new_party()
    assert push(hub, nap, stranger, "L1", to=to).said == (201, 1000)
    [told] = until(lambda: heard(nsp, stranger))
    assert (told.from_party, told.parts) == (HUB, (*stranger, "L1"))
    assert seen(hub, nsp, stranger, "L1")["party_id"] == stranger.party_id
    assert ask(hub, nap, "GET", path(stranger, "L1")).said == (200, 1000)
    assert Location.objects.get(owner=str(stranger)).told_by == str(nap.simulator.party)


def test_what_the_owner_tells_itself_is_neither_replaced_nor_spread_again(hub, nap, nsp, owner):
    owner.put("L1", body=location_of(owner.party, "L1", name="own"))
    until(lambda: heard(nsp, owner.party))
    for send in (
        lambda: push(hub, nap, owner.party, "L1", last_updated=T3, name="NAP"),
        lambda: ask(
            hub,
            nap,
            "PATCH",
            path(owner.party, "L1"),
            to=HUB,
            body=json.dumps({"name": "NAP", "last_updated": T3}).encode(),
        ),
    ):
        answer = send()
        assert answer.said == (200, 1000)
        assert "its owner's own word" in answer.envelope["status_message"]
    refused = push(hub, nap, owner.party, "L1", to=nsp, last_updated=T3)
    assert refused.said == (200, 2001)
    assert owner.kept("L1")["name"] == "own"
    assert len(heard(nsp, owner.party)) == 1


def test_the_owner_takes_over_with_whatever_it_tells(hub, nap, nsp, owner):
    push(hub, nap, owner.party, "L1", last_updated=T3, name="NAP")
    assert seen(hub, nsp, owner.party, "L1")["name"] == "NAP"
    assert owner.patch("L1", body={"name": "own", "last_updated": T3}).code == 2003
    assert owner.put("L1", body=location_of(owner.party, "L1", name="own")).code == 1000
    assert seen(hub, nsp, owner.party, "L1")["name"] == "own"
    told = until(lambda: [m for m in heard(nsp, owner.party) if m.json().get("name") == "own"])
    assert told[0].method == "PUT"


def test_it_tells_one_party_alone_what_the_owner_does_not_tell(hub, nap, nsp):
    stranger = new_party()
    assert push(hub, nap, stranger, "L1", to=nsp).said == (200, 1000)
    [told] = heard(nsp, stranger)
    assert told.from_party == nap.simulator.party
    assert not Location.objects.filter(owner=str(stranger)).exists()


def test_it_ends_a_tariff_of_its_own_telling_alone(hub, nap, owner):
    body = json.dumps(tariff_of(owner.party, "T1")).encode()
    url = path(owner.party, "T1", "tariffs")
    assert ask(hub, nap, "PUT", url, to=HUB, body=body).said == (201, 1000)
    assert ask(hub, nap, "DELETE", url, to=HUB).said == (200, 1000)
    assert not Tariff.objects.filter(owner=str(owner.party)).exists()
    assert ask(hub, owner.running, "PUT", url, to=HUB, body=body).said == (201, 1000)
    assert "own word" in ask(hub, nap, "DELETE", url, to=HUB).envelope["status_message"]
    assert Tariff.objects.filter(owner=str(owner.party)).exists()


def test_a_body_that_names_another_owner_than_the_url_is_refused(hub, nap):
    stranger, other = new_party(), new_party()
    body = json.dumps(location_of(other, "L1")).encode()
    assert ask(hub, nap, "PUT", path(stranger, "L1"), to=HUB, body=body).said == (200, 2001)


def test_neither_tokens_nor_anything_before_the_mark(hub, nap, owner):
    manage("mark_aggregator", *nap.simulator.party, "no")
    assert push(hub, nap, owner.party, "L1").said == (200, 2001)
    manage("mark_aggregator", *nap.simulator.party, "yes")
    url = path(owner.party, "U1", "tokens")
    assert ask(hub, nap, "PUT", url, to=HUB, body=b"{}").said == (200, 2001)


def test_the_owner_is_not_told_its_own_objects_and_its_agreements_hold(hub, nap, owner):
    emsp = hub.join(Stranger(Role.EMSP, listens=False))
    other = hub.join(Stranger(Role.EMSP, listens=False))
    one, two = owner.party, emsp.simulator.party
    push(hub, nap, one, "L0")
    assert seen(hub, emsp, one, "L0") is not None
    row = Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=two.country_code,
        party_id_b=two.party_id,
        is_open=False,
    )
    until(lambda: seen(hub, emsp, one, "L0") is None)
    push(hub, nap, one, "L1")
    until(lambda: [told for told in heard(other, one) if told.parts[-1] == "L1"])
    assert not [told for told in heard(emsp, one) if told.parts[-1] == "L1"]
    assert seen(hub, emsp, one, "L1") is None
    assert seen(hub, other, one, "L1") is not None
    row.delete()
    until(lambda: seen(hub, emsp, one, "L1") is not None)


# --- Lists that are pulled -----------------------------------------------------------------------


def run(nap, module: str = "locations", *, full: bool = False) -> Pull:
    (row,) = pull_tasks.request(nap.simulator.party, [module], full=full)
    until(lambda: not Pull.objects.get(pk=row.pk).is_requested)
    return Pull.objects.get(pk=row.pk)


def test_a_list_keeps_each_owners_ids_and_never_goes_over_the_owners_word(hub, nap, nsp, owner):
    stranger, own = new_party(), nap.simulator.party
    owner.put("L1", body=location_of(owner.party, "L1", name="own", last_updated=T1))
    documents = [location(party, "L1", name="NAP") for party in (owner.party, stranger, own)]
    lists = Lists(nap.simulator, locations=documents)
    row = run(nap)
    assert (row.stored, row.foreign, row.unchanged) == (2, 0, 1)
    assert owner.kept("L1")["name"] == "own"
    assert seen(hub, nsp, stranger, "L1")["name"] == "NAP"
    tellers = {
        one.owner: one.told_by
        for one in Location.objects.filter(owner__in=map(str, (owner.party, stranger, own)))
    }
    assert tellers == {str(owner.party): "", str(stranger): str(own), str(own): ""}
    assert not heard(nsp, stranger)  # The first run tells nobody.
    for one in lists.documents["locations"]:
        one |= {"name": "changed", "last_updated": "2099-01-01T00:00:00Z"}
    assert run(nap).stored == 2
    until(lambda: heard(nsp, stranger))
    assert [one.json()["name"] for one in heard(nsp, owner.party)] == ["own"]


def test_a_tariff_that_its_list_has_no_more_is_ended_unless_its_owner_tells_it(hub, nap, owner):
    stranger = new_party()
    tariffs = [tariff(party, one) for party in (owner.party, stranger) for one in ("T1", "T2")]
    lists = Lists(nap.simulator, tariffs=tariffs)
    assert run(nap, "tariffs").stored == 4
    body = json.dumps(tariff_of(owner.party, "T2")).encode()
    ask(hub, owner.running, "PUT", path(owner.party, "T2", "tariffs"), to=HUB, body=body)
    lists.documents["tariffs"] = [one for one in tariffs if one["id"] == "T1"]
    assert run(nap, "tariffs", full=True).removed == 1
    kept = Tariff.objects.filter(owner__in=[str(owner.party), str(stranger)])
    assert sorted((one.owner, one.object_id) for one in kept) == sorted(
        [(str(owner.party), "T1"), (str(owner.party), "T2"), (str(stranger), "T1")]
    )


def test_lists_of_who_is_not_marked_count_what_is_of_others(hub, nap):
    manage("mark_aggregator", *nap.simulator.party, "no")
    with pytest.raises(pull_tasks.NothingToPull):
        pull_tasks.request(nap.simulator.party, ["locations"])


# --- Who sees it ---------------------------------------------------------------------------------

NAP, CPO, EMSP, NOBODY = (PartyId("NL", one) for one in ("NAP", "CPO", "MSP", "XXX"))


@pytest.fixture
def rows(db):
    """A marked platform, a CPO, an eMSP, and what the first tells of the second and of nobody."""
    for party, role in ((NAP, Role.NAP), (CPO, Role.CPO), (EMSP, Role.EMSP)):
        platform = Platform.objects.create(name=str(party), is_aggregator=party is NAP)
        Party.objects.create(
            platform=platform,
            country_code=party.country_code,
            party_id=party.party_id,
            role=role,
            status=ConnectionStatus.CONNECTED,
        )
    for party in (CPO, NOBODY):
        body = json.dumps(location_of(party, "L", last_updated=T2)).encode()
        Location.push(Pushed("PUT", party, ("L",), {}, body, told_by=str(NAP)))


def shown() -> set[str]:
    found = shared_with(Location, EMSP, load())
    return set(found.values_list("owner", flat=True))


def agree(one: PartyId, other: PartyId, *, is_open: bool) -> None:
    Agreement.objects.create(
        country_code_a=one.country_code,
        party_id_a=one.party_id,
        country_code_b=other.country_code,
        party_id_b=other.party_id,
        is_open=is_open,
    )


def test_an_open_hub_shows_it_to_whom_neither_the_teller_nor_the_owner_is_closed(rows):
    assert shown() == {"NL-CPO", "NL-XXX"}
    agree(CPO, EMSP, is_open=False)
    assert shown() == {"NL-XXX"}
    agree(NAP, EMSP, is_open=False)
    assert shown() == set()


def test_a_contract_hub_shows_it_to_whom_the_teller_has_an_agreement_with(rows, settings):
    settings.AGREEMENTS_OPEN_BY_DEFAULT = False
    assert shown() == set()
    agree(NAP, EMSP, is_open=True)
    assert shown() == {"NL-XXX"}
    agree(CPO, EMSP, is_open=True)
    assert shown() == {"NL-CPO", "NL-XXX"}


def test_what_a_platform_told_that_is_marked_no_more_is_shown_to_nobody(rows):
    Platform.objects.update(is_aggregator=False)
    assert shown() == set()
