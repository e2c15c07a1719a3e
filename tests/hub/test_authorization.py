"""Credentials tokens that open nothing, and TOKEN_A that opens little (Authorization header)."""

import base64

import pytest

from hub import onboarding
from hub.ocpi.datatypes import Role
from tests.hub.strangers import CUSTOM, IDS, echoes, send, token_of
from tests.running_hub import new_party

PUT_TARIFF = "receiver/tariffs/{own}/T1"
MODULE = "/ocpi/2.2.1/sender/tokens"
PATHS = ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials", "/ocpi/2.2.1/hubclientinfo"]
PATHS += [MODULE, "/ocpi/2.2.1/via/key", "/ocpi/nothing", "/ocpi/2.2.1/profile-result/key"]


@pytest.mark.parametrize("path", PATHS)
def test_no_token_is_401_with_an_envelope_and_the_ids(hub, path):
    answer = send(hub, "GET", path, headers=IDS)
    assert answer.status == 401
    assert 2000 <= answer.code < 3000
    assert echoes(answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_token_is_401_with_an_envelope_and_the_ids(hub, path):
    answer = send(hub, "GET", path, "no-such-token", headers=IDS)
    assert answer.status == 401
    assert 2000 <= answer.code < 3000
    assert echoes(answer)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Token",
        "Token ",
        "Bearer {}",
        "Basic {}",
        "{}",
        "Token {}x",
        "Token {} {}",
        "Token ====",
        "Token é€".encode(),
        b"Token \xff\xfe",
        b"Token \xe9",
        "Token " + "A" * 8000,
        "Token " + base64.b64encode(b"\xff\xff").decode(),
        "Token " + base64.b64encode(b"\x00").decode(),
    ],
)
def test_an_absurd_authorization_header_is_401(hub, cpo, header):
    if isinstance(header, str):
        header = header.replace("{}", base64.b64encode(token_of(cpo).encode()).decode())
    answer = send(hub, "GET", "/ocpi/versions", headers=IDS | {"Authorization": header})
    assert answer.status == 401
    assert echoes(answer)


@pytest.mark.parametrize("form", ["Token {}", "token {}", "TOKEN   {} "])
def test_a_token_is_taken_encoded_or_plain_with_any_spelling_of_the_scheme(hub, cpo, form):
    token = token_of(cpo)
    encoded = base64.b64encode(token.encode()).decode()
    with_newline = base64.b64encode(f"{token}\n".encode()).decode()
    for value in (token, encoded, with_newline):
        headers = {"Authorization": form.format(value)}
        assert send(hub, "GET", "/ocpi/versions", headers=headers).said == (200, 1000)


# --- TOKEN_A --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "hubclientinfo"),
        ("GET", "sender/tokens"),
        ("PUT", PUT_TARIFF),
        ("POST", "receiver/commands/START_SESSION"),
        ("PUT", "receiver/chargingprofiles/S1"),
        ("GET", f"sender/{CUSTOM}"),
        ("GET", "via/key"),
        ("POST", "profile-result/key"),
        ("GET", "receiver/tariffs"),
        ("DELETE", "sender/tokens"),
        ("GET", "sender/credentials"),
    ],
)
def test_token_a_opens_versions_and_credentials_alone(hub, method, path):
    token_a = onboarding.invite(new_party(), [Role.CPO], "").token
    body = b"{}" if method in {"PUT", "POST"} else None
    answer = send(hub, method, f"/ocpi/2.2.1/{path}", token_a, body=body, headers=IDS)
    assert answer.status == 401
    assert echoes(answer)
    for open_path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials/"):
        assert send(hub, "GET", open_path, token_a).said == (200, 1000)
