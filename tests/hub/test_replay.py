"""The current state for a party that was away: an operator's action, or a platform's switch."""

import json

import pytest
from django.core.management import CommandError

from hub import party_status, replay
from hub.models import Delivery, Party, Platform, Replay
from hub.ocpi.datatypes import Role
from tests.hub.commands.calling import run
from tests.hub.pushing import HUB, T2, Owner, location_of, tariff_of
from tests.hub.strangers import Stranger, raw, until
from tests.minimal import token


@pytest.fixture
def returned(hub):
    """An eMSP that has just come: it has heard nothing."""
    return hub.join(Stranger(Role.EMSP))


def _run_to_the_end(party) -> None:
    def is_done() -> bool:
        replay.advance()
        return not Replay.objects.filter(party_id=party.party_id).exists()

    until(is_done)


def _told(running) -> list[tuple[str, str, str]]:
    """Method, module and id of what has come."""
    return [(m.method, m.module, m.parts[-1]) for m in running.simulator.got]


def test_a_party_gets_the_current_state_of_what_it_may_see_and_of_nothing_else(
    hub, cpo, emsp, returned
):
    party = returned.simulator.party
    locations, tariffs = Owner(hub, cpo, "locations"), Owner(hub, cpo, "tariffs")
    name = "a/b"
    locations.put(name, body=location_of(cpo.simulator.party, name))
    locations.patch(name, body={"city": "Brugge", "last_updated": T2})
    tariffs.put("T1", body=tariff_of(cpo.simulator.party, "T1"))
    locations.put("own", body=location_of(cpo.simulator.party, "own"), to=returned)
    locations.put("others", body=location_of(cpo.simulator.party, "others"), to=emsp)
    Owner(hub, emsp, "tokens").put("UID", body=token(emsp.simulator.party, "UID"), to=HUB)
    until(lambda: not Delivery.objects.filter(state="WAITING").exists())
    returned.simulator.got.clear()
    told = run("replay", *party)
    assert "on its way" in told
    _run_to_the_end(party)
    returned.wait_for(lambda: len(returned.simulator.got) == 3)
    assert _told(returned) == [
        ("PUT", "locations", name),
        ("PUT", "locations", "own"),
        ("PUT", "tariffs", "T1"),
    ]
    first, own, _ = returned.simulator.got
    assert json.loads(first.body)["city"] == "Brugge"
    assert first.from_party == HUB
    assert own.from_party == cpo.simulator.party


def test_a_cpo_gets_tokens_and_what_comes_waits_for_what_it_has_not_taken_yet(hub, cpo, emsp):
    tokens = Owner(hub, emsp, "tokens")
    uids = [f"UID{number}" for number in range(replay.CHUNK + 5)]
    for uid in uids:
        tokens.put(uid, body=token(emsp.simulator.party, uid))
    until(lambda: not Delivery.objects.filter(state="WAITING").exists())
    cpo.simulator.got.clear()
    run("replay", *cpo.simulator.party)
    _run_to_the_end(cpo.simulator.party)
    cpo.wait_for(lambda: {one for _, _, one in _told(cpo)} >= set(uids))
    assert "type=RFID" in cpo.simulator.targets[-1]


def test_it_begins_by_itself_where_the_operator_has_switched_it_on(hub, cpo, returned):
    Owner(hub, cpo, "locations").put("BACK", body=location_of(cpo.simulator.party, "BACK"))
    party = returned.simulator.party
    parties = Party.objects.filter(party_id=party.party_id)
    platform = Platform.objects.get(parties__in=parties)
    for is_on in ("no", "yes"):
        run("replay", *party, "--on-return", is_on)
        parties.update(status="OFFLINE")
        assert not Replay.objects.exists()
        party_status.is_back(platform.pk)
    assert Replay.objects.get().identity == party
    returned.simulator.got.clear()
    _run_to_the_end(party)
    returned.wait_for(lambda: ("PUT", "locations", "BACK") in _told(returned))


def test_a_party_that_goes_away_meanwhile_gets_no_more(hub, returned):
    party = returned.simulator.party
    returned.simulator.says = lambda message: raw()
    Replay.begin(Party.objects.get(party_id=party.party_id).platform_id, party)
    Party.objects.filter(party_id=party.party_id).update(status="OFFLINE")
    until(lambda: replay.advance() or not Replay.objects.exists())
    with pytest.raises(CommandError, match="only CONNECTED"):
        run("replay", *party)


def test_a_stranger_gets_nothing(hub):
    with pytest.raises(CommandError, match="no party of this hub"):
        run("replay", "XX", "NON")
