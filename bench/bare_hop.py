"""What a hop costs at least in Python: ASGI and aiohttp, with no question asked."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

TARGET = os.environ["BENCH_TARGET"]
# Where paths that begin with /greedy/ lead (bench/guards.py).
GREEDY = os.environ.get("BENCH_GREEDY", "")


class BareHop:
    """Reads the body, sends it to the fixed target, returns the answer's body."""

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.http.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        path = scope["path"]
        url = (GREEDY if path.startswith("/greedy/") else TARGET) + path
        async with self.http.request(scope["method"], url, data=body) as answer:
            content = await answer.read()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


application = BareHop()
