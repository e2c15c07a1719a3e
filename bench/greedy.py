"""The platform that harms others in `script/bench guards`: `python -m bench.greedy FD`.

The text in its URL decides the answer: -big brings 19 MB, /list as much as a page of the hub's own,
/hang nothing ever, /commands ACCEPTED, and everything else OK. GET /taken gives the response_urls
that have come since it was last asked, one a line.
"""

import asyncio
import re
import socket
import sys
from typing import Final, cast

import uvloop

BIG_BYTES: Final = 19_000_000
LIST_BYTES: Final = 370_000
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_URL: Final = re.compile(rb'"response_url": *"([^"]+)"')
_MOST_TAKEN: Final = 10_000


def _answer(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _envelope(data: bytes) -> bytes:
    return b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z","data":%s}' % data


def _list(size: int) -> bytes:
    """A list of objects of about a kilobyte."""
    one = b'{"country_code":"XX","party_id":"EVC","id":"L","text":"%s"}' % (b"x" * 950)
    return _answer(_envelope(b"[" + b",".join([one] * (size // (len(one) + 1))) + b"]"))


_BIG, _LIST = _list(BIG_BYTES), _list(LIST_BYTES)
_OK: Final = _answer(_envelope(b"[]"))
_ACCEPTED: Final = _answer(_envelope(b'{"result":"ACCEPTED","timeout":30}'))


class Greedy(asyncio.Protocol):
    """One kept-alive connection."""

    taken: Final[list[bytes]] = []
    _buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head + 2)
        if len(self._buffer) < head + 4 + (int(length[1]) if length else 0):
            return
        request, self._buffer = self._buffer, b""
        answer = self._answer(request.partition(b" HTTP/1.1\r\n")[0], request)
        if answer:
            self._transport.write(answer)

    def _answer(self, target: bytes, request: bytes) -> bytes:
        if b"/hang" in target:
            return b""
        if b"-big" in target:
            return _BIG
        if b"/list" in target:
            return _LIST
        if b"/commands" in target:
            if (url := _URL.search(request)) is not None and len(self.taken) < _MOST_TAKEN:
                self.taken.append(url[1])
            return _ACCEPTED
        if b"/taken" in target:
            answer = _answer(b"\n".join(self.taken))
            self.taken.clear()
            return answer
        return _OK


async def main() -> None:
    """Serve until the process is ended."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(Greedy, sock=listening, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
