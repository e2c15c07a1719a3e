"""PUT of credentials: update and rotation (credentials, Updating the credentials)."""

import json
import threading

import pytest

from hub.models import Party, Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from hub.parties import onboarding
from simulators.testing import PATIENCE
from tests.hub.newcomer import Newcomer, role
from tests.hub.strangers import CUSTOM, SENDER, Stranger, ask, routing, send, until
from tests.running_hub import new_party


@pytest.fixture
def registered(hub) -> Newcomer:
    """A CPO's platform that has registered."""
    newcomer = Newcomer(hub)
    assert newcomer.post().said == (200, 1000)
    return newcomer


@pytest.fixture(scope="module")
def other(hub):
    """Somebody who sends to the registered one."""
    return hub.join(Stranger(Role.EMSP, listens=False))


def _status(newcomer: Newcomer) -> set[tuple[str, str]]:
    parties = Party.objects.filter(party_id__iexact=newcomer.party.party_id)
    return {(party.role, party.status) for party in parties}


def test_a_put_gives_a_new_token_and_the_old_one_is_dead(hub, registered):
    for _ in range(3):
        old = registered.token
        answer = registered.put()
        assert answer.said == (200, 1000)
        assert answer.envelope["data"]["url"] == hub.versions_url
        assert [r["role"] for r in answer.envelope["data"]["roles"]] == ["HUB"]
        assert registered.token != old
        assert not registered.opens(old)
        assert registered.opens(registered.token)


def test_the_hub_sends_the_new_token_b_from_now_on(hub, registered, other):
    credentials = registered.credentials()
    registered.say("PUT", credentials)
    assert ask(hub, other, "GET", "sender/tokens", to=registered.party).said == (200, 1000)
    header = registered.stranger.got[-1].headers["Authorization"]
    assert header == authorization(credentials["token"])


def test_the_endpoints_are_fetched_again(hub, registered, other):
    del registered.stranger.modules["tokens", "sender"]
    registered.stranger.serve("nltnm-new", SENDER, {})
    assert registered.put().said == (200, 1000)
    assert ask(hub, other, "GET", "sender/tokens", to=registered.party).said == (200, 4000)
    custom = ask(hub, other, "GET", "sender/nltnm-new", to=registered.party)
    assert custom.said == (200, 1000)


def test_a_platform_that_moves_is_found_at_its_new_address(hub, registered, other):
    moved = Stranger(Role.CPO, party=registered.party, listens=False)
    hub.running(moved)
    before = registered.stranger
    registered.stranger = moved
    assert registered.put().said == (200, 1000)
    ask(hub, other, "GET", "sender/tokens", to=registered.party)
    assert len(moved.got) == 1
    assert not before.got


def test_roles_can_be_added_and_dropped(hub, registered, other):
    added = new_party()
    both = [role(registered.party), role(added)]
    assert registered.put(roles=both).said == (200, 1000)
    assert ask(hub, other, "GET", "sender/tokens", to=added).said == (200, 1000)
    assert registered.put(roles=both[:1]).said == (200, 1000)
    assert ask(hub, other, "GET", "sender/tokens", to=added).said == (200, 4003)
    assert Party.objects.get(party_id=added.party_id).status == "SUSPENDED"
    assert registered.put(roles=both).said == (200, 1000)
    assert ask(hub, other, "GET", "sender/tokens", to=added).said == (200, 1000)


def test_a_party_that_drops_one_of_its_roles_goes_on_with_the_other(hub, other):
    newcomer = Newcomer(hub, Role.CPO, Role.EMSP)
    newcomer.post()
    assert newcomer.put(roles=[role(newcomer.party, "EMSP")]).said == (200, 1000)
    assert _status(newcomer) == {("CPO", "SUSPENDED"), ("EMSP", "CONNECTED")}
    assert ask(hub, other, "GET", "sender/tokens", to=newcomer.party).said == (200, 1000)
    headers = routing(other.simulator.party, newcomer.party)
    sent = send(hub, "GET", "/ocpi/2.2.1/sender/tokens", newcomer.token, headers=headers)
    assert sent.said == (200, 1000)


def test_a_put_does_not_take_a_suspension_back(hub, registered, other):
    onboarding.suspend(registered.party)
    assert registered.put().said == (200, 1000)
    assert _status(registered) == {("CPO", "SUSPENDED")}
    assert ask(hub, other, "GET", "sender/tokens", to=registered.party).said == (200, 4003)


def test_the_form_of_tokens_follows_the_put(hub, registered):
    header = {"Authorization": f"Token {registered.token}"}
    body = json.dumps(registered.credentials()).encode()
    answer = send(hub, "PUT", "/ocpi/2.2.1/credentials", body=body, headers=header)
    assert answer.said == (200, 1000)
    platform = Party.objects.get(party_id=registered.party.party_id).platform
    assert platform.token_form == "PLAIN"


FAILURES = {
    "versions fail": lambda n: n.running.set_faults(http_500=True),
    "gone": lambda n: n.running.set_faults(gone=True),
    "no module": lambda n: n.stranger.modules.clear(),
}


@pytest.mark.parametrize("break_it", FAILURES.values(), ids=FAILURES)
def test_a_failed_call_back_keeps_the_old_registration(hub, registered, other, break_it):
    old, modules = registered.token, dict(registered.stranger.modules)
    break_it(registered)
    assert registered.put().said in {(200, 3001), (200, 3003)}
    registered.running.clear_faults()
    registered.stranger.modules.update(modules)
    assert registered.token == old
    assert registered.opens(old)
    assert ask(hub, other, "GET", f"sender/{CUSTOM}", to=registered.party).said == (200, 1000)
    assert _status(registered) == {("CPO", "CONNECTED")}
    assert registered.put().said == (200, 1000)


def test_a_put_with_somebody_elses_party_keeps_the_old_registration(hub, registered, other):
    old = registered.token
    stolen = [role(registered.party), role(other.simulator.party, "EMSP")]
    assert registered.put(roles=stolen).said == (200, 2001)
    assert registered.opens(old)
    assert ask(hub, other, "GET", "sender/tokens", to=registered.party).said == (200, 1000)
    owner = Party.objects.get(party_id=other.simulator.party.party_id).platform
    assert owner.name == "Stranger"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"token":"x"}'])
def test_a_put_that_is_no_credentials_object_keeps_the_old_registration(hub, registered, body):
    old = registered.token
    assert registered.say("PUT", body).said == (200, 2001)
    assert registered.opens(old)


def test_a_registration_is_one_platform_however_often_it_is_updated(hub, registered):
    count = Platform.objects.count()
    registered.put()
    registered.put()
    assert Platform.objects.count() == count


def test_the_new_token_works_at_once_and_the_old_one_nowhere(hub, registered):
    """The snapshot of the process that answered is new when the answer leaves."""
    for _ in range(10):
        old = registered.token
        registered.put()
        assert registered.ask("/ocpi/2.2.1/hubclientinfo").status == 200
        assert registered.ask("/ocpi/2.2.1/hubclientinfo", old).status == 401


def test_two_puts_at_the_same_moment_leave_one_token_that_works(hub, registered):
    old = registered.token
    bodies = [registered.credentials(), registered.credentials()]
    threads = [threading.Thread(target=registered.say, args=("PUT", body)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not registered.opens(old)
    assert until(lambda: registered.put().code in {1000, 2000})
