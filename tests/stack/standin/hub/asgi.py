"""Stands in for the hub's ASGI application: says who answers, and which process that is."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """200 with `name pid` for everything; the lifespan has nothing to do."""
    if scope["type"] == "lifespan":
        await receive()
        beating = asyncio.create_task(_beat())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        beating.cancel()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{os.environ['FLEXHUB_WORKER']} {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def _beat() -> None:
    """As hub/startup/heartbeat.py does."""
    while True:
        os.write(int(os.environ["FLEXHUB_HEARTBEAT"]), b".")
        await asyncio.sleep(1)
