"""Handshakes beside one another: the newest counts, a replaced token wins nothing (credentials)."""

import asyncio
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from django.utils import timezone

from hub.db import secret_box
from hub.models import HandshakeTurn, Platform, handshake_turns
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import NotAuthenticated
from hub.ocpi.headers import authorization
from hub.parties import onboarding, registration
from party.messages import Received
from party.messages import Reply as Answers
from simulators.testing import PATIENCE
from tests.hub.newcomer import CREDENTIALS, Newcomer, at_once, platform_of
from tests.hub.strangers import Reply, Stranger, ask, send, until
from tests.running_hub import new_party


@pytest.fixture
def registered(hub) -> Newcomer:
    """A CPO's platform that has registered."""
    newcomer = Newcomer(hub)
    assert newcomer.post().said == (200, 1000)
    return newcomer


class Stalled:
    """A POST or PUT whose call back is not answered before `let_go`."""

    def __init__(self, newcomer: Newcomer, method: str = "PUT") -> None:
        body = newcomer.credentials()
        self._called, self._gate = threading.Event(), threading.Event()
        self._answers: list[Reply] = []
        usual, header = newcomer.stranger.respond, authorization(body["token"])

        async def answer(request: web.BaseRequest, message: Received) -> web.StreamResponse:
            if message.headers["Authorization"] == header:
                self._called.set()
                await asyncio.to_thread(self._gate.wait, PATIENCE)
            return await usual(request, message)

        newcomer.stranger.respond = answer  # type: ignore[method-assign]
        arguments = (newcomer.hub, method, CREDENTIALS, newcomer.token)
        content = json.dumps(body).encode()
        self._thread = threading.Thread(
            target=lambda: self._answers.append(send(*arguments, body=content))
        )
        self._thread.start()
        assert self._called.wait(PATIENCE)

    def let_go(self) -> Reply:
        self._gate.set()
        return self.ended()

    def ended(self) -> Reply:
        self._thread.join(PATIENCE)
        (answer,) = self._answers
        return answer


def refused(answer: Reply, *words: str) -> None:
    assert answer.said == (401, 2000)
    for word in (*words, "manage.py end_registration"):
        assert word in answer.envelope["status_message"]


def no_turn_is_left(newcomer: Newcomer) -> bool:
    return not HandshakeTurn.objects.filter(platform=platform_of(newcomer)).exists()


# --- Handshakes that the platform begins ----------------------------------------------------------


def test_a_stalled_put_does_not_win_over_a_rotation_that_was_quicker(hub, registered):
    stalled = Stalled(registered)
    assert registered.put().said == (200, 1000)
    newest = registered.token
    refused(stalled.let_go())
    assert registered.opens(newest)
    other = hub.join(Stranger(Role.EMSP, listens=False))
    assert ask(hub, other, "GET", "sender/tokens", to=registered.party).said == (200, 1000)
    assert no_turn_is_left(registered)


def test_a_newer_handshake_ends_the_call_of_the_one_before(hub, registered):
    """Ten that hang hold no thread that others need: each is answered when the next one comes."""
    stalled = [Stalled(registered) for _ in range(10)]
    for one in stalled[:-1]:
        refused(one.ended(), "A newer handshake")
    newcomer = Newcomer(hub)
    assert newcomer.post().said == (200, 1000)
    assert registered.put().said == (200, 1000)
    refused(stalled[-1].ended(), "A newer handshake")
    for one in stalled:
        one.let_go()


def test_a_stalled_post_does_not_win_over_a_new_invitation(hub):
    newcomer = Newcomer(hub)
    stalled = Stalled(newcomer, "POST")
    newcomer.token = onboarding.invite(newcomer.party, [Role.CPO], "").token
    refused(stalled.let_go(), "was replaced by another handshake")
    assert not platform_of(newcomer).is_registered
    assert newcomer.post().said == (200, 1000)


def test_a_stalled_put_does_not_win_over_the_end_of_the_registration(hub, registered):
    stalled = Stalled(registered)
    registration.end_here(platform_of(registered))
    refused(stalled.let_go(), "was replaced by another handshake")
    platform = platform_of(registered)
    assert not platform.is_registered
    assert not platform.endpoints.exists()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_of_several_at_once_one_is_answered_with_a_token(hub, method):
    newcomer = Newcomer(hub)
    if method == "PUT":
        newcomer.post()
    token = newcomer.token
    bodies = [json.dumps(newcomer.credentials()).encode() for _ in range(6)]
    answers = at_once(
        *(lambda body=body: send(hub, method, CREDENTIALS, token, body=body) for body in bodies)
    )
    assert sorted(answer.status for answer in answers) == [200] + [401] * 5
    for answer in answers:
        if answer.status == 401:
            refused(answer)
        else:
            newcomer.token = answer.envelope["data"]["token"]
    assert newcomer.opens(newcomer.token)
    assert not newcomer.opens(token)
    assert newcomer.put().said == (200, 1000)
    assert no_turn_is_left(newcomer)


def test_a_newer_handshake_that_fails_leaves_the_old_token_in_force(hub, registered):
    stalled = Stalled(registered)
    failed = registered.put(token="never-told-to-anybody")
    assert failed.said == (200, 3001)
    refused(stalled.let_go(), "A newer handshake")
    assert registered.put().said == (200, 1000)


def test_credentials_that_cannot_be_take_nobodys_turn(hub, registered):
    stalled = Stalled(registered)
    assert registered.put(roles=[]).said == (200, 2001)
    assert stalled.let_go().said == (200, 1000)


def test_get_of_credentials_and_versions_does_not_wait_for_a_handshake(hub, registered):
    stalled = Stalled(registered)
    for path in (CREDENTIALS, "/ocpi/versions", "/ocpi/2.2.1"):
        assert registered.ask(path).said == (200, 1000)
    assert stalled.let_go().said == (200, 1000)


def test_a_delete_with_a_token_that_was_replaced_ends_nothing(hub, registered):
    platform, old = platform_of(registered), registered.token
    registered.put()
    with pytest.raises(NotAuthenticated):
        onboarding.unregister(platform.pk, secret_box.token_hash(old))
    assert registered.opens(registered.token)


def test_a_process_that_died_in_a_handshake_keeps_nobody_out(hub, registered):
    handshake_turns.begin(platform_of(registered).pk, 60.0)
    assert registered.put().said == (200, 1000)


# --- Handshakes that the hub begins ---------------------------------------------------------------


class Host:
    """A platform with which the hub has registered; what it does in the hub's PUT is a test's."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.running = hub.running(Stranger(Role.CPO, listens=False))
        self.party = self.running.simulator.party
        self.platform = registration.connect(
            self.running.versions_url,
            self.running.simulator.invite(),
            parties={self.party: [Role.CPO]},
        )

    def during_put(self, act: Any) -> list[Any]:
        """Call `act` with the TOKEN_B while the hub waits for the answer; what it returns."""
        done: list[Any] = []
        module = self.running.simulator.modules["credentials", "sender"]
        usual = module["PUT"]

        async def put(message: Received) -> Answers:
            done.append(await asyncio.to_thread(act, message.json()["token"]))
            return await usual(message)

        module["PUT"] = put
        return done

    @property
    def token(self) -> str:
        return str(self.running.simulator.hub.sends)

    def put(self, token: str) -> Reply:
        """The platform's own PUT."""
        simulator = self.running.simulator
        body = {
            "token": simulator.hub.accepts,
            "url": simulator.versions_url,
            "roles": [
                {
                    "role": "CPO",
                    "country_code": self.party.country_code,
                    "party_id": self.party.party_id,
                    "business_details": {"name": "Host"},
                }
            ],
        }
        return send(self.hub, "PUT", CREDENTIALS, token, body=json.dumps(body).encode())


def test_a_put_of_the_platform_beside_the_hubs_own_is_refused_with_the_way_out(hub):
    host = Host(hub)
    before = host.token
    done = host.during_put(lambda token_b: host.put(before))
    registration.update(host.platform)
    (answer,) = done
    assert answer.said == (401, 2000)
    assert "renewing the credentials" in answer.envelope["status_message"]
    assert hub.http("GET", "/ocpi/versions", before).status_code == 401
    assert hub.http("GET", "/ocpi/versions", host.token).status_code == 200
    assert host.put(host.token).said == (200, 1000)


def test_the_new_token_opens_versions_within_the_hubs_own_handshake(hub):
    host = Host(hub)
    paths = ("/ocpi/versions", "/ocpi/2.2.1", CREDENTIALS)
    done = host.during_put(
        lambda token_b: [send(hub, "GET", path, token_b).status for path in paths]
    )
    registration.update(host.platform)
    assert done == [[200, 200, 200]]


def test_the_hubs_own_handshake_takes_the_turn_of_a_stalled_put(hub):
    host = Host(hub)
    newcomer = Newcomer.__new__(Newcomer)
    newcomer.hub, newcomer.party = hub, host.party
    newcomer.stranger, newcomer.token = host.running.simulator, host.token
    stalled = Stalled(newcomer)
    registration.update(host.platform)
    refused(stalled.let_go(), "was replaced by another handshake")
    assert hub.http("GET", "/ocpi/versions", host.token).status_code == 200


def test_the_operator_cannot_begin_two_at_once(hub):
    host = Host(hub)
    refusals = []

    def again(token_b: str) -> None:
        with pytest.raises(registration.CannotConnect, match="in a handshake with") as caught:
            registration.update(Platform.objects.get(pk=host.platform.pk))
        refusals.append(caught.value)

    host.during_put(again)
    registration.update(host.platform)
    assert len(refusals) == 1


def test_a_hub_that_died_in_its_own_handshake_is_waited_for_no_longer_than_its_calls_last(hub):
    host = Host(hub)
    handshake_turns.begin(host.platform.pk, 60.0, is_of_hub=True)
    assert host.put(host.token).said == (401, 2000)
    HandshakeTurn.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert host.put(host.token).said == (200, 1000)


def test_a_platform_that_took_the_put_of_a_hub_that_died_comes_back_with_its_new_token(hub):
    """What the hub left: the TOKEN_B that it has sent, and none of what it was answered."""
    host = Host(hub)
    token_b = "sent-but-never-taken-over"
    Platform.objects.filter(pk=host.platform.pk).update(token_a_hash=secret_box.token_hash(token_b))
    until(lambda: send(hub, "GET", "/ocpi/versions", token_b).said == (200, 1000))
    answer = host.put(token_b)
    assert answer.said == (200, 1000)
    newest = answer.envelope["data"]["token"]
    assert hub.http("GET", "/ocpi/versions", newest).status_code == 200
    assert hub.http("GET", "/ocpi/versions", token_b).status_code == 401


def test_an_invitation_made_during_a_handshake_that_fails_is_good(hub):
    party = new_party()
    onboarding.invite(party, [Role.CPO], "")
    invited = Platform.objects.get(parties__party_id=party.party_id)
    running = hub.running(Stranger(Role.CPO, party=party))
    newest: list[str] = []

    async def post(message: Received) -> Answers:
        invitation = await asyncio.to_thread(onboarding.invite, party, [Role.CPO], "")
        newest.append(invitation.token)
        return Answers(status_code=3000, message="Not today.")

    running.simulator.modules["credentials", "sender"]["POST"] = post
    with pytest.raises(registration.CannotConnect, match="Not today"):
        registration.connect(running.versions_url, running.simulator.invite(), invited=invited)
    assert hub.http("GET", "/ocpi/versions", newest[0]).status_code == 200
