"""NOTIFY and LISTEN: telling web processes that a row they wait for has changed.

Only a hint. Whoever waits also looks at the row from time to time, since a notification is lost
with the connection that would have carried it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

logger = logging.getLogger(__name__)
CHANNEL = "flexhub"
LOOK_AGAIN = 1.0  # seconds
# PostgreSQL takes payloads shorter than 8000 bytes.
_LONGEST = 7_900  # bytes
# How many of the last notifications are remembered, for those who begin to wait a moment late.
_REMEMBERED = 1_000


def notify(topic: str) -> None:
    """Tell all web processes of `topic` when the current transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, topic])


def payload(topic: str, http_status: int | None, body: bytes) -> str:
    """A notification that carries the answer itself where it fits: nobody need look at the row."""
    if http_status is None or len(topic) + len(body) > _LONGEST:
        return topic
    return f"{topic}\n{http_status}\n{body.decode()}"


@dataclass(slots=True)
class Expected:
    """What somebody waits for."""

    has_come: asyncio.Event = field(default_factory=asyncio.Event)
    told: str = ""

    def come(self, told: str) -> None:
        """It was notified, with what."""
        self.told = told
        self.has_come.set()

    async def wait(self, seconds: float) -> str:
        """What was told; "" when there is nothing but to look, or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.has_come.wait()
        except TimeoutError:
            return ""
        self.has_come.clear()
        return self.told


class Listener:
    """The one LISTEN connection of a web process."""

    def __init__(self, on_directory: Callable[[], None]) -> None:
        self._on_directory = on_directory
        self._waiting: dict[str, list[Expected]] = {}
        self._remembered: dict[str, str] = {}

    async def run(self) -> None:
        """Listen until cancelled; connect again whenever the connection is lost."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    autocommit=True, **connection_parameters()
                ) as database:
                    await database.execute(f"LISTEN {CHANNEL}")
                    self._on_directory()
                    self._look_all()
                    async for told in _heard(database):
                        self._wake(told)
            except psycopg.Error as error:
                logger.warning("listening for wake-ups: %s; trying again", error)
                await asyncio.sleep(LOOK_AGAIN)

    def _look_all(self) -> None:
        """Whatever was told while the connection was lost."""
        for waiting in self._waiting.values():
            for expected in waiting:
                expected.come("")

    def _wake(self, notified: str) -> None:
        topic, _, told = notified.partition("\n")
        if topic == "directory":
            self._on_directory()
            return
        for expected in self._waiting.get(topic, ()):
            expected.come(told)
        self._remembered[topic] = told
        if len(self._remembered) > _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    @contextmanager
    def expect(self, topic: str) -> Iterator[Expected]:
        """What is notified of `topic`, a moment ago or from now on."""
        expected = Expected()
        if (told := self._remembered.get(topic)) is not None:
            expected.come(told)
        self._waiting.setdefault(topic, []).append(expected)
        try:
            yield expected
        finally:
            waiting = self._waiting[topic]
            waiting.remove(expected)
            if not waiting:
                del self._waiting[topic]


def payloads(database: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]") -> Iterator[str]:
    """What has come, where its socket can be read; psycopg's own looks ten times a second."""
    database.pgconn.consume_input()
    while (told := database.pgconn.notifies()) is not None:
        yield told.extra.decode()


async def _heard(database: "psycopg.AsyncConnection[Any]") -> AsyncIterator[str]:
    """What is notified from now on."""
    loop, has_come = asyncio.get_running_loop(), asyncio.Event()
    with own_number(database.pgconn.socket) as socket:
        loop.add_reader(socket, has_come.set)
        try:
            while await has_come.wait():
                has_come.clear()
                for told in payloads(database):
                    yield told
        finally:
            loop.remove_reader(socket)


@contextmanager
def own_number(socket: int) -> Iterator[int]:
    """The same socket under a number that is ours until the end.

    libpq closes its own as soon as the connection breaks. The next connection that anybody opens
    may have that number, while the loop still takes it for this one.
    """
    number = os.dup(socket)
    try:
        yield number
    finally:
        os.close(number)


def connection_parameters() -> dict[str, Any]:
    """What psycopg needs for a connection to Django's database."""
    database: dict[str, Any] = settings.DATABASES["default"]
    return {
        "dbname": database["NAME"],
        "user": database["USER"] or None,
        "password": database["PASSWORD"] or None,
        "host": database["HOST"] or None,
        "port": database["PORT"] or None,
        **database["OPTIONS"],
    }
