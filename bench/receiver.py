"""The other party of the forwarding benchmarks: as light as it can be, as slow as the URL says.

`python -m bench.receiver FD` answers each request to /{milliseconds}/... after that time with an
OCPI envelope.
"""

import asyncio
import re
import socket
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BODY = b'{"status_code":1000,"status_message":"OK","timestamp":"2026-01-01T00:00:00Z"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Receiver(asyncio.Protocol):
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
        milliseconds = int(data.split(b"/", 2)[1])
        if milliseconds:
            loop = asyncio.get_running_loop()
            loop.call_later(milliseconds / 1000, self._transport.write, _ANSWER)
        else:
            self._transport.write(_ANSWER)


async def main() -> None:
    """Serve until the process is ended."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(Receiver, sock=listening, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
