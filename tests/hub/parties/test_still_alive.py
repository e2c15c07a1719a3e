"""Still alive check, OFFLINE and back (mod_hub_client_info, Still alive check)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from aiohttp import web
from django.utils import timezone

from hub.db import leases
from hub.models import Party, Platform, PlatformHealth
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from hub.parties import alive_checks as checker_module
from hub.parties import onboarding, party_status, still_alive
from hub.parties.alive_checks import checker
from hub.routing.directory import holder
from party.messages import Received
from simulators.testing import PATIENCE, Running
from tests.hub.newcomer import Newcomer, role
from tests.hub.strangers import Stranger, ask, raw, until
from tests.running_hub import new_party


class Checked(Stranger):
    """Answers GET versions with `versions_status`, as a proxy in front of it may, or `holds` it."""

    versions_status = 200
    holds = False

    async def respond(self, request: web.BaseRequest, message: Received) -> web.StreamResponse:
        is_check = message.module == "versions" and not message.parts
        while is_check and self.holds:  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        if is_check and self.versions_status != 200:
            return raw(b"<html>", self.versions_status)
        return await super().respond(request, message)


@pytest.fixture
def emsp(hub) -> Running[Checked]:
    """A party of its own for each test."""
    return hub.join(Checked(Role.EMSP, listens=False))


def _platform(party) -> int:
    return Party.objects.filter(party_id=party.party_id)[0].platform_id


def _quiet(party, seconds: float) -> None:
    since = timezone.now() - timedelta(seconds=seconds)
    PlatformHealth.objects.filter(platform=_platform(party)).update(last_heard_at=since)


def _is_asked_when_quiet(running, party, seconds=1000.0) -> bool:
    """Call it until it is true: a web process may yet write down when it last heard the party."""
    asked = len(_checks(running))
    _quiet(party, seconds)
    still_alive.check_quiet_platforms()
    with suppress(AssertionError):
        return bool(running.wait_for(lambda: len(_checks(running)) > asked, timeout=0.5))
    return False


def _status(party) -> str:
    return Party.objects.filter(party_id=party.party_id)[0].status


def _told(listener, party) -> list[str]:
    return [
        message.json()["status"]
        for message in listener.received(module="hubclientinfo", method="PUT")
        if message.parts == party
    ]


def _is_back(party) -> bool:
    """By the job that each second begins what is due."""
    still_alive.check_quiet_platforms()
    return _status(party) == "CONNECTED"


def _checks(running) -> list:
    """GETs of versions after those of the handshake."""
    return [m for m in running.received(module="versions") if not m.parts][1:]


def test_after_five_quiet_minutes_versions_is_asked_for(hub, cpo, emsp):
    party = emsp.simulator.party
    _quiet(cpo.simulator.party, 290)
    asked_before = len(_checks(cpo))
    until(lambda: _is_asked_when_quiet(emsp, party, 301))
    message = _checks(emsp)[0]
    assert message.method == "GET"
    assert message.headers["Authorization"] == authorization(emsp.simulator.hub.accepts)
    assert message.headers["X-Request-ID"]
    assert message.headers["X-Correlation-ID"]
    assert not [name for name in message.headers if name.lower().startswith("ocpi-")]
    until(
        lambda: (
            PlatformHealth.objects.get(platform=_platform(party)).last_heard_at
            > timezone.now() - timedelta(seconds=60)
        )
    )
    assert _status(party) == "CONNECTED"
    assert len(_checks(cpo)) == asked_before


@pytest.mark.parametrize("how", ["gone", "hang_up", 502, 503, 504])
def test_a_party_that_does_not_answer_is_offline_and_back_when_it_does(hub, cpo, emsp, how):
    party = emsp.simulator.party
    if isinstance(how, int):
        emsp.simulator.versions_status = how
    else:
        emsp.set_faults(**{how: True})
    assert still_alive.check_platform(_platform(party)) is False
    assert _status(party) == "OFFLINE"
    assert PlatformHealth.objects.get(platform=_platform(party)).problem
    cpo.wait_for(lambda: _told(cpo, party)[-1:] == ["OFFLINE"])
    emsp.clear_faults()
    emsp.simulator.versions_status = 200
    until(lambda: _is_back(party))
    health = PlatformHealth.objects.get(platform=_platform(party))
    assert (health.problem, health.failures, health.next_check_at) == ("", 0, None)
    cpo.wait_for(lambda: _told(cpo, party)[-2:] == ["OFFLINE", "CONNECTED"])


def test_whatever_the_platform_itself_answers_shows_that_it_is_there(hub, emsp):
    party = emsp.simulator.party
    for answered in (401, 403, 404, 429, 500):
        emsp.simulator.versions_status = 503
        assert still_alive.check_platform(_platform(party)) is False
        emsp.simulator.versions_status = answered
        assert still_alive.check_platform(_platform(party)) is True, answered
        assert _status(party) == "CONNECTED"
    emsp.simulator.versions_status = 200
    emsp.set_faults(wrong_json=True)
    assert still_alive.check_platform(_platform(party)) is True


def test_all_parties_of_a_platform_go_offline_together(hub, cpo):
    second = new_party()
    emsp = hub.join(Stranger(Role.EMSP, Role.CPO, more=[(second, Role.NSP)], listens=False))
    emsp.set_faults(gone=True)
    still_alive.check_platform(_platform(second))
    parties = Party.objects.filter(platform=_platform(second))
    assert [party.status for party in parties] == ["OFFLINE"] * 3


def test_an_offline_party_that_sends_something_is_checked_at_once(hub, cpo, emsp):
    party = emsp.simulator.party
    emsp.simulator.versions_status = 503
    still_alive.check_platform(_platform(party))
    # As after many failures.
    health = PlatformHealth.objects.filter(platform=_platform(party))
    health.update(failures=50, next_check_at=timezone.now() + timedelta(minutes=1))
    still_alive.check_quiet_platforms()
    asked = len(_checks(emsp))
    until(lambda: ask(hub, emsp, "GET", "hubclientinfo") and len(_checks(emsp)) > asked)
    # That it sends is not that it answers.
    assert _status(party) == "OFFLINE"
    emsp.simulator.versions_status = 500
    until(lambda: ask(hub, emsp, "GET", "hubclientinfo") and _status(party) == "CONNECTED")
    cpo.wait_for(lambda: _told(cpo, party)[-1:] == ["CONNECTED"])


def test_a_check_gives_way_to_what_was_heard_after_it_began(hub, emsp):
    platform = _platform(emsp.simulator.party)
    emsp.simulator.holds, emsp.simulator.versions_status = True, 504
    with ThreadPoolExecutor(1) as thread:
        check = thread.submit(still_alive.check_platform, platform)
        emsp.wait_for(lambda: _checks(emsp))
        still_alive.write_heard({platform: 0.0})
        emsp.simulator.holds = False
        assert check.result() is True
    assert _status(emsp.simulator.party) == "CONNECTED"
    # Heard before it began is not enough.
    assert still_alive.check_platform(platform) is False
    assert _status(emsp.simulator.party) == "OFFLINE"


def test_failing_checks_back_off_from_a_second_to_a_minute(hub, emsp):
    platform = _platform(emsp.simulator.party)
    health = PlatformHealth.objects.filter(platform=platform)
    pauses = []
    for _ in range(9):
        party_status.is_away(platform, "it hangs")
        pauses.append((health.get().next_check_at - health.get().checked_at).total_seconds())
        # Else the next failure keeps the earlier moment.
        health.update(next_check_at=None, taken_until=timezone.now() + timedelta(minutes=1))
    for pause, full in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.75 * full <= pause <= full


def test_a_check_whose_process_died_is_made_again(hub, emsp):
    platform = _platform(emsp.simulator.party)
    party_status.is_away(platform, "it hangs")
    PlatformHealth.objects.filter(platform=platform).update(
        next_check_at=None, taken_until=timezone.now() - timedelta(seconds=1)
    )
    until(lambda: _is_back(emsp.simulator.party))


def test_hundreds_that_hang_are_checked_side_by_side(hub, emsp, monkeypatch):
    """One after the other, the first would have to end for the second to be asked."""
    monkeypatch.setattr(checker_module, "SECONDS", PATIENCE)
    emsp.simulator.holds = True
    platforms = [
        Platform.objects.create(
            name=f"Hangs {number}",
            registered_at=timezone.now(),
            versions_url=emsp.simulator.versions_url,
        )
        for number in range(150)
    ]
    checks = [checker.check(platform.pk) for platform in platforms]
    emsp.wait_for(lambda: len(_checks(emsp)) == len(platforms))
    emsp.simulator.holds = False
    assert all(check.result() for check in checks)


def test_a_message_to_an_offline_party_is_tried_and_its_answer_brings_it_back(hub, cpo, emsp):
    emsp.set_faults(gone=True)
    still_alive.check_platform(_platform(emsp.simulator.party))
    later = timezone.now() + timedelta(minutes=1)
    health = PlatformHealth.objects.filter(platform=_platform(emsp.simulator.party))
    health.update(next_check_at=later)
    until(lambda: holder.snapshot.platforms[_platform(emsp.simulator.party)].is_away)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4003)
    # That was known.
    assert health.get().next_check_at == later
    emsp.clear_faults()
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
    until(lambda: _status(emsp.simulator.party) == "CONNECTED")


def test_a_forwarded_message_that_does_not_arrive_has_the_receiver_checked_at_once(hub, cpo, emsp):
    emsp.set_faults(gone=True)
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4003)
    until(lambda: _status(emsp.simulator.party) == "OFFLINE")


def test_a_receiver_that_fails_one_message_but_is_alive_stays_connected(hub, cpo, emsp):
    def hangs_up(message):
        raise ConnectionResetError

    emsp.simulator.says = hangs_up
    ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert still_alive.check_platform(_platform(emsp.simulator.party)) is True
    assert _status(emsp.simulator.party) == "CONNECTED"


def test_suspended_invited_and_departed_parties_are_not_asked(hub, emsp):
    invited = new_party()
    onboarding.invite(invited, [Role.CPO], "")
    left = Newcomer(hub)
    left.post()
    left.delete()
    onboarding.suspend(emsp.simulator.party)
    for party in (emsp.simulator.party, left.party):
        _quiet(party, 1000)
    bystander = hub.join(Stranger(Role.CPO, listens=False))
    until(lambda: _is_asked_when_quiet(bystander, bystander.simulator.party))
    assert not _checks(emsp)
    assert not _checks(left.running)
    assert _status(emsp.simulator.party) == "SUSPENDED"
    assert _status(invited) == "PLANNED"
    assert still_alive.check_platform(_platform(left.party)) is False
    assert _status(left.party) == "SUSPENDED"


def test_a_platform_is_asked_though_one_of_its_parties_is_suspended_or_has_left(hub):
    newcomer = Newcomer(hub)
    gone = new_party()
    newcomer.post(roles=[role(newcomer.party), role(gone)])
    newcomer.put(roles=[role(newcomer.party)])
    until(lambda: _is_asked_when_quiet(newcomer.running, newcomer.party))


def test_a_suspended_party_does_not_come_back_by_answering(hub, emsp):
    onboarding.suspend(emsp.simulator.party)
    still_alive.check_platform(_platform(emsp.simulator.party))
    assert _status(emsp.simulator.party) == "SUSPENDED"


def test_when_a_platform_was_heard_is_never_set_back(hub, emsp):
    platform = _platform(emsp.simulator.party)
    before = leases.now()
    still_alive.write_heard({platform: 0.0})
    still_alive.write_heard({platform: 100.0, 10**9: 0.0})
    assert before <= PlatformHealth.objects.get(platform=platform).last_heard_at <= leases.now()


def test_any_message_counts_as_heard(hub, cpo, emsp):
    _quiet(emsp.simulator.party, 1000)
    ask(hub, emsp, "GET", "/ocpi/versions")
    platform = _platform(emsp.simulator.party)
    until(
        lambda: (
            PlatformHealth.objects.get(platform=platform).last_heard_at
            > timezone.now() - timedelta(seconds=100)
        )
    )
