"""The hub as initiator of a registration: connect, update, end (credentials, Registration)."""

import json
from dataclasses import dataclass
from io import StringIO
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.urls import reverse

from hub.db import secret_box
from hub.models import Party, Platform, TokenForm
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from hub.parties import onboarding, registration
from party.messages import Received, Reply
from simulators.testing import Running
from tests.hub.commands.calling import run
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import Stranger, ask
from tests.running_hub import RunningHub, changed_setting, new_party


@dataclass
class Host:
    """A platform that gives out tokens, as another hub or a roaming platform does."""

    hub: RunningHub
    running: Running[Stranger]

    @property
    def party(self) -> PartyId:
        return self.running.simulator.party

    @property
    def url(self) -> str:
        return self.running.versions_url

    def token(self) -> str:
        return self.running.simulator.invite()

    def connect(self, **more: Any) -> Platform:
        expected = {"parties": {self.party: [Role.CPO]}}
        return registration.connect(self.url, self.token(), **(expected | more))

    def answers(self, method: str, reply: Reply) -> None:
        """Let its credentials module answer so from now on."""

        async def answer(message: Received) -> Reply:
            return reply

        self.running.simulator.modules["credentials", "sender"][method] = answer

    def asked(self, method: str) -> list[Received]:
        return self.running.received(module="credentials", method=method)


@pytest.fixture
def host(hub) -> Host:
    return Host(hub, hub.running(Stranger(Role.CPO)))


@pytest.fixture
def operator(hub):
    rights = {"is_staff": True, "is_superuser": True}
    return User.objects.get_or_create(username="connector", defaults=rights)[0]


def nothing_is_here(host: Host) -> bool:
    """No row and no token is left of a handshake that failed."""
    return (
        not Platform.objects.filter(versions_url=host.url).exists()
        and not Party.objects.filter(party_id=host.party.party_id).exists()
    )


def refused(host: Host, token: str = "", url: str = "") -> str:
    with pytest.raises(registration.CannotConnect) as caught:
        registration.connect(url or host.url, token or host.token())
    return str(caught.value)


def test_after_the_handshake_messages_go_both_ways(hub, host):
    platform = host.connect()
    assert platform.is_registered
    assert platform.name == "Stranger"
    assert registration.parties_of(platform) == [f"{host.party} CPO CONNECTED"]
    assert platform.versions_url == host.url
    assert platform.endpoints.filter(identifier="sessions", role="SENDER").exists()
    other = hub.join(Stranger(Role.EMSP))
    assert ask(hub, other, "GET", "sender/tokens", to=host.party).said == (200, 1000)
    assert ask(hub, host.running, "GET", "sender/tokens", to=other).said == (200, 1000)


def test_the_hub_names_itself_alone_with_a_fresh_token(hub, host):
    token_a = host.token()
    registration.connect(host.url, token_a)
    (post,) = host.asked("POST")
    assert post.headers["Authorization"] == authorization(token_a)
    assert post.headers["X-Request-ID"]
    assert post.headers["X-Correlation-ID"]
    sent = post.json()
    assert [(r["role"], r["country_code"], r["party_id"]) for r in sent["roles"]] == [
        ("HUB", "NL", "HUB")
    ]
    assert sent["url"] == hub.versions_url
    assert sent["token"] != token_a
    assert host.running.simulator.hub.sends == sent["token"]
    platform = Platform.objects.get(versions_url=host.url)
    assert platform.token_b == host.running.simulator.hub.accepts
    assert platform.token_a_hash is None


def test_token_b_opens_versions_and_credentials_alone_until_the_post_is_answered(hub, host):
    seen = {}

    async def post(message: Received) -> Reply:
        token = message.json()["token"]
        connection = message.connection
        assert connection is not None
        connection.sends = token
        for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/hubclientinfo"):
            answer = await host.running.simulator.send(
                "GET", f"{hub.url}{path}", connection=connection
            )
            seen[path] = answer.http_status
        return Reply(status_code=3001, message="It was only a test.")

    host.running.simulator.modules["credentials", "sender"]["POST"] = post
    assert "It was only a test." in refused(host)
    assert list(seen.values()) == [200, 200, 401]
    assert nothing_is_here(host)


def test_a_platform_that_takes_plain_tokens_alone(hub, host):
    host.running.set_faults(plain_tokens_only=True)
    token = host.token()
    platform = registration.connect(host.url, token)
    assert platform.token_form == TokenForm.PLAIN
    asked = [m.headers["Authorization"] for m in host.running.received(module="versions")]
    assert asked == [authorization(token), f"Token {token}", f"Token {token}"]
    assert registration.update(platform).token_form == TokenForm.PLAIN


def test_a_token_that_nobody_knows(host):
    said = refused(host, "not-this-one")
    assert "HTTP 401" in said
    assert "neither in Base64 nor plain" in said
    assert nothing_is_here(host)


@pytest.mark.parametrize("token", ["", "ä", " a", "a\n", "a\tb"])
def test_what_cannot_be_a_token_is_not_sent(host, token):
    with pytest.raises(registration.CannotConnect, match="printable ASCII"):
        registration.connect(host.url, token)
    assert not host.running.received()


def test_without_2_2_1_it_is_said_what_there_is(host):
    host.running.set_faults(module="versions", other_versions=True)
    said = refused(host)
    assert "This hub speaks 2.2.1" in said
    assert "2.1.1" in said
    assert not host.asked("POST")
    assert nothing_is_here(host)


def test_without_modules_or_credentials_nothing_is_posted(hub):
    bare = Host(hub, hub.running(Stranger(Role.CPO, offers=())))
    assert "no module to exchange" in refused(bare)
    closed = Host(hub, hub.running(Stranger(Role.CPO)))
    token = closed.token()
    del closed.running.simulator.modules["credentials", "sender"]
    assert "no credentials endpoint" in refused(closed, token)
    assert not bare.asked("POST")
    assert nothing_is_here(bare)
    assert nothing_is_here(closed)


@pytest.mark.parametrize("url", ["ftp://x.example/versions", "versions", "http://u:p@127.0.0.1/v"])
def test_what_is_no_url_is_not_called(host, url):
    assert "The versions URL" in refused(host, url=url)


def test_private_addresses_and_http_are_for_trials(host):
    with changed_setting("ALLOW_PRIVATE_URLS", False):
        assert "private network" in refused(host)
    with changed_setting("ALLOW_HTTP_URLS", False):
        assert "must be https" in refused(host)
    assert not host.running.received()
    assert nothing_is_here(host)


def test_nobody_there(host):
    token = host.token()
    host.running.stop()
    assert "cannot be reached: connection refused" in refused(host, token)
    assert nothing_is_here(host)


def test_a_refusal_is_passed_on_with_its_reason(host):
    host.answers("POST", Reply(status_code=3003, message="We need CDRs of you."))
    assert "OCPI 3003 (We need CDRs of you.)" in refused(host)
    host.answers("POST", Reply(http_status=405, status_code=2000, message="Once is enough."))
    assert "it has the hub registered already" in refused(host)
    host.answers("POST", Reply({"token": "x"}))
    assert "takes the hub for registered" in refused(host)
    host.running.set_faults(module="credentials", http_500=True)
    assert "HTTP 500 and an HTML page, where JSON is due" in refused(host)
    assert nothing_is_here(host)


def test_an_answer_that_does_not_come_in_time(host):
    host.running.set_faults(module="credentials", slow=60)
    with changed_setting("FORWARD_TIMEOUT", 1.0):
        assert "Whether it was carried out is not known" in refused(host)
    assert nothing_is_here(host)


def test_a_party_of_another_platform_is_refused_and_the_other_side_is_told(hub, host):
    first = Newcomer(hub)
    first.post()
    host.running.simulator.roles += ((first.party, Role.EMSP),)
    said = refused(host)
    assert f"{first.party} belongs to another platform" in said
    assert "was told so by DELETE" in said
    assert len(host.asked("DELETE")) == 1
    assert not host.running.simulator.connections
    assert nothing_is_here(host)
    assert [p.role for p in Party.objects.filter(party_id=first.party.party_id)] == ["CPO"]
    assert first.opens(first.token)


def test_who_cannot_be_told_is_named(hub, host):
    host.running.simulator.roles += ((PartyId("NL", "HUB"), Role.CPO),)
    host.answers("DELETE", Reply(status_code=3000, message="Not today."))
    said = refused(host)
    assert "NL-HUB is this hub itself" in said
    assert "ask its operator to delete" in said
    assert "Not today." in said


def test_once_is_enough(host):
    host.connect()
    assert "registered with Stranger at this URL already" in refused(host)
    # By another name it answers 405, since it knows the token's owner.
    assert len(host.asked("POST")) == 1


def test_a_registration_that_the_other_side_made_is_known_too(hub):
    other = hub.join(Stranger(Role.CPO))
    assert "registered with Stranger" in refused(Host(hub, other))


def test_a_party_that_was_invited_may_give_out_a_token_instead(hub, host, client, operator):
    invitation = onboarding.invite(host.party, [Role.CPO], "Invited").token
    assert "belongs to another platform" in refused(host)
    client.force_login(operator)
    invited = Platform.objects.get(parties__party_id=host.party.party_id)
    address = reverse("admin:hub_platform_connect_invited", args=[invited.pk])
    page = client.get(reverse("admin:hub_platform_change", args=[invited.pk]))
    assert address in page.content.decode()
    assert f"Connect to {invited}" in client.get(address).content.decode()
    told = run(
        "connect_platform", "--versions-url", host.url, f"--token={host.token()}",
        "--invited", str(host.party), "--name", "Invited",
    )  # fmt: skip
    assert told.startswith("The hub is registered with Invited.")
    assert Platform.objects.get(parties__party_id=host.party.party_id).pk == invited.pk
    assert hub.http("GET", "/ocpi/versions", invitation).status_code == 401
    with pytest.raises(CommandError, match="is not invited"):
        run("connect_platform", "--versions-url", "http://127.0.0.1/", "--token", "t",
            "--invited", str(host.party))  # fmt: skip


def test_a_token_that_cannot_be_decrypted_is_said(host):
    platform = host.connect()
    with changed_setting("ENCRYPTION_KEY", "another key"):
        for change in (registration.update, registration.end):
            with pytest.raises(registration.CannotConnect, match="cannot be decrypted"):
                change(platform)


# --- Update and end -------------------------------------------------------------------------------


def test_update_changes_both_tokens_and_reads_parties_anew(hub, host):
    platform = host.connect()
    theirs = host.running.simulator.hub
    before = (theirs.sends, theirs.accepts)
    more = new_party()
    host.running.simulator.roles += ((more, Role.CPO),)
    registration.update(platform)
    assert not {theirs.sends, theirs.accepts} & set(before)
    assert registration.parties_of(platform) == sorted(
        [f"{host.party} CPO CONNECTED", f"{more} CPO CONNECTED"]
    )
    opened = hub.http("GET", "/ocpi/versions", before[0])
    assert opened.status_code == 401
    other = hub.join(Stranger(Role.EMSP))
    assert ask(hub, other, "GET", "sender/tokens", to=host.party).said == (200, 1000)
    assert ask(hub, host.running, "GET", "sender/tokens", to=other).said == (200, 1000)


def test_an_update_that_fails_leaves_the_old_registration(hub, host):
    platform = host.connect()
    before = Platform.objects.filter(pk=platform.pk).values().get()
    host.running.set_faults(module="versions", slow=0.0, http_500=True)
    with pytest.raises(registration.CannotConnect):
        registration.update(platform)
    host.running.clear_faults()
    host.answers("PUT", Reply(status_code=3001, message="Cannot read you."))
    with pytest.raises(registration.CannotConnect, match="Cannot read you"):
        registration.update(platform)
    host.answers("PUT", Reply(http_status=405, status_code=2000))
    with pytest.raises(registration.CannotConnect, match="does not know the hub"):
        registration.update(platform)
    after = Platform.objects.filter(pk=platform.pk).values().get()
    assert {k: bytes(v) if isinstance(v, memoryview) else v for k, v in after.items()} == {
        k: bytes(v) if isinstance(v, memoryview) else v for k, v in before.items()
    }
    assert hub.http("GET", "/ocpi/versions", host.running.simulator.hub.sends).status_code == 200


def test_an_update_with_somebody_elses_party_keeps_the_connection_alive(hub, host):
    platform = host.connect()
    first = Newcomer(hub)
    first.post()
    host.running.simulator.roles += ((first.party, Role.EMSP),)
    with pytest.raises(registration.CannotConnect, match="its parties stay as they were"):
        registration.update(platform)
    platform.refresh_from_db()
    theirs = host.running.simulator.hub
    assert platform.token_b == theirs.accepts
    assert bytes(platform.token_c_hash or b"") == secret_box.token_hash(theirs.sends)
    assert registration.parties_of(platform) == [f"{host.party} CPO CONNECTED"]


def test_end_tells_the_other_side_and_cuts_off(hub, host):
    platform = host.connect()
    token = host.running.simulator.hub.sends
    registration.end(platform)
    assert len(host.asked("DELETE")) == 1
    assert not host.running.simulator.connections
    platform.refresh_from_db()
    assert not platform.is_registered
    assert Party.objects.get(platform=platform).status == "SUSPENDED"
    assert hub.http("GET", "/ocpi/versions", token).status_code == 401
    with pytest.raises(registration.CannotConnect, match="connect first"):
        registration.end(platform)


def test_end_where_the_other_side_does_not_know_the_hub_any_more(host):
    platform = host.connect()
    host.running.simulator.by_token.clear()
    assert "HTTP 401" in registration.end(platform)
    platform.refresh_from_db()
    assert not platform.is_registered


def test_end_that_fails_changes_nothing(host):
    platform = host.connect()
    host.running.set_faults(module="credentials", http_500=True)
    with pytest.raises(registration.CannotConnect, match="Nothing was changed"):
        registration.end(platform)
    platform.refresh_from_db()
    assert platform.is_registered


def test_a_party_that_had_left_comes_back_by_a_new_connection(hub, host):
    before = host.connect(name="Their name")
    registration.end(before)
    invitation = onboarding.invite(host.party, [Role.CPO], "").token
    token = host.token()
    with changed_setting("ALLOW_HTTP_URLS", False):
        refused(host, token)
    host.running.set_faults(module="credentials", http_500=True)
    refused(host, token)
    assert hub.http("GET", "/ocpi/versions", invitation).status_code == 200
    host.running.clear_faults()
    platform = registration.connect(host.url, token, "Their name")
    assert (platform.pk, platform.name) == (before.pk, "Their name")
    assert registration.parties_of(platform) == [f"{host.party} CPO CONNECTED"]
    assert hub.http("GET", "/ocpi/versions", invitation).status_code == 401


# --- manage.py and console ------------------------------------------------------------------------


def test_the_command_connects_renews_and_ends(host):
    told = run(
        "connect_platform", "--versions-url", host.url, f"--token={host.token()}",
        "--party", f"{host.party}:CPO",
    )  # fmt: skip
    assert told.startswith("The hub is registered with Stranger.")
    assert f"{host.party} CPO CONNECTED" in told
    assert "sessions SENDER" in told
    told = run("connect_platform", "--versions-url", host.url, "--update")
    assert told.startswith("The credentials of Stranger are renewed.")
    told = json.loads(run("connect_platform", "--versions-url", host.url, "--end", "--json"))
    assert told == {"platform": "Stranger", "is_registered": False, "parties": [], "modules": []}
    with pytest.raises(CommandError, match="registered with nobody at"):
        run("connect_platform", "--versions-url", host.url, "--end")


def test_the_command_says_why_not(host):
    with pytest.raises(CommandError, match="neither in Base64 nor plain"):
        run("connect_platform", "--versions-url", host.url, "--token", "wrong", stderr=StringIO())
    with pytest.raises(CommandError, match="--token"):
        run("connect_platform", "--versions-url", host.url)


def test_the_simulator_gives_out_a_token_to_people(hub, host):
    answer = hub.http("POST", f"{host.running.url}/invitation")
    told = msgspec.json.decode(answer.content)
    assert registration.connect(told["versions_url"], told["token"]).is_registered


def test_the_form_connects(hub, host, operator, client):
    client.force_login(operator)
    address = reverse("admin:hub_platform_connect")
    assert address in client.get(reverse("admin:hub_platform_changelist")).content.decode()
    sent = {"versions_url": host.url, "token": "wrong", "name": "Their name"}
    shown = client.post(address, sent).content.decode()
    assert "neither in Base64 nor plain" in shown
    assert "wrong" not in shown.split("<form")[-1]
    answer = client.post(address, sent | {"token": host.token()})
    platform = Platform.objects.get(versions_url=host.url)
    page = reverse("admin:hub_platform_change", args=[platform.pk])
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert platform.name == "Their name"
    shown = client.get(page).content.decode()
    for action in ("renew", "end"):
        button = reverse(f"admin:hub_platform_{action}", args=[platform.pk])
        assert button in shown
        client.post(button, {"_form_submitted": "1"})
    platform.refresh_from_db()
    assert len(host.asked("PUT")) == len(host.asked("DELETE")) == 1
    assert not platform.is_registered
