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

import uvloop

from bench.whole_requests import WholeRequests, answer

_SEQ = re.compile(rb'"x_seq":(\d+)')
_ANSWER = answer(b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}')
came: list[tuple[int, int, float]] = []


class Sink(WholeRequests):
    """One kept-alive connection."""

    def asked(self, request: bytes, head: int) -> None:
        if request.startswith(b"GET"):
            self.say(answer(_told(request)))
            return
        _, milliseconds, receiver, _ = request.split(b"/", 3)
        seq = _SEQ.search(request, head)
        came.append((int(receiver), int(seq.group(1)) if seq else -1, time.monotonic()))
        self.say(_ANSWER, after=int(milliseconds))


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
