"""What is wrong with a receiver's TLS is told in words (RFC 8446, RFC 5280)."""

import asyncio
import ssl

import pytest
import uvloop

from hub.ocpi.errors import ConnectionProblem
from hub.outbound.platform_calls import AsyncCaller, NotArrived
from simulators.testing import PATIENCE
from tests.hub.raw_servers import ANSWER, server
from tests.hub.tls_servers import authority, identity, tls_server, trusted

WRONG = {
    "self-signed": ({"is_signed": False}, "TLS certificate is self-signed"),
    "expired": ({"days": (-9, -2)}, "TLS certificate has expired"),
    "early": ({"days": (2, 9)}, "TLS certificate is not valid yet"),
    "another name": ({"host": "cpo.example"}, "TLS certificate is for another name"),
    "an address": ({"host": "127.0.0.1"}, "TLS certificate is for another name"),
    "unknown authority": ({"is_known": False}, "an authority that this hub does not know"),
}


@pytest.fixture(scope="module")
def known():
    return authority()


def _certificate(known, *, is_signed=True, is_known=True, **more):
    issuer = (known if is_known else authority("Nobody")) if is_signed else None
    return identity(issuer, **more)


@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG)
def test_a_certificate_that_is_refused_is_4003_and_the_words_say_why(
    call, known, tmp_path, wrong, words
):
    certificate = _certificate(known, **wrong)
    with (
        trusted(known, tmp_path),
        tls_server(certificate, tmp_path) as url,
        pytest.raises(NotArrived) as caught,
    ):
        call(url)
    assert words in caught.value.message
    assert url.removeprefix("https://") in caught.value.message


def test_a_right_certificate_is_taken(call, known, tmp_path):
    with trusted(known, tmp_path), tls_server(identity(known), tmp_path) as url:
        assert call(url).status == 200
        assert call(url, "POST", b"{}").body == b"{}"


def test_a_certificate_for_another_address_is_said_to_be_that(call, known, tmp_path):
    with (
        trusted(known, tmp_path),
        tls_server(identity(known, host="127.0.0.2"), tmp_path) as url,
        pytest.raises(ConnectionProblem, match="TLS certificate is for another"),
    ):
        call(url.replace("localhost", "127.0.0.1"))


def test_the_same_words_come_from_the_event_loop_of_the_web_processes(known, tmp_path, settings):
    settings.ALLOW_PRIVATE_URLS = True
    settings.FORWARD_TIMEOUT = settings.CONNECT_TIMEOUT = PATIENCE

    async def asked(url: str) -> str:
        caller = AsyncCaller()
        try:
            await caller.call(1, "GET", url, {}, b"")
        except ConnectionProblem as error:
            return error.message
        finally:
            caller.close()
        return "answered"

    found = {}
    with trusted(known, tmp_path):
        for name, (wrong, _) in WRONG.items():
            with tls_server(_certificate(known, **wrong), tmp_path) as url:
                found[name] = uvloop.run(asked(url)), asyncio.run(asked(url))
    for name, (_, words) in WRONG.items():
        assert found[name][0] == found[name][1]
        assert words in found[name][0]


@pytest.mark.parametrize("said", [ANSWER, b"SSH-2.0-OpenSSH_9.2\r\n", b"-ERR unknown command\r\n"])
def test_plain_http_on_the_https_port_is_said_to_be_that(call, said):
    with (
        server(lambda connection: connection.sendall(said)) as url,
        pytest.raises(NotArrived, match="does not speak TLS on this port"),
    ):
        call(url.replace("http:", "https:"))


@pytest.mark.parametrize("record", [b"\x15\x03\x03\0\x02\x02\x28", b"\x16\x03\x01\0\x05hello"])
def test_https_on_the_http_port_is_said_to_be_that(call, record):
    with (
        server(lambda connection: connection.sendall(record)) as url,
        pytest.raises(ConnectionProblem, match="answers with TLS: its URL has to begin with https"),
    ):
        call(url)


def test_a_server_that_demands_a_clients_certificate_is_said_to_do_so(call, known, tmp_path):
    with (
        trusted(known, tmp_path),
        tls_server(identity(known), tmp_path, asks_client=True) as url,
        pytest.raises(ConnectionProblem, match="client's TLS certificate"),
    ):
        call(url)


def test_a_server_of_an_old_tls_version_is_said_to_be_that(call, known, tmp_path):
    def old(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")

    with (
        pytest.warns(DeprecationWarning, match="TLSv1_1"),
        trusted(known, tmp_path),
        tls_server(identity(known), tmp_path, change=old) as url,
        pytest.raises(ConnectionProblem, match="no TLS version that this hub takes"),
    ):
        call(url)


def test_a_server_that_hangs_up_in_the_handshake_is_said_to_do_so(call):
    with (
        server(lambda connection: None) as url,
        pytest.raises(NotArrived) as caught,
    ):
        call(url.replace("http:", "https:"))
    assert "hung up" in caught.value.message or "reset" in caught.value.message
