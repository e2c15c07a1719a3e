"""The other party of the forwarding benchmarks: as light as it can be, as slow as the URL says.

`python -m bench.receiver FD` answers each request to /{milliseconds}/... after that time with an
OCPI envelope.
"""

import asyncio
import socket
import sys

import uvloop

from bench.whole_requests import WholeRequests, answer

_ANSWER = answer(b'{"status_code":1000,"status_message":"OK","timestamp":"2026-01-01T00:00:00Z"}')


class Receiver(WholeRequests):
    """One kept-alive connection."""

    def asked(self, request: bytes, head: int) -> None:
        self.say(_ANSWER, after=int(request.split(b"/", 2)[1]))


async def main() -> None:
    """Serve until the process is ended."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(Receiver, sock=listening, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
