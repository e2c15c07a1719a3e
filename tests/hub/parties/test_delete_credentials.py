"""DELETE of credentials: the end of a registration (credentials, DELETE Method)."""

import pytest

from hub.models import Delivery, Endpoint, Party, StaleCopy
from hub.ocpi.datatypes import Role
from hub.parties import onboarding
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import Stranger, ask, routing, send


@pytest.fixture
def registered(hub) -> Newcomer:
    """A CPO's platform that has registered."""
    newcomer = Newcomer(hub)
    assert newcomer.post().said == (200, 1000)
    return newcomer


@pytest.fixture(scope="module")
def other(hub):
    """Somebody who sends to the registered one, and is told of changes."""
    return hub.join(Stranger(Role.EMSP))


def test_the_answer_is_success_and_the_token_is_dead_at_once(hub, registered):
    answer = registered.delete()
    assert answer.said == (200, 1000)
    assert registered.delete().status == 401
    assert not registered.opens(registered.token)
    assert not registered.opens(registered.token_a)


def test_nothing_is_sent_to_the_party_any_more(hub, registered, other):
    registered.delete()
    answer = ask(hub, other, "GET", "sender/tokens", to=registered.party)
    assert answer.said == (200, 4003)
    assert not registered.stranger.got
    platform = Party.objects.get(party_id=registered.party.party_id).platform
    assert not Endpoint.objects.filter(platform=platform).exists()
    assert (platform.ocpi_version, bytes(platform.token_b_encrypted)) == ("", b"")
    assert not StaleCopy.objects.filter(receiver=platform).exists()
    assert not Delivery.objects.filter(receiver=platform, state="WAITING").exists()


def test_the_others_are_told_that_the_party_is_suspended(hub, registered, other):
    """mod_hub_client_info: "When the Hub invalidates a ClientInfo object .. SUSPENDED"."""
    registered.delete()

    def told():
        return [
            message.json()["status"]
            for message in other.received(module="hubclientinfo", method="PUT")
            if message.parts[1] == registered.party.party_id
        ]

    other.wait_for(lambda: told()[-1:] == ["SUSPENDED"])


def test_a_party_that_left_can_be_invited_again_and_register(hub, registered, other):
    registered.delete()
    registered.token = onboarding.invite(registered.party, [Role.CPO], "").token
    assert Party.objects.get(party_id=registered.party.party_id).status == "PLANNED"
    assert registered.post().said == (200, 1000)
    assert ask(hub, other, "GET", "sender/tokens", to=registered.party).said == (200, 1000)
    headers = routing(other.simulator.party, registered.party)
    sent = send(hub, "GET", "/ocpi/2.2.1/sender/tokens", registered.token, headers=headers)
    assert sent.said == (200, 1000)


def test_somebody_elses_registration_is_untouched(hub, registered, other):
    second = Newcomer(hub)
    second.post()
    registered.delete()
    assert second.opens(second.token)
    assert ask(hub, other, "GET", "sender/tokens", to=second.party).said == (200, 1000)


def test_delete_works_while_the_platform_itself_is_gone(hub, registered):
    registered.running.set_faults(gone=True)
    assert registered.delete().said == (200, 1000)


def test_a_body_of_a_delete_is_ignored(hub, registered):
    body = b"not json"
    answer = send(hub, "DELETE", "/ocpi/2.2.1/credentials", registered.token, body=body)
    assert answer.said == (200, 1000)
