"""How answers leave a web process (hub/gateway/http_server.py), over a real connection."""

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from hub.gateway.http_server import Protocol
from hub.gateway.whole_requests import whole_of

HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"status_code":1000}'


LENGTH = (b"content-length", str(len(BODY)).encode())
HEADERS = {
    "/closes": [LENGTH, (b"connection", b"close")],
    "/chunked": [],
    "/short": [(b"content-length", b"99")],
    "/break": [LENGTH, (b"x-id", b"1\r\nmore: 1")],
    "/control": [LENGTH, (b"x-id", b"1\x00more")],
    "/name": [LENGTH, (b"x-id:more", b"1")],
}


async def application(scope, receive, send) -> None:
    if scope["path"] == "/body":
        await tell_size(scope, receive, send)
        return
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": HEADERS.get(scope["path"], [LENGTH]),
    }
    await receive()
    await send(start)
    if scope["path"] == "/slow":
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": BODY})


async def tell_size(scope, receive, send) -> None:
    whole = whole_of(scope)
    assert whole is not None
    found = whole.body(100)
    if found is None:
        found = b""
        more = True
        while more:
            event = await receive()
            found += event["body"]
            more = event["more_body"]
    said = b"%d bytes" % len(found)
    headers = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server whose answers go through the joining transport."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application, http=Protocol, lifespan="off", log_config=None, ws="none")
    )

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # As stack/serve.py.
            runner.run(server.serve(sockets=[listening]))

    thread = threading.Thread(target=run)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def connection(port) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
        yield made


def ask(connection: socket.socket, method: str, path: str, more: bytes = b"") -> None:
    connection.sendall(
        b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method.encode(), path.encode(), more)
    )


def whole(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        part = connection.recv(65_536)
        assert part, found
        found += part
    return found


def test_head_and_body_come_together(connection):
    for _ in range(3):
        ask(connection, "GET", "/")
        answer = connection.recv(65_536)
        assert answer.startswith(HEAD)
        assert answer.endswith(b"\r\n\r\n" + BODY)


def test_a_body_that_follows_later_is_not_lost(connection):
    ask(connection, "GET", "/slow")
    answer = whole(connection, BODY)
    assert answer.startswith(HEAD)
    assert answer.count(b"HTTP/1.1") == 1


def test_an_answer_without_a_body_is_sent(connection):
    for _ in range(2):
        ask(connection, "HEAD", "/")
        assert whole(connection, b"\r\n\r\n").startswith(HEAD)


def test_what_is_no_http_is_told_so_before_the_connection_ends(connection):
    connection.sendall(b"nonsense\r\n\r\n")
    found = b""
    while part := connection.recv(65_536):
        found += part
    assert found.startswith(b"HTTP/1.1 400")


def test_who_asks_whether_to_go_on_is_told(connection):
    ask(connection, "PUT", "/", b"Content-Length: 2\r\nExpect: 100-continue\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 100 Continue")
    connection.sendall(b"{}")
    assert whole(connection, BODY).startswith(HEAD)


def test_an_answer_that_says_more_of_its_sending_is_left_to_the_server(port):
    """One that closes, one without a length, one that is shorter than it says."""
    for path, ends in (("/closes", BODY), ("/chunked", b"0\r\n\r\n")):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
            ask(made, "GET", path)
            assert whole(made, ends).startswith(HEAD)
            assert path == "/chunked" or made.recv(10) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
        ask(made, "GET", "/short")
        found = b""
        while part := made.recv(65_536):
            found += part
        assert b"length: 99\r\n" in found  # And the connection has ended.


def test_a_header_cannot_bring_another_one_along(port):
    for path in ("/break", "/control", "/name"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
            ask(made, "GET", path)
            found = b""
            while part := made.recv(65_536):
                found += part
        assert found == b""


def test_requests_that_come_together_are_answered_in_their_order(connection):
    connection.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5)))
    found = b""
    while found.count(BODY) < 5:
        found += connection.recv(65_536)
    assert found.count(HEAD) == 5


def test_a_body_is_there_at_once_or_awaited_and_never_longer_than_it_may_be(port):
    for size, sent_in in ((0, 1), (5, 1), (5, 2), (20_000, 1), (101, 1)):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as made:
            body = b"x" * size
            head = b"PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
            if sent_in == 1:
                made.sendall(head + body)
            else:
                made.sendall(head)
                made.sendall(body)
            assert whole(made, b"%d bytes" % size).startswith(HEAD)


def test_an_answered_request_is_gone_without_the_collector(connection):
    """Thousands a second that only the collector finds would cost more than they are."""

    def number() -> int:
        return sum(isinstance(one, RequestResponseCycle) for one in gc.get_objects())

    gc.collect()
    before = number()
    gc.disable()
    try:
        for _ in range(20):
            ask(connection, "GET", "/")
            whole(connection, BODY)
            ask(connection, "PUT", "/body", b"Content-Length: 0\r\n")
            whole(connection, b"0 bytes")
        assert number() <= before + 3
    finally:
        gc.enable()
