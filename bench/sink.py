"""Receivers of the delivery benchmark: bare protocols that note what came when.

`python -m bench.sink FD` answers a push to /{milliseconds}/{receiver}/... after that time. The
body names its number as "x_seq". GET /count tells how many have come; GET /report all of them, and
forgets them.
"""

import asyncio
import json
import re
import socket
import sys
import time
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SEQ = re.compile(rb'"x_seq":(\d+)')
_OK = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'
came: list[tuple[int, int, float]] = []


def _answer(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


_ANSWER = _answer(_OK)


class Sink(asyncio.Protocol):
    """One kept-alive connection."""

    _buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport.
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
        if data.startswith(b"GET"):
            self._transport.write(_answer(_told(data)))
            return
        _, milliseconds, receiver, _ = data.split(b"/", 3)
        seq = _SEQ.search(data, head)
        came.append((int(receiver), int(seq.group(1)) if seq else -1, time.monotonic()))
        if wait := int(milliseconds):
            loop = asyncio.get_running_loop()
            loop.call_later(wait / 1000, self._transport.write, _ANSWER)
        else:
            self._transport.write(_ANSWER)


def _told(request: bytes) -> bytes:
    if not request.startswith(b"GET /report"):
        return b"%d" % len(came)
    told = json.dumps(came).encode()
    came.clear()
    return told


async def main() -> None:
    """Serve until the process is ended."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(Sink, sock=listening, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
