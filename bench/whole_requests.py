"""The bare HTTP server of the benchmarks' other parties: reads whole requests, and nothing else."""

import asyncio
import re
from abc import ABC, abstractmethod
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def answer(body: bytes) -> bytes:
    """HTTP 200 with this JSON."""
    return _HEAD % len(body) + body


class WholeRequests(asyncio.Protocol, ABC):
    """One kept-alive connection, on which one request is under way at a time."""

    _buffer = b""

    @abstractmethod
    def asked(self, request: bytes, head: int) -> None:
        """Answer a request whose header ends at `head`."""

    def say(self, whole: bytes, *, after: int = 0) -> None:
        """Send an answer in so many milliseconds."""
        if after:
            loop = asyncio.get_running_loop()
            loop.call_later(after / 1000, self._transport.write, whole)
        else:
            self._transport.write(whole)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        head = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, head + 2) if head >= 0 else None
        if head < 0 or len(data) < head + 4 + (int(length.group(1)) if length else 0):
            self._buffer = data
            return
        self._buffer = b""
        self.asked(data, head)
