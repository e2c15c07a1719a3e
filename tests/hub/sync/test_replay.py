"""The current state for a party that was away: an operator's action, or a platform's switch."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import connection, transaction
from django.utils import timezone

from hub.models import Party, Platform, PlatformHealth, Replay, StaleCopy
from hub.ocpi.datatypes import Role
from hub.parties import onboarding, party_status
from hub.routing.directory import wait_until_confirmed
from hub.store.pushed import Pushed
from hub.sync import replay
from locations.models import Location
from simulators.testing import PATIENCE
from tests.hub.commands.calling import run
from tests.hub.pushing import HUB, T2, Owner, location_of, settled, tariff_of
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


def _goes(platform: Platform) -> None:
    """It is OFFLINE, and no check finds that it answers."""
    party_status.is_away(platform.pk, "gone")
    PlatformHealth.objects.filter(platform=platform).update(
        next_check_at=None, taken_until=timezone.now() + timedelta(hours=1)
    )


def _told(running) -> list[tuple[str, str, str]]:
    """Method, module and id of what has come."""
    return [(m.method, m.module, m.parts[-1]) for m in running.simulator.got]


def test_a_party_gets_the_current_state_of_what_it_may_see_and_of_nothing_else(
    hub, cpo, emsp, returned
):
    party = returned.simulator.party
    _run_to_the_end(party)  # It has just come.
    locations, tariffs = Owner(hub, cpo, "locations"), Owner(hub, cpo, "tariffs")
    name = "a/b"
    locations.put(name, body=location_of(cpo.simulator.party, name))
    locations.patch(name, body={"city": "Brugge", "last_updated": T2})
    tariffs.put("T1", body=tariff_of(cpo.simulator.party, "T1"))
    locations.put("own", body=location_of(cpo.simulator.party, "own"), to=returned)
    locations.put("others", body=location_of(cpo.simulator.party, "others"), to=emsp)
    Owner(hub, emsp, "tokens").put("UID", body=token(emsp.simulator.party, "UID"), to=HUB)
    settled()
    returned.simulator.got.clear()
    told = run("replay", *party)
    assert "on its way" in told
    _run_to_the_end(party)
    settled(returned)
    # Beside them it is told which Tariffs are no more.
    puts = [one for one in returned.simulator.got if one.method == "PUT"]
    puts.sort(key=lambda one: (one.module, one.parts[-1]))  # They went side by side.
    assert [(m.module, m.parts[-1]) for m in puts] == [
        ("locations", name),
        ("locations", "own"),
        ("tariffs", "T1"),
    ]
    first, own, _ = puts
    assert json.loads(first.body)["city"] == "Brugge"
    assert first.from_party == HUB
    assert own.from_party == cpo.simulator.party


def test_a_cpo_gets_tokens(hub, cpo, emsp):
    tokens = Owner(hub, emsp, "tokens")
    uids = [f"UID{number}" for number in range(205)]
    for uid in uids:
        tokens.put(uid, body=token(emsp.simulator.party, uid))
    settled()
    cpo.simulator.got.clear()
    run("replay", *cpo.simulator.party)
    _run_to_the_end(cpo.simulator.party)
    cpo.wait_for(lambda: {one for _, _, one in _told(cpo)} >= set(uids))
    assert "type=RFID" in cpo.simulator.targets[-1]


def test_what_changed_while_it_was_away_comes_by_itself_where_the_operator_wants_that(
    hub, cpo, returned
):
    locations, party = Owner(hub, cpo, "locations"), returned.simulator.party
    platform = Platform.objects.get(parties__party_id=party.party_id)
    locations.put("BEFORE", body=location_of(cpo.simulator.party, "BEFORE"))
    settled()
    _run_to_the_end(party)  # It has just come.
    for is_on in ("no", "yes"):
        run("replay", *party, "--on-return", is_on)
        returned.simulator.got.clear()
        _goes(platform)
        assert wait_until_confirmed()
        gone = hub.join(Stranger(Role.CPO)).simulator.party
        assert onboarding.suspend(gone)
        for name in ("AWAY", "LATER"):
            body = location_of(cpo.simulator.party, name, city=is_on, last_updated=T2)
            locations.put(f"{name}-{is_on}", body=body | {"id": f"{name}-{is_on}"})
        assert not StaleCopy.objects.filter(receiver=platform.pk)
        party_status.is_back(platform.pk)
        _run_to_the_end(party)
        settled(returned)
        told = [one for one in _told(returned) if one[1] == "locations"]
        statuses = [
            m.json()["status"] for m in returned.received(module="hubclientinfo") if m.parts == gone
        ]
        assert statuses == (["SUSPENDED"] if is_on == "yes" else []), is_on
        names = [f"{name}-{is_on}" for name in ("AWAY", "LATER")] if is_on == "yes" else []
        # What was told before may come again: it begins with the oldest push that is under way.
        assert sorted(name for _, _, name in told if name in names) == names
        assert names or not told


def test_what_was_deleted_while_it_was_away_is_deleted_there_too(hub, cpo, returned):
    tariffs, party = Owner(hub, cpo, "tariffs"), returned.simulator.party
    platform = Platform.objects.get(parties__party_id=party.party_id)

    def put(name: str, **more) -> None:
        assert tariffs.put(name, body=tariff_of(cpo.simulator.party, name, **more)).code == 1000

    for name in ("early", "ends/1", "again"):
        put(name)
    assert tariffs.send("DELETE", "early").code == 1000
    settled()
    _run_to_the_end(party)  # It has just come.
    run("replay", *party, "--on-return", "yes")
    _goes(platform)
    assert wait_until_confirmed()
    returned.simulator.got.clear()
    for name in ("ends/1", "again"):
        assert tariffs.send("DELETE", name).code == 1000
    put("again", last_updated=T2)
    party_status.is_back(platform.pk)
    _run_to_the_end(party)
    settled(returned)
    told = {one[::2] for one in _told(returned) if one[2] in {"ends/1", "again"}}
    assert told == {("DELETE", "ends/1"), ("PUT", "again")}
    returned.simulator.got.clear()
    run("replay", *party)
    _run_to_the_end(party)
    settled(returned)
    assert {("DELETE", "ends/1"), ("DELETE", "early")} < {one[::2] for one in _told(returned)}


def test_what_waited_when_it_went_is_among_it(hub, cpo, returned):
    """Its mark was dropped with OFFLINE: since then the receiver lacks that."""
    locations, party = Owner(hub, cpo, "locations"), returned.simulator.party
    platform = Platform.objects.get(parties__party_id=party.party_id)
    run("replay", *party, "--on-return", "yes")
    answers = iter([raw(b"", 429, Retry_After="2")])
    returned.simulator.says = lambda message: next(answers, raw())
    locations.put("WAITED", body=location_of(cpo.simulator.party, "WAITED"))
    returned.wait_for(lambda: returned.simulator.got)
    _goes(platform)
    assert not StaleCopy.objects.filter(receiver=platform.pk)
    party_status.is_back(platform.pk)
    _run_to_the_end(party)
    returned.wait_for(lambda: _told(returned).count(("PUT", "locations", "WAITED")) == 2)


def test_one_that_goes_again_before_it_was_told_all_is_told_that_when_it_is_back(
    hub, cpo, returned
):
    """What changed in its first absence was not marked yet the first time, nor told the second."""
    locations, party = Owner(hub, cpo, "locations"), returned.simulator.party
    platform = Platform.objects.get(parties__party_id=party.party_id)
    run("replay", *party, "--on-return", "yes")
    _goes(platform)
    assert wait_until_confirmed()
    locations.put("LONG", body=location_of(cpo.simulator.party, "LONG"))
    answers = iter([raw(b"", 429, Retry_After="2")])
    returned.simulator.says = lambda message: next(answers, raw())
    returned.simulator.got.clear()
    party_status.is_back(platform.pk)
    _goes(platform)
    party_status.is_back(platform.pk)
    _run_to_the_end(party)
    returned.wait_for(lambda: ("PUT", "locations", "LONG") in _told(returned))
    _goes(platform)
    assert not StaleCopy.objects.filter(receiver=platform.pk)
    party_status.is_back(platform.pk)
    _run_to_the_end(party)
    returned.wait_for(lambda: _told(returned).count(("PUT", "locations", "LONG")) == 2)


def test_what_is_pushed_while_a_party_goes_is_told_when_it_is_back(hub, cpo, returned):
    """Its pusher did not know yet; its mark comes to one that is OFFLINE, and goes with that."""
    party = returned.simulator.party
    platform = Platform.objects.get(parties__party_id=party.party_id)
    run("replay", *party, "--on-return", "yes")
    has_written, may_commit = threading.Event(), threading.Event()

    def push() -> None:
        with transaction.atomic():
            body = json.dumps(location_of(cpo.simulator.party, "MEANWHILE")).encode()
            Location.push(Pushed("PUT", cpo.simulator.party, ("MEANWHILE",), {}, body))
            has_written.set()
            assert may_commit.wait(PATIENCE)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push)
        assert has_written.wait(PATIENCE)
        _goes(platform)
        may_commit.set()
        pushing.result()
    party_status.is_back(platform.pk)
    _run_to_the_end(party)
    returned.wait_for(lambda: ("PUT", "locations", "MEANWHILE") in _told(returned))


def test_a_push_that_is_under_way_when_a_party_comes_is_told_to_it(hub, cpo, returned):
    """Its transaction began when the party was away: the party's own GET would not show it."""
    party = returned.simulator.party
    platform = Platform.objects.get(parties__party_id=party.party_id)
    _goes(platform)
    returned.simulator.got.clear()
    has_written, may_commit = threading.Event(), threading.Event()
    name = "HELD"

    def push() -> None:
        """As a web process that does not know yet that the party has come."""
        with transaction.atomic():
            body = json.dumps(location_of(cpo.simulator.party, name)).encode()
            owner = cpo.simulator.party
            Location.push(Pushed("PUT", owner, (name,), {}, body))
            has_written.set()
            assert may_commit.wait(PATIENCE)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push)
        assert has_written.wait(PATIENCE)
        party_status.is_back(platform.pk)
        until(lambda: replay.advance() or Replay.objects.filter(horizon__isnull=False).exists())
        replay.advance()
        assert Replay.objects.filter(party_id=party.party_id).exists()
        assert not _told(returned)
        may_commit.set()
        pushing.result()
    _run_to_the_end(party)
    returned.wait_for(lambda: ("PUT", "locations", name) in _told(returned))


def test_a_party_that_goes_away_meanwhile_gets_no_more(hub, returned):
    party = returned.simulator.party
    returned.simulator.says = lambda message: raw()
    Replay.begin(Party.objects.get(party_id=party.party_id).platform_id, party)
    Party.objects.filter(party_id=party.party_id).update(status="OFFLINE")
    until(lambda: replay.advance() or not Replay.objects.exists())
    with pytest.raises(CommandError, match="only CONNECTED"):
        run("replay", *party)


def test_a_stranger_gets_nothing(hub):
    with pytest.raises(CommandError, match="not a party of this hub"):
        run("replay", "XX", "NON")
