"""The listening side of a platform: one address, one handler for all requests (RFC 9112)."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listening:
    """Accepts connections on `host`:`port` and gives each request to `handler`.

    Port 0 takes a free one, which is kept from then on, also when it is closed and opened again.
    """

    def __init__(self, host: str, port: int, handler: RequestHandler) -> None:
        self.host = host
        self.port = port
        self.handler = handler
        self._protocol: web.Server | None = None
        self._server: asyncio.Server | None = None

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def open(self) -> None:
        """Begin to accept connections; OSError when the port is taken."""
        if self._server is not None:
            return
        if self._protocol is None:
            self._protocol = web.Server(self._handle, access_log=None)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, self.host, self.port, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def hang_up(self) -> None:
        """Close the connections there are, whatever they carry; others may come."""
        for connection in self._protocol.connections if self._protocol else ():
            if connection.transport is not None:
                connection.transport.close()

    async def close(self) -> None:
        """Accept no more, and hang up; harmless when it is closed."""
        if self._server is None or self._protocol is None:
            return
        self._server.close()
        # What was accepted just now becomes a connection in the loop's next turns.
        for _ in range(2):
            await asyncio.sleep(0)
        self._protocol.pre_shutdown()  # lets go of idle connections
        await self._protocol.shutdown(timeout=0.1)
        self._server = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.handler(request)
