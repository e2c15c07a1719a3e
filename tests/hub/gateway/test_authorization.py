"""Credentials tokens that open nothing, and TOKEN_A that opens little (Authorization header)."""

import base64

import pytest

from hub.ocpi.datatypes import Role
from hub.parties import onboarding
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


# --- The mistake, in words ------------------------------------------------------------------------


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


MISTAKES = {
    "Bearer {base64}": "'Bearer'",
    "Basic {base64}": "'Basic'",
    "{base64}": "does not begin with 'Token'",
    "{plain}": "does not begin with 'Token'",
    "Token": "nothing behind 'Token'",
    "Token token={plain}": "without 'token='",
    "Token {base64} {base64}": "more than one word",
    "Token {twice}": "Base64-encoded twice",
    "Token {unpadded}": "without the '='",
}


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(("form", "words"), MISTAKES.items())
def test_the_401_names_the_mistake_and_not_whether_the_token_exists(
    hub, cpo, form, words, is_known
):
    plain = token_of(cpo) if is_known else "x" * len(token_of(cpo))
    header = form.format(
        plain=plain,
        base64=_base64(plain),
        twice=_base64(_base64(plain)),
        unpadded=_base64(plain).rstrip("="),
    )
    answer = send(hub, "GET", "/ocpi/versions", headers={"Authorization": header})
    assert answer.said == (401, 2000)
    message = answer.envelope["status_message"]
    assert words in message
    assert plain not in message
    assert _base64(plain) not in message


def test_a_token_that_nobody_has_is_told_the_way_out(hub):
    message = send(hub, "GET", "/ocpi/versions", "no-such-token").envelope["status_message"]
    assert "Nobody at this hub has this credentials token" in message
    assert "manage.py end_registration" in message


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/ocpi/2.1.1", "2.1.1"),
        ("/ocpi/2.1.1/credentials", "2.1.1"),
        ("/ocpi/2.2/credentials", "2.2"),
        ("/ocpi/2.3.0", "2.3.0"),
        ("/ocpi/cpo/2.1.1/locations", "2.1.1"),
    ],
)
def test_another_version_is_404_and_names_the_one_there_is_with_any_token(hub, cpo, path, version):
    token_a = onboarding.invite(new_party(), [Role.CPO], "").token
    for token in (token_a, token_of(cpo)):
        answer = send(hub, "GET", path, token)
        assert answer.said == (404, 2000)
        message = answer.envelope["status_message"]
        assert f"This hub speaks OCPI 2.2.1, not {version}" in message
        assert f"{hub.url}/ocpi/versions" in message
