"""The party of `script/bench pull`: a CPO with a long list of Locations, as light as it can be.

`python -m bench.lists FD COUNT` answers each GET with a page of at most a hundred Locations of
`OCPI-to`, with Link and X-Total-Count. GET /asked gives the number of pages that were asked for.
"""

import asyncio
import re
import socket
import sys
from typing import Final, cast

import uvloop

from bench.forwarding import location

PAGE: Final = 100
_TARGET: Final = re.compile(rb"^GET (/[^? ]*)(?:\?([^ ]*))? ")
_NUMBER: Final = re.compile(rb"(?:^|&)(offset|limit)=(\d+)")
_TO: Final = re.compile(rb"\r\nOCPI-to-party-id: *([^\r]+)", re.IGNORECASE)
_HOST: Final = re.compile(rb"\r\nHost: *([^\r]+)", re.IGNORECASE)
# Before the owner's party_id, between it and the Location's id, and after that.
_HEAD, _BETWEEN, _TAIL = re.split(rb'(?<="party_id":)"CPO"|(?<="id":)"LOC1"', location())


class Lists(asyncio.Protocol):
    """One kept-alive connection."""

    total = 0
    asked = 0
    _buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            request, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
            self._transport.write(self._answer(request))

    def _answer(self, request: bytes) -> bytes:
        target = _TARGET.match(request)
        if target is None or target[1] == b"/asked":
            return _http(b"%d" % Lists.asked, b"")
        Lists.asked += 1
        numbers = {name: int(number) for name, number in _NUMBER.findall(target[2] or b"")}
        offset, limit = numbers.get(b"offset", 0), min(numbers.get(b"limit", PAGE), PAGE)
        to, host = _TO.search(request), _HOST.search(request)
        owner = b'"%s"' % (to[1] if to else b"CPO")
        page = range(offset, min(offset + limit, self.total))
        body = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z","data":[%s]}' % b",".join(
            b"".join((_HEAD, owner, _BETWEEN, b'"LOC%06d"' % number, _TAIL)) for number in page
        )
        more = b"X-Total-Count: %d\r\nX-Limit: %d\r\n" % (self.total, PAGE)
        if offset + limit < self.total:
            more += b'Link: <http://%s%s?offset=%d&limit=%d>; rel="next"\r\n' % (
                host[1] if host else b"",
                target[1],
                offset + limit,
                limit,
            )
        return _http(body, more)


def _http(body: bytes, headers: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        % (headers, len(body))
        + body
    )


async def main() -> None:
    """Serve until the process is ended."""
    Lists.total = int(sys.argv[2])
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(Lists, sock=listening, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
