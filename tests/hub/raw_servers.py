"""Servers that say exactly these bytes, and the two ways in which the hub calls them."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hub.outbound import platform_calls
from hub.outbound.platform_calls import AsyncCaller, Response
from simulators.testing import PATIENCE

Serve = Callable[[socket.socket], None]
HEARD: list[bytes] = []
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(serve: Serve, *, hears: bool = True) -> Iterator[str]:
    """A TCP server that says what `serve` writes, after it has heard something; yields its URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_speak, args=(connection, serve, hears), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(PATIENCE)


def _speak(connection: socket.socket, serve: Serve, hears: bool) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(PATIENCE)
        if hears:
            HEARD.append(connection.recv(65536))
        serve(connection)


def call_and_wait(url: str, method: str = "GET", body: bytes = b"") -> Response:
    """As jobs and views do."""
    return platform_calls.call(method, url, {"Authorization": "Token x"}, body)


def call_awaited(url: str, method: str = "GET", body: bytes = b"") -> Response:
    """As the gateway and the drains do."""

    async def call() -> Response:
        caller = AsyncCaller()
        try:
            return await caller.call(1, method, url, {"Authorization": "Token x"}, body)
        finally:
            caller.close()

    return asyncio.run(call())
