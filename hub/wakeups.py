"""NOTIFY and LISTEN: telling web processes that a row they wait for has changed.

Only a hint. Whoever waits also looks at the row from time to time, since a notification is lost
with the connection that would have carried it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

logger = logging.getLogger(__name__)
CHANNEL = "flexhub"
LOOK_AGAIN = 1.0


def notify(topic: str) -> None:
    """Tell all web processes of `topic` when the current transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, topic])


class Listener:
    """The one LISTEN connection of a web process."""

    def __init__(self, on_directory: Callable[[], None]) -> None:
        self._on_directory = on_directory
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def run(self) -> None:
        """Listen until cancelled; connect again whenever the connection is lost."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    autocommit=True, **_parameters()
                ) as database:
                    await database.execute(f"LISTEN {CHANNEL}")
                    self._on_directory()
                    async for notification in database.notifies():
                        self._wake(notification.payload)
            except psycopg.Error as error:
                logger.warning("listening for wake-ups: %s; trying again", error)
                await asyncio.sleep(LOOK_AGAIN)

    def _wake(self, topic: str) -> None:
        if topic == "directory":
            self._on_directory()
        for event in self._waiting.get(topic, ()):
            event.set()

    @contextmanager
    def expect(self, topic: str) -> Iterator[asyncio.Event]:
        """An event that is set when `topic` is notified from now on."""
        event = asyncio.Event()
        self._waiting.setdefault(topic, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._waiting[topic]
            waiting.discard(event)
            if not waiting:
                del self._waiting[topic]


def _parameters() -> dict[str, Any]:
    database: dict[str, Any] = settings.DATABASES["default"]
    return {
        "dbname": database["NAME"],
        "user": database["USER"] or None,
        "password": database["PASSWORD"] or None,
        "host": database["HOST"] or None,
        "port": database["PORT"] or None,
        "connect_timeout": 5,
        **database["OPTIONS"],
    }
