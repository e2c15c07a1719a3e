"""Still alive check, OFFLINE and back (mod_hub_client_info, Still alive check)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hub import onboarding, still_alive
from hub.models import Job, Party, PlatformHealth
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from simulators.testing import Running
from tests.hub.newcomer import Newcomer, role
from tests.hub.strangers import Stranger, ask, until
from tests.running_hub import new_party


@pytest.fixture
def emsp(hub) -> Running[Stranger]:
    """A party of its own for each test."""
    return hub.join(Stranger(Role.EMSP, listens=False))


def _platform(party) -> int:
    return Party.objects.filter(party_id=party.party_id)[0].platform_id


def _quiet(party, seconds: float) -> None:
    since = timezone.now() - timedelta(seconds=seconds)
    PlatformHealth.objects.filter(platform=_platform(party)).update(last_heard_at=since)


def _status(party) -> str:
    return Party.objects.filter(party_id=party.party_id)[0].status


def _told(listener, party) -> list[str]:
    return [
        message.json()["status"]
        for message in listener.received(module="hubclientinfo", method="PUT")
        if message.parts == party
    ]


def _checks(running) -> list:
    """GETs of versions after those of the handshake."""
    return [m for m in running.received(module="versions") if not m.parts][1:]


def test_after_five_quiet_minutes_versions_is_asked_for(hub, cpo, emsp):
    party = emsp.simulator.party
    _quiet(party, 301)
    _quiet(cpo.simulator.party, 290)
    asked_before = len(_checks(cpo))
    still_alive.check_quiet_platforms()
    emsp.wait_for(lambda: _checks(emsp))
    (message,) = _checks(emsp)
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


@pytest.mark.parametrize(
    "switches", [{"gone": True}, {"http_500": True}, {"wrong_json": True}, {"hang_up": True}]
)
def test_a_party_that_does_not_answer_is_offline_and_back_when_it_does(hub, cpo, emsp, switches):
    party = emsp.simulator.party
    emsp.set_faults(**switches)
    assert still_alive.check_platform(_platform(party)) is False
    assert _status(party) == "OFFLINE"
    assert PlatformHealth.objects.get(platform=_platform(party)).problem
    cpo.wait_for(lambda: _told(cpo, party)[-1:] == ["OFFLINE"])
    emsp.clear_faults()
    assert still_alive.check_platform(_platform(party)) is True
    assert _status(party) == "CONNECTED"
    assert PlatformHealth.objects.get(platform=_platform(party)).problem == ""
    cpo.wait_for(lambda: _told(cpo, party)[-2:] == ["OFFLINE", "CONNECTED"])


def test_a_platform_that_refuses_our_token_is_offline(hub, emsp):
    emsp.simulator.by_token.clear()
    assert still_alive.check_platform(_platform(emsp.simulator.party)) is False
    assert _status(emsp.simulator.party) == "OFFLINE"


def test_all_parties_of_a_platform_go_offline_together(hub, cpo):
    second = new_party()
    emsp = hub.join(Stranger(Role.EMSP, Role.CPO, more=[(second, Role.NSP)], listens=False))
    emsp.set_faults(gone=True)
    still_alive.check_platform(_platform(second))
    parties = Party.objects.filter(platform=_platform(second))
    assert [party.status for party in parties] == ["OFFLINE"] * 3


def test_an_offline_party_that_sends_something_is_connected_again(hub, cpo, emsp):
    party = emsp.simulator.party
    emsp.set_faults(gone=True)
    still_alive.check_platform(_platform(party))
    emsp.clear_faults()
    until(lambda: ask(hub, cpo, "GET", "hubclientinfo").status == 200 and _status(party))
    assert _status(party) == "OFFLINE"
    until(
        lambda: (
            ask(hub, emsp, "GET", "sender/locations", to=cpo).code == 1000
            and _status(party) == "CONNECTED"
        )
    )
    cpo.wait_for(lambda: _told(cpo, party)[-1:] == ["CONNECTED"])


def test_a_message_to_an_offline_party_is_tried_and_4003_when_it_fails(hub, cpo, emsp):
    emsp.set_faults(gone=True)
    still_alive.check_platform(_platform(emsp.simulator.party))
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4003)
    emsp.clear_faults()
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)


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
    _quiet(bystander.simulator.party, 1000)
    still_alive.check_quiet_platforms()
    bystander.wait_for(lambda: _checks(bystander))
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
    asked = len(_checks(newcomer.running))
    _quiet(newcomer.party, 1000)
    still_alive.check_quiet_platforms()
    newcomer.running.wait_for(lambda: len(_checks(newcomer.running)) > asked)


def test_a_suspended_party_does_not_come_back_by_answering(hub, emsp):
    onboarding.suspend(emsp.simulator.party)
    still_alive.check_platform(_platform(emsp.simulator.party))
    assert _status(emsp.simulator.party) == "SUSPENDED"


def test_when_a_platform_was_heard_is_never_set_back(hub, emsp):
    platform = _platform(emsp.simulator.party)
    now = timezone.now()
    still_alive.write_heard({platform: now.timestamp()})
    still_alive.write_heard({platform: now.timestamp() - 100, 10**9: now.timestamp()})
    heard = PlatformHealth.objects.get(platform=platform).last_heard_at
    assert abs(heard - now) < timedelta(seconds=1)


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


def test_one_that_has_been_away_for_long_is_asked_less_often(hub, emsp):
    platform = _platform(emsp.simulator.party)
    health = PlatformHealth.objects.filter(platform=platform)
    _quiet(emsp.simulator.party, 100 * 60)
    asked = len(_checks(emsp))
    health.update(checked_at=timezone.now() - timedelta(minutes=9))
    still_alive.check_quiet_platforms()
    until(lambda: not Job.objects.exists())
    assert len(_checks(emsp)) == asked
    health.update(checked_at=timezone.now() - timedelta(minutes=11))
    still_alive.check_quiet_platforms()
    emsp.wait_for(lambda: len(_checks(emsp)) > asked)
