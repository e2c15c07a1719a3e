"""A light load generator: keep-alive connections that repeat prepared requests."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SUCCESS = b'"status_code":1000'
GRACE_SECONDS = 45.0


@dataclass(slots=True)
class Outcome:
    """What came of the requests sent."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Answers with OCPI status 1000."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Successful messages a second."""
        return self.count / self.seconds


def put(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of one PUT."""
    lines = [f"PUT {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Client(asyncio.Protocol):
    """Sends its request whenever it is due and the last one was answered, until `until`.

    Latency counts from when a request was due: a stall shows in all that had to wait for it.
    """

    def __init__(
        self, request: bytes, outcome: Outcome, due: float, interval: float, until: float
    ) -> None:
        self._request = request
        self._outcome = outcome
        self._due = due
        self._interval = interval
        self._until = until
        self._expected = 0
        self._buffer = b""
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._loop.call_later(self._due - time.monotonic(), self._send)

    def _send(self) -> None:
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._buffer or len(data) != self._expected:
            self._buffer += data
            if not self._is_whole():
                return
            data, self._buffer = self._buffer, b""
            self._expected = len(data)
        now = time.monotonic()  # the loop's own clock stands still while it works
        if _SUCCESS in data:
            self._outcome.latencies.append(now - self._due)
        else:
            self._outcome.errors.append(data)
        self._due = self._due + self._interval if self._interval else now
        if self._due >= self._until or now >= self._until:
            self._finish()
        elif self._due > now:
            self._loop.call_later(self._due - now, self._send)
        else:
            self._transport.write(self._request)

    def _is_whole(self) -> bool:
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return False
        length = _LENGTH.search(self._buffer, 0, head + 2)
        return len(self._buffer) >= head + 4 + (int(length.group(1)) if length else 0)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._outcome.errors.append(b"connection lost")
            self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


def _identity(client: _Client) -> _Client:
    return client


async def run(
    port: int, requests: Sequence[bytes], seconds: float, *, per_second: float = 0.0
) -> Outcome:
    """Repeat each request on a connection of its own for `seconds`; 0 sends each one once.

    Without `per_second` the next one follows each answer at once; with it they come at this rate
    over all connections, whatever the answers do.
    """
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    begun = time.monotonic()
    interval = len(requests) / per_second if per_second else 0.0
    clients = []
    for number, request in enumerate(requests):
        due = begun + (number / per_second if per_second else 0.0)
        client = _Client(request, outcome, due, interval, begun + seconds)
        await loop.create_connection(partial(_identity, client), "127.0.0.1", port)
        clients.append(client)
    async with asyncio.timeout(seconds + GRACE_SECONDS):
        await asyncio.gather(*(client.done for client in clients))
    outcome.seconds = time.monotonic() - begun
    return outcome
