"""Answers beside OCPI: whether the process lives, works, metrics, the console and its assets.

Strangers may call them, so they have threads of their own: whatever strangers ask, those of OCPI
are free. The requests in hand are limited, for each address and in all; further ones are told to
wait.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from hub.db.django_threads import CALLER
from hub.fairness import callers
from hub.gateway.answer import Outgoing, of_django, refusal, send_whole
from hub.gateway.bodies import SenderGone, read_body
from hub.gateway.process import Receive, Send, WebProcess
from hub.ocpi.errors import HubError, OcpiError
from hub.outbound import loops
from hub.routing.request import Scope

LIVEZ: Final = "/livez"
HEALTH: Final = "/health"
READYZ: Final = "/readyz"
LOGIN: Final = "/admin/login/"
_TEXT: Final = (b"content-type", b"text/plain")
_BUSY: Final = Outgoing(
    HTTPStatus.SERVICE_UNAVAILABLE,
    b"The console has too much in hand; try again in a moment.\n",
    [_TEXT, (b"retry-after", b"1")],
)
_HANGS: Final = Outgoing(
    HTTPStatus.SERVICE_UNAVAILABLE,
    b'{"status": "not ready", "database": "no answer"}',
    [(b"content-type", b"application/json"), (b"cache-control", b"no-store")],
)
_ALIVE: Final = Outgoing(HTTPStatus.OK, b"alive\n", [_TEXT, (b"cache-control", b"no-store")])


class Pages:
    """Answers everything that is not below /ocpi/."""

    # With the size of a form they bound the memory that strangers can fill.
    MOST_IN_HAND: Final = 256
    MOST_OF_AN_ADDRESS: Final = 16
    MAX_FORM_BYTES: Final = 256_000
    # A password takes a thread for a third of a second; these wait for it.
    MOST_LOGINS: Final = 8
    # Seconds. While the database hangs, nobody who asks for /readyz waits for longer.
    READY_WITHIN = 5.0

    def __init__(self, worker: WebProcess) -> None:
        self._worker = worker
        self._in_hand: Counter[str] = Counter()
        self._looks: dict[str, asyncio.Task[Outgoing]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == LIVEZ:
            await _sent(scope, send, _ALIVE)  # By the event loop alone: no thread, no database.
        elif scope["path"] == HEALTH:
            await _sent(scope, send, await self._looked(scope))
        elif scope["path"] == READYZ:
            await _sent(scope, send, await self._ready(scope))
        elif loops.is_own_message(dict(scope["headers"])):
            await _sent(scope, send, refusal(HubError(loops.REASON)))
        else:
            address = callers.address_of(scope)
            group = callers.group_of(address)
            if self._is_busy(group):
                await _sent(scope, send, _BUSY)
                return
            with self._counted("", group):  # Until it is read: who does not read has it in hand.
                await self._page(scope, receive, send, address)

    async def _page(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        try:
            outgoing = await self._outgoing(scope, receive, address)
        except SenderGone:
            return
        except OcpiError as error:
            outgoing = refusal(error)
        await _sent(scope, send, outgoing)

    async def _outgoing(self, scope: Scope, receive: Receive, address: str) -> Outgoing:
        body = await read_body(receive, self.MAX_FORM_BYTES)
        if scope["path"] != LOGIN:
            return of_django(await self._worker.pages.answer(scope, body, **{CALLER: address}))
        if self._in_hand[LOGIN] >= self.MOST_LOGINS:
            return _BUSY
        with self._counted(LOGIN):
            return of_django(await self._worker.logins.answer(scope, body, **{CALLER: address}))

    async def _ready(self, scope: Scope) -> Outgoing:
        try:
            return await asyncio.wait_for(self._looked(scope), self.READY_WITHIN)
        except TimeoutError:
            return _HANGS

    async def _looked(self, scope: Scope) -> Outgoing:
        """On a thread that waits for no table; all who ask meanwhile share one look."""
        path = scope["path"]
        look = self._looks.get(path)
        if look is None or look.done():
            look = self._looks[path] = asyncio.create_task(self._look(scope))
        return await asyncio.shield(look)

    async def _look(self, scope: Scope) -> Outgoing:
        # The others who get this answer may have asked under another name.
        asked = {**scope, "method": "GET", "query_string": b"", "headers": []}
        return of_django(await self._worker.steady.answer(asked, b"", HTTP_HOST="127.0.0.1"))

    def _is_busy(self, group: str) -> bool:
        return (
            self._in_hand[""] >= self.MOST_IN_HAND
            or self._in_hand[group] >= self.MOST_OF_AN_ADDRESS
        )

    @contextmanager
    def _counted(self, *names: str) -> Iterator[None]:
        self._in_hand.update(names)
        try:
            yield
        finally:
            self._in_hand.subtract(names)
            for name in names:
                if not self._in_hand[name]:
                    del self._in_hand[name]


async def _sent(scope: Scope, send: Send, outgoing: Outgoing) -> None:
    sent = outgoing.headers
    if scope["method"] != "HEAD" and outgoing.status != HTTPStatus.NOT_MODIFIED:
        sent = [*sent, (b"content-length", str(len(outgoing.body)).encode())]
    await send_whole(send, outgoing.status, sent, outgoing.body)
