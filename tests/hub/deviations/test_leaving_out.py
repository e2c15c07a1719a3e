"""A platform that wants no deviations: what is left out for it, and what never is."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError

from hub.deviations import noting
from hub.deviations.models import Holding, LeftOut
from hub.models import Party, Platform, Replay, StaleCopy
from hub.ocpi.datatypes import Role
from hub.routing.directory import load
from hub.store import leaving_out
from hub.store.kinds import broadcast_kinds
from hub.store.pushed import EVERYBODY
from hub.store.store import StoredObject
from hub.sync import replay
from locations.models import Location
from simulators.testing import Running
from tariffs.models import Tariff
from tests.hub.commands.calling import run
from tests.hub.lists import Lists
from tests.hub.lists import location as pulled
from tests.hub.pushing import (
    HUB,
    T1,
    T2,
    T3,
    Owner,
    connector_of,
    evse_of,
    ids_of,
    listed,
    location_of,
    next_of,
    settled,
    tariff_of,
)
from tests.hub.strangers import Reply, Stranger, ask, raw, until
from tests.minimal import token
from tokens.models import Token

LOCATIONS = "sender/locations"


@pytest.fixture(scope="module")
def picky(hub) -> Running[Stranger]:
    """An eMSP that wants no deviations."""
    running = hub.join(Stranger(Role.EMSP))
    run("leave_out_deviations", *running.simulator.party)
    return running


@pytest.fixture(autouse=True)
def _nothing_counted(hub, picky, cpo):
    """Each test has its own objects alone."""
    settled()
    Location.objects.all().delete()
    Tariff.objects.all().delete()
    Holding.objects.all().delete()
    until(noting.flush)
    LeftOut.objects.all().delete()
    picky.simulator.says = Stranger.says_yes
    picky.simulator.got.clear()


def platform_of(running: Running[Stranger]) -> Platform:
    party = Party.objects.get(party_id=running.simulator.party.party_id)
    return Platform.objects.get(pk=party.platform_id)


def stored(
    owner: Running[Stranger],
    object_id: str,
    *,
    deviates: bool,
    kind: type[StoredObject] = Location,
    at: str = T1,
    **more: Any,
) -> dict[str, Any]:
    """An object that is kept and told to nobody, as after a first pull."""
    party = owner.simulator.party
    made = (location_of if kind is Location else tariff_of)(party, object_id, **more)
    identity = {"owner": str(party), "object_id": object_id.upper()}
    moment = datetime.fromisoformat(at).astimezone(UTC)
    body = json.dumps(made | {"last_updated": at}).encode()
    kind.keep(identity, EVERYBODY, body, moment, deviates=deviates)
    return made


def counted(receiver: Running[Stranger]) -> dict[tuple[str, str], tuple[int, int]]:
    until(noting.flush)
    rows = LeftOut.objects.filter(receiver=platform_of(receiver))
    return {(one.owner, one.module): (one.pushes, one.lists) for one in rows}


# --- Lists ---------------------------------------------------------------------------------------


def test_its_lists_are_without_them_and_count_right_on_every_page(hub, cpo, emsp, picky):
    for number in range(7):
        stored(cpo, f"L{number}", deviates=number in {0, 3, 4})
    pages = listed(hub, picky, f"{LOCATIONS}?limit=2")
    assert ids_of(pages) == ["L1", "L2", "L5", "L6"]
    assert [page.headers["x-total-count"] for page in pages] == ["4", "4"]
    assert [bool(next_of(page)) for page in pages] == [True, False]
    by_offset = ask(hub, picky, "GET", f"{LOCATIONS}?offset=3&limit=2", to=HUB)
    assert ids_of([by_offset]) == ["L6"]
    assert by_offset.headers["x-total-count"] == "4"
    assert len(ids_of(listed(hub, emsp, LOCATIONS))) == 7
    assert counted(picky) == {(str(cpo.simulator.party), "locations"): (0, 1)}
    assert counted(emsp) == {}


def test_only_what_the_list_is_asked_for_counts_as_left_out(hub, cpo, picky):
    stored(cpo, "OLD", deviates=True, at=T1)
    stored(cpo, "NEW", deviates=False, at=T3)
    assert ids_of(listed(hub, picky, f"{LOCATIONS}?date_from={T2}")) == ["NEW"]
    assert counted(picky) == {}
    assert ids_of(listed(hub, picky, f"{LOCATIONS}?date_to={T2}")) == []
    assert counted(picky) == {(str(cpo.simulator.party), "locations"): (0, 1)}


def test_what_it_asks_for_by_name_it_gets(hub, cpo, picky):
    stored(cpo, "ODD", deviates=True)
    answer = ask(hub, picky, "GET", f"{LOCATIONS}/ODD", to=HUB)
    assert answer.said == (200, 1000)
    assert answer.envelope["data"]["id"] == "ODD"


def test_ones_own_objects_are_never_left_out(hub, cpo):
    stored(cpo, "MINE", deviates=True)
    platform = platform_of(cpo)
    leaving_out.switch(platform, broadcast_kinds().values(), on=True)
    try:
        assert ids_of(listed(hub, cpo, LOCATIONS)) == ["MINE"]
    finally:
        leaving_out.switch(platform, broadcast_kinds().values(), on=False)


# --- Pushes --------------------------------------------------------------------------------------

# As a real operator's feed has them.
ODD = {"coordinates": {"latitude": "51.0476", "longitude": "3.7299"}}
EVEN = {"coordinates": {"latitude": "51.04760", "longitude": "3.72990"}}


class Patient(Owner):
    """Each of its messages has come to everybody before the next one: none are merged."""

    def send(self, *arguments: Any, **more: Any) -> Reply:
        answer = super().send(*arguments, **more)
        settled()
        return answer


@pytest.fixture
def locations(hub, cpo) -> Owner:
    return Patient(hub, cpo, "locations")


def put(owner: Owner, object_id: str, at: str = T1, **more: Any) -> Reply:
    return owner.put(object_id, body=location_of(owner.party, object_id, last_updated=at, **more))


def told(owner: Owner, receiver: Running[Stranger], object_id: str) -> list[str]:
    """What has come of an object, when nothing is on its way any more."""
    settled()
    return [
        f"{m.method} {m.path.partition(object_id)[2]}" for m in owner.heard(receiver, object_id)
    ]


def test_a_push_of_an_odd_object_goes_to_the_others_alone_and_is_counted(
    cpo, emsp, picky, locations
):
    assert put(locations, "P1", **ODD).said == (201, 1000)
    assert put(locations, "P1", T2, **ODD).said == (200, 1000)
    assert put(locations, "P2").said == (201, 1000)
    assert told(locations, emsp, "P1") == ["PUT ", "PUT "]
    assert told(locations, picky, "P1") == []
    assert told(locations, picky, "P2") == ["PUT "]
    owner = str(cpo.simulator.party)
    until(lambda: counted(picky) == {(owner, "locations"): (2, 0)})
    assert counted(emsp) == {}


def test_changes_of_its_parts_do_not_come_either(emsp, picky, locations):
    put(locations, "P3", **ODD)
    status = {"status": "CHARGING", "last_updated": T2}
    assert locations.patch("P3", "3256", body=status).said == (200, 1000)
    assert locations.put("P3", "3256", "2", body=connector_of("2", last_updated=T3)).status == 201
    assert len(told(locations, emsp, "P3")) == 3
    assert told(locations, picky, "P3") == []


def test_one_that_is_corrected_comes_whole_also_by_a_change_of_its_parts(emsp, picky, locations):
    put(locations, "P4", **ODD)
    correction = EVEN | {"last_updated": T2}
    assert locations.patch("P4", body=correction).said == (200, 1000)
    assert told(locations, emsp, "P4") == ["PUT ", "PATCH "]
    assert told(locations, picky, "P4") == ["PUT "]
    [whole] = locations.heard(picky, "P4")
    assert json.loads(whole.body) == locations.kept("P4")
    assert locations.patch("P4", body={"city": "Brugge", "last_updated": T3}).said == (200, 1000)
    assert told(locations, picky, "P4") == ["PUT ", "PATCH "]


def test_a_part_that_was_odd_and_is_corrected_brings_the_whole_location(emsp, picky, locations):
    odd = evse_of(physical_reference="x" * 17)
    put(locations, "P5", evses=[odd])
    assert told(locations, picky, "P5") == []
    assert locations.put("P5", "3256", body=evse_of(last_updated=T2)).said == (200, 1000)
    assert told(locations, emsp, "P5") == ["PUT ", "PUT /3256"]
    assert told(locations, picky, "P5") == ["PUT "]


def test_one_that_it_holds_goes_on_coming_as_it_is(picky, locations):
    put(locations, "P6")
    put(locations, "P6", T2, **ODD)
    locations.patch("P6", "3256", body={"status": "CHARGING", "last_updated": T3})
    assert told(locations, picky, "P6") == ["PUT ", "PUT ", "PATCH /3256"]
    assert json.loads(locations.heard(picky, "P6")[1].body)["coordinates"] == ODD["coordinates"]
    assert counted(picky) == {}


def test_one_that_was_sent_to_it_alone_goes_on_coming_when_it_is_told_to_all(picky, locations):
    mine = location_of(locations.party, "P7", **ODD)
    assert locations.put("P7", body=mine, to=picky).said == (200, 1000)
    put(locations, "P7", T2, **ODD)
    assert told(locations, picky, "P7") == ["PUT ", "PUT "]


def test_a_deletion_always_comes_and_ends_what_it_holds(hub, cpo, emsp, picky):
    tariffs = Patient(hub, cpo, "tariffs")
    odd = tariff_of(cpo.simulator.party, "P8", tariff_alt_url="")
    assert tariffs.put("P8", body=odd, to=picky).said == (200, 1000)
    assert tariffs.put("P8", body=odd).said == (201, 1000)
    assert told(tariffs, picky, "P8") == ["PUT ", "PUT "]
    assert tariffs.send("DELETE", "P8").said == (200, 1000)
    assert tariffs.put("P8", body=odd).said == (201, 1000)
    assert told(tariffs, picky, "P8") == ["PUT ", "PUT ", "DELETE "]
    assert told(tariffs, emsp, "P8") == ["PUT ", "DELETE ", "PUT "]


def test_tokens_are_never_left_out(hub, cpo, emsp):
    """Whoever is not told of a card that was blocked goes on charging with it."""
    platform = platform_of(cpo)
    leaving_out.switch(platform, broadcast_kinds().values(), on=True)
    try:
        tokens = Patient(hub, emsp, "tokens")
        odd = token(emsp.simulator.party, "P9", issuer="x" * 65, valid=False)
        assert tokens.put("P9", body=odd).said == (201, 1000)
        assert Token.objects.get(object_id="P9").deviates
        assert told(tokens, cpo, "P9") == ["PUT "]
        found = ask(hub, cpo, "GET", "sender/tokens", to=HUB).envelope["data"]
        assert "P9" in {one["uid"] for one in found}
    finally:
        leaving_out.switch(platform, broadcast_kinds().values(), on=False)


def test_what_a_pull_brings_is_left_out_like_what_is_pushed(hub, emsp, picky):
    source = hub.join(Stranger(Role.CPO))
    party = source.simulator.party
    lists = Lists(source.simulator, 10, locations=[pulled(party, "P10")])
    run("pull", *party, "--module", "locations", "--wait")
    lists.documents["locations"] = [
        pulled(party, "P10", last_updated=T2, **ODD),
        pulled(party, "P11", last_updated=T2, **ODD),
        pulled(party, "P12", last_updated=T2),
    ]
    run("pull", *party, "--module", "locations", "--wait")
    settled()
    owner = Owner(hub, source, "locations")
    assert [told(owner, emsp, name) for name in ("P10", "P11", "P12")] == [["PUT "]] * 3
    assert [told(owner, picky, name) for name in ("P10", "P11", "P12")] == [["PUT "], [], ["PUT "]]
    assert counted(picky) == {(str(party), "locations"): (1, 0)}


# --- What it holds -------------------------------------------------------------------------------


def test_what_was_clean_since_it_came_stays_in_its_lists(hub, cpo, picky):
    stored(cpo, "TURNED", deviates=False, at=T1)
    stored(cpo, "TURNED", deviates=True, at=T2)
    stored(cpo, "BORN", deviates=True, at=T1)
    stored(cpo, "BORN", deviates=True, at=T2)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["TURNED"]


def test_what_was_clean_before_it_came_alone_does_not(hub, cpo, picky):
    stored(cpo, "TURNED", deviates=False, at=T1)
    stored(cpo, "TURNED", deviates=True, at=T2)
    newcomer = hub.join(Stranger(Role.EMSP))
    run("leave_out_deviations", *newcomer.simulator.party)
    assert ids_of(listed(hub, newcomer, LOCATIONS)) == []
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["TURNED"]


def test_what_was_corrected_comes_back_and_stays_whatever_becomes_of_it(hub, cpo, picky):
    stored(cpo, "ODD", deviates=True, at=T1)
    assert ids_of(listed(hub, picky, LOCATIONS)) == []
    stored(cpo, "ODD", deviates=False, at=T2)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["ODD"]
    stored(cpo, "ODD", deviates=True, at=T3)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["ODD"]


def test_what_waits_for_it_at_the_switch_is_remembered(hub, cpo, picky):
    platform = platform_of(picky)
    leaving_out.switch(platform, broadcast_kinds().values(), on=False)
    owner = str(cpo.simulator.party)
    for name in ("UNDER-WAY", "REFUSED", "UNTOLD"):
        stored(cpo, name, deviates=True)
    picky.simulator.says = lambda message: raw(b"", 429, Retry_After="1")
    for name, state in (("UNDER-WAY", "WAITING"), ("REFUSED", "REFUSED")):
        StaleCopy.objects.create(
            receiver=platform,
            party=str(picky.simulator.party),
            module="locations",
            owner=owner,
            object_id=name,
            state=state,
            correlation_id="c",
        )
    leaving_out.switch(platform, broadcast_kinds().values(), on=True)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["UNDER-WAY"]
    StaleCopy.objects.filter(owner=owner).delete()


def test_what_its_owner_sent_to_it_alone_it_holds_also_when_all_are_told_of_it(hub, cpo, picky):
    mine = location_of(cpo.simulator.party, "MINE")
    assert Owner(hub, cpo, "locations").put("MINE", body=mine, to=picky).said == (200, 1000)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["MINE"]
    stored(cpo, "MINE", deviates=True, at=T3)
    assert not Location.objects.exclude(audience="").exists()
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["MINE"]


def test_what_it_alone_was_told_before_the_switch_it_holds_too(hub, cpo, picky):
    platform = platform_of(picky)
    leaving_out.switch(platform, broadcast_kinds().values(), on=False)
    mine = location_of(cpo.simulator.party, "MINE")
    assert Owner(hub, cpo, "locations").put("MINE", body=mine, to=picky).said == (200, 1000)
    leaving_out.switch(platform, broadcast_kinds().values(), on=True)
    stored(cpo, "MINE", deviates=True, at=T3)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["MINE"]


# --- The switch ----------------------------------------------------------------------------------


def test_a_command_turns_it_on_and_off(hub, cpo):
    stored(cpo, "ODD", deviates=True)
    newcomer = hub.join(Stranger(Role.EMSP))
    party = newcomer.simulator.party
    assert ids_of(listed(hub, newcomer, LOCATIONS)) == ["ODD"]
    assert "left out" in run("leave_out_deviations", *party)
    assert ids_of(listed(hub, newcomer, LOCATIONS)) == []
    assert "replay" in run("leave_out_deviations", *party, "--off")
    assert ids_of(listed(hub, newcomer, LOCATIONS)) == ["ODD"]
    with pytest.raises(CommandError, match="not a party"):
        run("leave_out_deviations", "XX", "ZZZ")


def test_what_is_left_out_now_is_what_it_would_see_otherwise(hub, cpo, picky):
    stored(cpo, "ODD", deviates=True)
    stored(cpo, "EVEN", deviates=False)
    stored(picky, "MINE", deviates=True)
    directory = load()
    platform = directory.parties[picky.simulator.party].platform
    odd = leaving_out.left_out_now(Location, platform, directory)
    assert odd is not None
    assert [one.object_id for one in odd] == ["ODD"]
    other = directory.parties[cpo.simulator.party].platform
    assert leaving_out.left_out_now(Location, other, directory) is None


# --- A replay ------------------------------------------------------------------------------------


def test_a_replay_is_without_them(hub, cpo, picky):
    stored(cpo, "ODD", deviates=True)
    stored(cpo, "EVEN", deviates=False)
    party = picky.simulator.party
    run("replay", *party)

    def is_done() -> bool:
        replay.advance()
        return not Replay.objects.filter(party_id=party.party_id).exists()

    until(is_done)
    settled(picky)
    # Beside them it is told which Tariffs of others are no more.
    told = [one.parts[-1] for one in picky.simulator.got if one.method == "PUT"]
    assert told == ["EVEN"]
