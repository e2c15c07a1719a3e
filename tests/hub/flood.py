"""Many requests of one party at the same time, and tables that keep the hub waiting."""

import asyncio
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from hub.db.notify import connection_parameters
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from simulators.testing import PATIENCE, Running
from tests.hub.strangers import Reply, Stranger, routing, token_of
from tests.running_hub import RunningHub


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Nobody else reads or writes a table within the block: the hub's answers wait for it."""
    with psycopg.connect(**connection_parameters()) as database:
        database.execute(sql.SQL("LOCK TABLE {}").format(sql.Identifier(table)))
        yield


def waiting_for_locks() -> int:
    """How many of the hub's threads wait for a locked table."""
    with psycopg.connect(**connection_parameters()) as database:
        [(number,)] = database.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchall()
    return int(number)


def request_of(
    hub: RunningHub,
    sender: Running[Stranger],
    method: str,
    path: str,
    *,
    to: PartyId | Running[Stranger] | None = None,
    body: bytes = b"",
) -> bytes:
    """The bytes of a request of a registered stranger; `path` is below /ocpi/2.2.1/."""
    receiver = to.simulator.party if isinstance(to, Running) else to
    sent = {
        "Host": urlsplit(hub.url).netloc,
        "Authorization": authorization(token_of(sender)),
        "Content-Length": str(len(body)),
        "Content-Type": "application/json",
        "Connection": "close",
        **routing(receiver, sender.simulator.party),
    }
    lines = [f"{method} /ocpi/2.2.1/{path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Flood:
    """Requests on connections of their own, sent at the same time; wait for `all` in the end."""

    def __init__(self, hub: RunningHub, requests: Iterable[bytes]) -> None:
        self._port = urlsplit(hub.url).port
        self._requests = list(requests)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send_all()), daemon=True)
        self.answers: list[Reply] = []
        self._thread.start()

    def first(self, number: int) -> list[Reply]:
        """Wait until so many are answered; in the order of the answers."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.answers) >= number, PATIENCE)
            return self.answers[:number]

    def all(self) -> list[Reply]:
        """Wait until all are answered."""
        answers = self.first(len(self._requests))
        self._thread.join(PATIENCE)
        return answers

    async def _send_all(self) -> None:
        await asyncio.gather(*(self._send(request) for request in self._requests))

    async def _send(self, request: bytes) -> None:
        reading, writing = await asyncio.open_connection("127.0.0.1", self._port)
        writing.write(request)
        said = await reading.read()
        writing.close()
        head, _, body = said.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
        with self._changed:
            self.answers.append(Reply(int(first.split(" ")[1]), headers, body))
            self._changed.notify_all()


class NotRead:
    """`with NotRead(hub, request) as caller:` sends a request and reads nothing of its answer."""

    def __init__(self, hub: RunningHub, request: bytes) -> None:
        self._connection = socket.socket()
        # Before it connects: the window that the other side may fill.
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._connection.settimeout(PATIENCE)
        self._connection.connect(("127.0.0.1", urlsplit(hub.url).port))
        self._connection.sendall(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def began(self) -> None:
        """Until the answer begins to come."""
        assert self._connection.recv(1, socket.MSG_PEEK)

    def read(self) -> bytes:
        """All of the answer, as far as it comes; b"" in place of one that was cut off."""
        found = bytearray()
        try:
            while part := self._connection.recv(1_000_000):
                found += part
        except ConnectionResetError:
            return b""
        return bytes(found)
