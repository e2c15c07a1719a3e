"""A platform as a process: joins a hub by what the environment says, and serves until stopped.

HUB_VERSIONS_URL and TOKEN_A: where to register, and by which CREDENTIALS_TOKEN_A; without them
others may register here. HOST, PORT and PUBLIC_URL: where it listens, and how others reach it.
REGISTRATION_FILE: keeps the registration, so that a restart needs no other one.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from party import memory
from party.connection import Connection
from party.ocpi_platform import Platform

logger = logging.getLogger(__name__)


def listen_options() -> dict[str, Any]:
    """HOST, PORT and PUBLIC_URL as keyword arguments of Platform; ValueError for a wrong PORT."""
    return {
        "host": os.environ.get("HOST", "127.0.0.1"),
        "port": int(os.environ.get("PORT", "0")),
        "public_url": os.environ.get("PUBLIC_URL"),
    }


async def join(
    platform: Platform,
    versions_url: str | None,
    token_a: str | None,
    *,
    file: Path | None = None,
    base64_encoded: bool = True,
) -> Connection | None:
    """Go on with the registration that `file` keeps, else register; None without URL or token.

    RegistrationFailed, aiohttp.ClientError or TimeoutError when neither comes about.
    """
    remembered = memory.read(file) if file else None
    connection = await memory.resume(platform, remembered) if remembered else None
    if connection is None and versions_url and token_a:
        connection = await platform.register(versions_url, token_a, base64_encoded=base64_encoded)
    if connection is not None and file:
        memory.write(platform, connection, file)
    return connection


def run(make: Callable[[], Platform]) -> None:
    """A whole program: make the platform, and `serve` it; what it logs goes to stderr."""
    logging.basicConfig(level=logging.INFO)
    asyncio.run(serve(make()))


async def serve(platform: Platform) -> None:
    """Start, join, call Platform.joined, and serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    kept = os.environ.get("REGISTRATION_FILE")
    file = Path(kept) if kept else None
    await platform.start()
    try:
        connection = await join(
            platform, os.environ.get("HUB_VERSIONS_URL"), os.environ.get("TOKEN_A"), file=file
        )
        if connection is None:
            logger.info("%s: register with token %s", platform.versions_url, platform.invite())
        else:
            logger.info("%s is registered with %s", platform.name, connection.versions_url)
            await platform.joined()
        await stop.wait()
        if file and connection in platform.connections:
            # The other side may have changed the tokens in the meantime.
            memory.write(platform, connection, file)
    finally:
        await platform.stop()
