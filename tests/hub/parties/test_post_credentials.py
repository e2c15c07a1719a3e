"""POST of credentials: registration (credentials, Registration)."""

import json

import pytest
import requests

from hub.models import DirectoryReader, Party, Platform, TokenForm
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from simulators.testing import PATIENCE
from tests.hub.newcomer import (
    CREDENTIALS,
    Newcomer,
    at_once,
    is_as_it_was,
    platform_of,
    role,
    second_web_process,
)
from tests.hub.strangers import Stranger, ask, routing, send

MODULE = "/ocpi/2.2.1/hubclientinfo"


def test_the_answer_holds_a_new_token_our_versions_url_and_the_role_hub_alone(hub):
    newcomer = Newcomer(hub)
    answer = newcomer.post()
    assert answer.said == (200, 1000)
    data = answer.envelope["data"]
    assert data["url"] == hub.versions_url
    assert [(r["role"], r["country_code"], r["party_id"]) for r in data["roles"]] == [
        ("HUB", "NL", "HUB")
    ]
    assert data["roles"][0]["business_details"]["name"]
    assert 16 <= len(data["token"]) <= 64
    assert all("\x21" <= character <= "\x7e" for character in data["token"])
    assert data["token"] != newcomer.token_a
    assert platform_of(newcomer).ocpi_version == "2.2.1"


def test_token_a_is_dead_after_the_handshake_and_token_c_opens_everything(hub):
    newcomer = Newcomer(hub)
    assert newcomer.opens(newcomer.token_a)
    newcomer.post()
    assert not newcomer.opens(newcomer.token_a)
    assert newcomer.ask(MODULE).said == (200, 1000)
    assert newcomer.ask("/ocpi/2.2.1/credentials", newcomer.token_a).status == 401


def test_the_hub_calls_back_with_token_b_and_message_ids_before_it_answers(hub):
    newcomer = Newcomer(hub)
    credentials = newcomer.credentials()
    assert newcomer.say("POST", credentials).said == (200, 1000)
    asked = newcomer.running.received(module="versions")
    assert [message.parts for message in asked] == [(), ("2.2.1",)]
    for message in asked:
        assert message.headers["Authorization"] == authorization(credentials["token"])
        assert message.headers["X-Request-ID"]
        assert message.headers["X-Correlation-ID"]


def test_get_returns_the_credentials_that_the_request_carries(hub):
    newcomer = Newcomer(hub)
    for is_registered in (False, True):
        if is_registered:
            newcomer.post()
        token = newcomer.token
        data = newcomer.ask(CREDENTIALS, token).envelope["data"]
        assert data["token"] == token
        assert data["url"] == hub.versions_url
        assert [r["role"] for r in data["roles"]] == ["HUB"]


@pytest.mark.parametrize("token_is_plain", [False, True])
def test_the_hub_writes_tokens_in_the_form_that_the_platform_used(hub, token_is_plain):
    newcomer = Newcomer(hub)
    header = f"Token {newcomer.token_a}" if token_is_plain else authorization(newcomer.token_a)
    credentials = newcomer.credentials()
    body = json.dumps(credentials).encode()
    answer = send(hub, "POST", CREDENTIALS, body=body, headers={"Authorization": header})
    assert answer.said == (200, 1000)
    wanted = authorization(credentials["token"], base64_encoded=not token_is_plain)
    seen = {m.headers["Authorization"] for m in newcomer.running.received(module="versions")}
    assert seen == {wanted}
    assert platform_of(newcomer).token_form == ("PLAIN" if token_is_plain else "BASE64")
    token_c = answer.envelope["data"]["token"]
    other = hub.join(Stranger(Role.EMSP))
    assert ask(hub, other, "GET", "sender/tokens", to=newcomer.party).said == (200, 1000)
    assert newcomer.stranger.got[-1].headers["Authorization"] == wanted
    assert send(hub, "GET", MODULE, headers={"Authorization": f"Token {token_c}"}).status == 200


def test_the_form_of_a_platforms_tokens_can_be_switched(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    Platform.objects.filter(pk=platform_of(newcomer).pk).update(fixed_token_form=TokenForm.PLAIN)
    other = hub.join(Stranger(Role.EMSP))
    ask(hub, other, "GET", "sender/tokens", to=newcomer.party)
    header = newcomer.stranger.got[-1].headers["Authorization"]
    assert header in {f"Token {token}" for token in newcomer.stranger.by_token}


def test_a_second_post_is_405_and_changes_nothing(hub):
    newcomer = Newcomer(hub)
    newcomer.post()
    token = newcomer.token
    answer = newcomer.post()
    assert answer.status == 405
    assert 2000 <= answer.code < 3000
    assert newcomer.opens(token)


def test_two_posts_with_one_token_a_at_the_same_moment_register_once(hub):
    newcomer = Newcomer(hub)
    bodies = [newcomer.credentials(), newcomer.credentials()]
    said = at_once(*(lambda body=body: newcomer.say("POST", body).status for body in bodies))
    assert sorted(said) == [200, 405] or sorted(said) == [200, 401]
    assert newcomer.opens(newcomer.token)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_put_and_delete_before_registration_are_405(hub, method):
    newcomer = Newcomer(hub)
    answer = newcomer.put() if method == "PUT" else newcomer.delete()
    assert answer.status == 405
    assert 2000 <= answer.code < 3000
    assert is_as_it_was(newcomer)


@pytest.mark.parametrize("is_registered", [False, True])
def test_patch_is_not_defined(hub, is_registered):
    newcomer = Newcomer(hub)
    if is_registered:
        newcomer.post()
    answer = newcomer.say("PATCH", newcomer.credentials())
    assert answer.status == 405
    assert {"GET", "POST", "PUT", "DELETE"} <= set(answer.headers["allow"].split(", "))


# --- What is wrong with the credentials -----------------------------------------------------------


def _without(name: str):
    return lambda credentials: credentials.pop(name)


def _with(**changes):
    return lambda credentials: credentials.update(changes)


def _first_role(**changes):
    return lambda credentials: credentials["roles"][0].update(changes)


WRONG = {
    "no token": _without("token"),
    "no url": _without("url"),
    "no roles": _without("roles"),
    "empty roles": _with(roles=[]),
    "roles no list": _with(roles={}),
    "empty token": _with(token=""),
    "token with space": _with(token="a b"),
    "token beyond ASCII": _with(token="tökén"),
    "token with newline": _with(token="abc\n"),
    "token a number": _with(token=5),
    "url of 256": _with(url="http://127.0.0.1/" + "x" * 240),
    "url no URL": _with(url="no url"),
    "url relative": _with(url="/ocpi/versions"),
    "url ftp": _with(url="ftp://127.0.0.1/versions"),
    "url with password": _with(url="http://user:secret@127.0.0.1/versions"),
    "url with odd port": _with(url="http://127.0.0.1:99999/versions"),
    "url file": _with(url="file:///etc/passwd"),
    "url with NUL": _with(url="http://127.0.0.1/\x00"),
    "role unknown": _first_role(role="KING"),
    "role missing": lambda credentials: credentials["roles"][0].pop("role"),
    "country of three": _first_role(country_code="NLD"),
    "country odd": _first_role(country_code="N/"),
    "party of four": _first_role(party_id="ABCD"),
    "party empty": _first_role(party_id=""),
    "party odd": _first_role(party_id="A/B"),
    "party beyond ASCII": _first_role(party_id="ÄÖÜ"),
    "token of 513": _with(token="x" * 513),
    "role of 2.3.0 alone": _first_role(role="PTP"),
    "the hub itself": _first_role(country_code="nl", party_id="hub"),
}


@pytest.mark.parametrize("break_it", WRONG.values(), ids=WRONG)
def test_wrong_credentials_are_2001_with_http_200_and_leave_all_as_it_was(hub, break_it):
    newcomer = Newcomer(hub)
    credentials = newcomer.credentials()
    break_it(credentials)
    answer = newcomer.say("POST", credentials)
    assert answer.said == (200, 2001)
    assert answer.envelope["status_message"]
    assert is_as_it_was(newcomer)
    assert newcomer.post().said == (200, 1000)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"5", b'{"token":1e999}', b"{}"])
def test_json_that_is_no_credentials_object_is_2001(hub, body):
    newcomer = Newcomer(hub)
    assert newcomer.say("POST", body).said == (200, 2001)
    assert is_as_it_was(newcomer)


def test_unknown_fields_and_full_business_details_are_taken(hub):
    newcomer = Newcomer(hub)
    details = {
        "name": "Näme 充电",
        "website": "https://example.org",
        "logo": {"url": "https://e.org/a.png", "category": "OPERATOR", "type": "png", "width": 5},
        "vendor": [1.5],
    }
    answer = newcomer.post(roles=[role(newcomer.party, business_details=details)], vendor={"a": 1})
    assert answer.said == (200, 1000)
    assert Party.objects.get(platform=platform_of(newcomer)).name == "Näme 充电"


# --- The other web process ------------------------------------------------------------------------


def test_a_second_web_process_knows_every_change_when_it_has_been_answered(hub):
    newcomer = Newcomer(hub)
    other = hub.join(Stranger(Role.EMSP))
    with second_web_process() as url:

        def status(token, path="/ocpi/2.2.1/hubclientinfo"):
            headers = {"Authorization": authorization(token)} | routing(newcomer.party)
            return requests.get(f"{url}{path}", headers=headers, timeout=PATIENCE)

        assert status(newcomer.token_a, "/ocpi/versions").status_code == 200
        for _ in range(3):
            old = newcomer.token
            assert (newcomer.post() if old == newcomer.token_a else newcomer.put()).code == 1000
            assert status(old).status_code == 401
            assert status(newcomer.token).status_code == 200
        there = status(other.simulator.hub.sends, "/ocpi/2.2.1/sender/tokens")
        assert there.json()["status_code"] == 1000
        assert newcomer.delete().code == 1000
        assert status(newcomer.token).status_code == 401
        gone = status(other.simulator.hub.sends, "/ocpi/2.2.1/sender/tokens")
        assert gone.json()["status_code"] == 4003
        assert DirectoryReader.objects.filter(worker__startswith="web-2").count() == 1
    # Stopped in order, it is waited for no more.
    assert not DirectoryReader.objects.filter(worker__startswith="web-2").exists()
