"""How answers leave a web process (hub/answers.py), over a real connection."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from hub.answers import Protocol

HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"status_code":1000}'


async def application(scope, receive, send) -> None:
    length = str(len(BODY)).encode()
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    await receive()
    await send(start)
    if scope["path"] == "/slow":
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": BODY})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server whose answers go through the joining transport."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application, http=Protocol, lifespan="off", log_config=None, ws="none")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
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
