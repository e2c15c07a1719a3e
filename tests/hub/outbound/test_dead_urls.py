"""What a party is told of a URL that nobody answers at: no more than it could find out itself."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from hub.models import Endpoint
from hub.ocpi.datatypes import Role
from hub.outbound import reasons
from hub.outbound.http_client import NotConnected
from hub.parties import handshake
from hub.routing.directory import holder
from simulators.testing import PATIENCE
from tests.hub.gateway.test_response_url import RESULT, _rewritten
from tests.hub.newcomer import Newcomer, is_as_it_was
from tests.hub.raw_servers import server
from tests.hub.recording import recorded
from tests.hub.strangers import Stranger, ask, raw, until
from tests.hub.tls_servers import identity, tls_server
from tests.running_hub import changed_setting


@contextmanager
def _closed() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def _filtered() -> Iterator[str]:
    """Nobody takes connections, and nobody refuses them: as behind a firewall that drops."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


def _service(said: bytes) -> Callable[[], AbstractContextManager[str]]:
    return lambda: server(lambda connection: connection.sendall(said))


@contextmanager
def _silent() -> Iterator[str]:
    def wait(connection: socket.socket) -> None:
        connection.recv(1)

    with server(wait) as url:
        yield url


@contextmanager
def _plain_behind_https() -> Iterator[str]:
    with server(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as url:
        yield url.replace("http:", "https:")


@contextmanager
def _closed_https() -> Iterator[str]:
    with _closed() as url:
        yield url.replace("http:", "https:")


DEAD = {
    "closed": (_closed, "refused"),
    "filtered": (_filtered, "takes no connection"),
    "ssh": (_service(b"SSH-2.0-OpenSSH_9.2\r\n"), "is not HTTP"),
    "valkey": (_service(b"-ERR wrong number of arguments\r\n"), "is not HTTP"),
    "hangs up": (_service(b""), "hung up"),
    "tls": (_service(b"\x15\x03\x03\0\x02\x02\x28"), "answers with TLS"),
    "silent": (_silent, "did not answer in time"),
    "closed https": (_closed_https, "refused"),
    "no tls": (_plain_behind_https, "does not speak TLS"),
}


@contextmanager
def _waited_for(name: str) -> Iterator[None]:
    """Short limits for those of whom nothing comes; the others are heard on however slow a machine.

    Also `handshake.SECONDS`.
    """
    connect = 0.3 if name == "filtered" else PATIENCE
    whole = 1.5 if name == "silent" else PATIENCE
    before, handshake.SECONDS = handshake.SECONDS, whole
    try:
        with changed_setting("CONNECT_TIMEOUT", connect), changed_setting("FORWARD_TIMEOUT", whole):
            yield
    finally:
        handshake.SECONDS = before


def _words(answer, url: str) -> str:
    """What is said of it, without its address."""
    said = str(answer.envelope["status_message"])
    assert urlsplit(url).netloc in said
    return said.replace(url, "URL").replace(urlsplit(url).netloc, "HOST")


def test_as_a_versions_url_each_is_told_in_the_same_words(hub):
    newcomer = Newcomer(hub)
    told = set()
    for name, (dead, reason) in DEAD.items():
        with dead() as url, _waited_for(name):
            answer = newcomer.post(url=f"{url}/versions")
            assert answer.said == (200, 3001)
            told.add(_words(answer, f"{url}/versions"))
        # The operator's record has the real reason.
        (message,) = recorded(1, kind="handshake", problem__contains=urlsplit(url).netloc)
        assert reason in message.problem
    assert told == {
        f"GET versions at URL: HOST cannot be reached: {reasons.NOTHING_THERE}.",
    }
    assert is_as_it_was(newcomer)


def test_as_a_response_url_each_is_told_in_the_same_words_and_with_the_same_code(hub, cpo, emsp):
    told = set()
    for name, (dead, reason) in DEAD.items():
        with dead() as url, _waited_for(name):
            own = _rewritten(hub, emsp, cpo, f"{url}/result")
            answer = ask(hub, cpo, "POST", own, to=emsp, body=RESULT)
            assert answer.said == (200, 4003)
            told.add(_words(answer, f"{url}/result"))
        (message,) = recorded(1, direction="OUT", problem__contains=urlsplit(url).netloc)
        assert reason in message.problem
    assert told == {f"HOST cannot be reached: {reasons.NOTHING_THERE}."}


def test_as_an_endpoint_on_another_host_each_is_told_in_the_same_words(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    rows = Endpoint.objects.filter(
        platform__parties__party_id=cpo.simulator.party.party_id, identifier="locations"
    )
    told = {}
    for name, (dead, _) in DEAD.items():
        with dead() as url, _waited_for(name):
            rows.update(url=url)
            platform = holder.snapshot.parties[cpo.simulator.party].platform.id
            until(lambda url=url, p=platform: url in _endpoints(p))
            answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
            told[name] = _words(answer, url)
            # The text asks for 4002 where an interface of the receiver's does not answer.
            assert answer.said == (200, 4002 if name == "silent" else 4003)
    assert set(told.values()) == {f"HOST cannot be reached: {reasons.NOTHING_THERE}."}


def _endpoints(platform: int) -> list[str]:
    return list(holder.snapshot.platforms[platform].endpoints.values())


def test_where_ocpi_was_spoken_before_the_real_reason_is_told(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO, listens=False))
    cpo.set_faults(gone=True)
    answer = ask(hub, emsp, "GET", "sender/locations", to=cpo)
    assert answer.said == (200, 4003)
    assert "connection refused" in answer.envelope["status_message"]


def test_an_owner_whose_interfaces_hang_is_4002_also_on_its_response_url(hub, cpo):
    emsp = hub.join(Stranger(Role.EMSP, listens=False))
    url = f"{emsp.simulator.url}/api/ocpi/2.2.1/sender/commands/START_SESSION/1"
    own = _rewritten(hub, emsp, cpo, url)
    emsp.simulator.says = _late
    with changed_setting("FORWARD_TIMEOUT", 1.0):
        answer = ask(hub, cpo, "POST", own, to=emsp, body=RESULT)
    assert answer.said == (200, 4002)
    assert "did not answer in time" in answer.envelope["status_message"]


async def _late(message):
    await asyncio.sleep(PATIENCE)  # Longer than the hub waits.
    return raw()


# --- Certificates ---------------------------------------------------------------------------------


def test_a_wrong_certificate_is_told_to_the_party_whose_versions_url_it_is(hub, tmp_path):
    newcomer = Newcomer(hub)
    with tls_server(identity(), tmp_path) as url:
        answer = newcomer.post(url=f"{url}/versions")
    assert answer.said == (200, 3001)
    assert "its TLS certificate is self-signed" in answer.envelope["status_message"]
    assert is_as_it_was(newcomer)


def test_that_no_tls_is_spoken_is_told_of_an_address_that_is_anybodys_to_call():
    wrong = ssl.SSLError()
    wrong.reason = "WRONG_VERSION_NUMBER"
    for address, is_told in (("1.1.1.1", True), ("10.0.0.1", False), ("127.0.0.1", False)):
        failure = NotConnected("", address)
        failure.__cause__ = wrong
        assert "does not speak TLS" in reasons.reason(failure)
        assert ("does not speak TLS" in reasons.told(failure)) is is_told
