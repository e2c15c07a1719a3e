"""A platform that wants no deviations: what is left out for it, and what never is."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError

from hub import leaving_out, replay
from hub.deviations import noting
from hub.deviations.models import Holding, LeftOut
from hub.directory import load
from hub.models import Delivery, Party, Platform, Replay
from hub.ocpi.datatypes import Role
from hub.replay import KINDS
from hub.store import EVERYBODY, StoredObject
from locations.models import Location
from simulators.testing import Running
from tariffs.models import Tariff
from tests.hub.commands.calling import run
from tests.hub.pushing import (
    HUB,
    T1,
    T2,
    T3,
    Owner,
    ids_of,
    listed,
    location_of,
    next_of,
    tariff_of,
)
from tests.hub.strangers import Stranger, ask, until

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
    until(lambda: not Delivery.objects.filter(state="WAITING").exists())
    Location.objects.all().delete()
    Tariff.objects.all().delete()
    Holding.objects.all().delete()
    noting.flush()
    LeftOut.objects.all().delete()
    picky.simulator.says = Stranger.says_yes
    picky.simulator.got.clear()
    picky.simulator.targets.clear()


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
    noting.flush()
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
    assert ask(hub, picky, "GET", f"{LOCATIONS}/ODD", to=HUB).said == (200, 1000)
    assert Owner(hub, cpo, "locations").kept("ODD", viewer=picky)["id"] == "ODD"


def test_ones_own_objects_are_never_left_out(hub, cpo):
    stored(cpo, "MINE", deviates=True)
    platform = platform_of(cpo)
    leaving_out.switch(platform, KINDS.values(), on=True)
    try:
        assert ids_of(listed(hub, cpo, LOCATIONS)) == ["MINE"]
    finally:
        leaving_out.switch(platform, KINDS.values(), on=False)


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


def _delivered(receiver: Running[Stranger], key: str, state: str, method: str = "PUT") -> None:
    party = receiver.simulator.party
    Delivery.objects.create(
        receiver=platform_of(receiver),
        ordering_key=key,
        module="locations",
        method=method,
        interface_role="RECEIVER",
        path="x",
        correlation_id="c",
        state=state,
        to_country_code=party[0],
        to_party_id=party[1],
    )


def test_pushes_that_it_has_taken_before_the_switch_are_remembered(hub, cpo, picky):
    owner = cpo.simulator.party
    outcomes = {
        "TAKEN": [("PUT", "DELIVERED")],
        "PATCHED": [("PATCH", "DELIVERED"), ("PATCH", "REFUSED")],
        "UNDER-WAY": [("PUT", "WAITING")],
        "REFUSED": [("PUT", "REFUSED")],
        "DROPPED": [("PUT", "DROPPED")],
        "DELETED": [("PUT", "DELIVERED"), ("DELETE", "DELIVERED")],
        "UNTOLD": [],
    }
    platform = platform_of(picky)
    leaving_out.switch(platform, KINDS.values(), on=False)
    try:
        for name, told in outcomes.items():
            stored(cpo, name, deviates=True)
            for method, state in told:
                _delivered(picky, f"LOCATIONS:{owner}/{name}?".upper(), state, method)
        leaving_out.switch(platform, KINDS.values(), on=True)
        found = ids_of(listed(hub, picky, LOCATIONS))
    finally:
        Delivery.objects.filter(path="x").delete()
    assert found == ["TAKEN", "PATCHED", "UNDER-WAY"]


def test_what_its_owner_sent_to_it_alone_it_holds_also_when_all_are_told_of_it(hub, cpo, picky):
    mine = location_of(cpo.simulator.party, "MINE")
    assert Owner(hub, cpo, "locations").put("MINE", body=mine, to=picky).said == (200, 1000)
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["MINE"]
    stored(cpo, "MINE", deviates=True, at=T3)
    assert not Location.objects.exclude(audience="").exists()
    assert ids_of(listed(hub, picky, LOCATIONS)) == ["MINE"]


def test_what_it_alone_was_told_before_the_switch_it_holds_too(hub, cpo, picky):
    platform = platform_of(picky)
    leaving_out.switch(platform, KINDS.values(), on=False)
    mine = location_of(cpo.simulator.party, "MINE")
    assert Owner(hub, cpo, "locations").put("MINE", body=mine, to=picky).said == (200, 1000)
    leaving_out.switch(platform, KINDS.values(), on=True)
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
    with pytest.raises(CommandError, match="no party"):
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
    picky.wait_for(lambda: bool(picky.simulator.got))
    assert [message.parts[-1] for message in picky.simulator.got] == ["EVEN"]
