"""HTTP statuses that are none, or that allow no body, break nothing of the hub's (RFC 9110, 15)."""

import pytest

from hub.models import Endpoint
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import HubError
from hub.routing.directory import holder
from tests.hub.raw_servers import server
from tests.hub.strangers import OK, Stranger, ask, send, token_of, until


def _said(status: str, body: bytes = OK, *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", *more]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
# (what is said, the code of the hub's error, or None where the answer is passed on)
ODD = {
    "000": (_said("000 None"), 4000),
    "099": (_said("099 Odd"), 4000),
    "101": (_said("101 Switching Protocols", b"", "Upgrade: x", "Connection: upgrade"), 4003),
    "304": (_said("304 Not Modified"), 4000),
    "304 without a length": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 4000),
    "300": (_said("300 Multiple Choices"), 4000),
    "302": (_said("302 Found", b"", "Location: /login"), 4000),
    "307 to nowhere": (_said("307 Temporary Redirect", b""), 4000),
    "600": (_said("600 Odd"), 4000),
    "999": (_said("999 Request denied"), 4000),
    "1000": (_said("1000 OCPI"), 4003),
    "20": (_said("20 OK"), 4003),
    "-200": (_said("-200 OK"), 4003),
    "no number": (_said("OK"), 4003),
    "HTTP/2": (_said("200 OK").replace(b"HTTP/1.1", b"HTTP/2"), 4003),
    "204 with a body": (_said("204 No Content"), None),
    "205 with a body": (_said("205 Reset Content"), None),
    "205 with HTML": (_said("205 Reset Content", b"<html>"), None),
    "599": (_said("599 Odd"), None),
    "100 and 103 before 200": (EARLY + _said("200 OK"), None),
    "no reason phrase": (_said("200 "), None),
}


@pytest.mark.parametrize(("said", "code"), ODD.values(), ids=ODD)
def test_each_way_to_call_makes_a_hub_error_of_it_or_an_answer(call, said, code):
    with server(lambda connection: connection.sendall(said)) as url:
        if code is None:
            assert 200 <= call(url).status < 600
            return
        with pytest.raises(HubError) as caught:
            call(url)
    assert caught.value.code == code
    assert "in time" not in caught.value.message


def test_two_answers_to_one_request_are_not_taken_for_those_to_two(call):
    with server(lambda connection: connection.sendall(_said("204 No Content") * 2)) as url:
        assert [call(url).status for _ in range(3)] == [204] * 3


@pytest.fixture(scope="module")
def odd(hub):
    """A CPO whose Locations are elsewhere: at a server of the test's."""
    return hub.join(Stranger(Role.CPO, listens=False))


@pytest.mark.parametrize(("said", "code"), ODD.values(), ids=ODD)
def test_the_sender_gets_an_answer_that_is_whole(hub, emsp, odd, said, code):
    with server(lambda connection: connection.sendall(said)) as url:
        _served_at(odd, url)
        answer = ask(hub, emsp, "GET", "sender/locations", to=odd)
        assert 200 <= answer.status < 600
        assert answer.status not in {204, 205, 304}
        assert answer.headers["content-length"] == str(len(answer.body))
        if code is not None:
            assert answer.said == (200, code)
    # The connection is good for more.
    assert send(hub, "GET", "/ocpi/versions", token_of(emsp)).said == (200, 1000)


def _served_at(odd, url: str) -> None:
    rows = Endpoint.objects.filter(
        platform__parties__party_id=odd.simulator.party.party_id, identifier="locations"
    )
    assert rows.update(url=url)
    until(lambda: url in _endpoints(odd))


def _endpoints(odd) -> list[str]:
    """As the hub's web process knows them."""
    return list(holder.snapshot.parties[odd.simulator.party].platform.endpoints.values())
