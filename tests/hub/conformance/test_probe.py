"""The calls of a conformance check: where they go, and where the token does not."""

from urllib.parse import urlsplit

from hub.conformance.asking import HubAsker
from hub.conformance.models import ConformanceCheck
from hub.ocpi.party import PartyId
from hub.routing.directory import PlatformEntry
from party.check.asking import Target
from party.check.probe import Probe
from tests.hub.raw_servers import ANSWER, HEARD, server

PARTY, HUB = PartyId("NL", "ABC"), PartyId("NL", "HUB")


def _probe(versions_url: str, total_bytes: int = 1000) -> Probe:
    platform = PlatformEntry(1, "One", True, "Token x", versions_url, {}, (PARTY,))
    return Probe(
        Target(versions_url, "Token x", (PARTY,)),
        PARTY,
        HubAsker(HUB, platform, ConformanceCheck()),
        seconds=60,
        total_bytes=total_bytes,
    )


def test_a_redirect_on_the_same_host_is_followed_and_remembered():
    answers = [
        (
            b"HTTP/1.1 307 Moved\r\nLocation: /versions/\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        ),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    ]
    with server(lambda connection: connection.sendall(answers.pop(0))) as url:
        call = _probe(url).get(f"{url}/versions", "versions")
    assert (call.status, call.redirects) == (200, (f"307 to {url}/versions/",))


def test_a_redirect_to_another_scheme_is_not_followed():
    def moved(connection):
        connection.sendall(
            b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: https://"
            + urlsplit(url).netloc.encode()
            + b"/versions\r\nConnection: close\r\n\r\n"
        )

    with server(moved) as url:
        heard = len(HEARD)
        call = _probe(url).get(f"{url}/versions", "versions")
    assert call.status == 307
    assert len(HEARD) == heard + 1


def test_more_than_it_keeps_is_not_asked_for():
    with server(lambda connection: connection.sendall(ANSWER)) as url:
        probe = _probe(url, total_bytes=3)
        asked = [probe.call("GET", f"{url}/{number}", "versions") for number in range(3)]
    assert [call.status for call in asked] == [200, 200, None]
    assert asked[2].problem == probe.over == "its answers are longer than a check reads"
