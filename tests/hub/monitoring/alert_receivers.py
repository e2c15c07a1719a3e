"""Real receivers of alerts on loopback: an HTTP server, and a mail server."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from simulators.testing import PATIENCE


@dataclass
class Receiver:
    """What it was told; how it answers; what happens before it answers."""

    url: str = ""
    status: int = 204
    told: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None

    @property
    def bodies(self) -> list[Any]:
        """As JSON."""
        return [msgspec.json.decode(body) for _, body in self.told]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A webhook."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.told.append(({k.lower(): v for k, v in self.headers.items()}, body))
            kept.before_answer()
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/a-key"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@contextmanager
def mail_server() -> Iterator[tuple[int, list[Mail]]]:
    """A mail server (RFC 5321) for one connection after the other: its port, and what it took."""
    listening = socket.create_server(("127.0.0.1", 0))
    taken: list[Mail] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                connection.settimeout(PATIENCE)
                _converse(stream, taken)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], taken
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(PATIENCE)


def _converse(stream: Any, taken: list[Mail]) -> None:
    def say(line: bytes) -> None:
        stream.write(line + b"\r\n")
        stream.flush()

    say(b"220 here")
    while line := stream.readline():
        word = line[:4].upper().strip()
        if word == b"DATA":
            say(b"354 go on")
            lines = iter(stream.readline, b".\r\n")
            taken.append(message_from_bytes(b"".join(lines)))
        say(b"221 bye" if word == b"QUIT" else b"250 yes")
        if word == b"QUIT":
            return
