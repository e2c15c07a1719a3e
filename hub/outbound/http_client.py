"""A lean HTTP/1.1 client: kept-alive connections, bodies whole, nothing else (RFC 9112).

The parser is the one that the server uses (httptools). Why not aiohttp: docs/decisions/0007.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final, NamedTuple, cast

import httptools
import msgspec
from django.conf import settings

from hub.db.leases import Lease
from hub.fairness.memory import SMALL, BytesTaken
from hub.outbound import addresses, loops
from hub.outbound.resolver import Whose, resolver
from hub.outbound.time_limit import Within

IDLE_SECONDS: Final = 30.0
MAX_HEAD_BYTES: Final = 65_536
# Sent again when a kept-alive connection turns out to be closed: twice does what once does.
_REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_SWITCHING_PROTOCOLS: Final = 101
# A list may come in several fields (RFC 9110, 5.3); of all other headers the last field counts.
_LISTS: Final = frozenset({"link", "content-encoding"})
# How a TLS record begins: an alert, or a handshake message.
_TLS_RECORDS: Final = (b"\x15\x03", b"\x16\x03")
_NO_LIMIT: Final = 1 << 62
_NEVER: Final = float("inf")
# An answer that does not say how long it is gets so much room, then always as much again.
_FIRST_STEP: Final = 262_144  # bytes


class BrokenAnswer(OSError):
    """The answer is not HTTP, or ended in the middle."""


class AnswersInTls(BrokenAnswer):
    """It was asked in plain http, and answers with TLS."""


class NoSuchStatus(Exception):
    """The answer has an HTTP status beyond 599 or below 100: the message says which."""


class TooLong(Exception):
    """The answer is longer than allowed."""


class TooLate(OSError):
    """Another process may be sending the same by now: not a byte of it was sent from here."""


class NotConnected(OSError):
    """No connection was made: the request certainly did not leave. The cause says why.

    `address` is the one that it is about, "" when it came to none.
    """

    def __init__(self, text: str = "", address: str = "") -> None:
        super().__init__(text)
        self.address = address


class Origin(NamedTuple):
    """Where connections lead."""

    host: str
    port: int
    is_tls: bool


class HttpAnswer(msgspec.Struct, eq=False):
    """What came back. Header names are lower case."""

    status: int = 0
    headers: dict[str, str] = {}
    parts: list[bytes] = []
    size: int = 0
    head_size: int = 0
    is_whole: bool = False

    @property
    def length(self) -> int | None:
        """How many bytes its body has, where its head says so; the parser allows digits alone."""
        length = self.headers.get("content-length")
        return None if length is None or "transfer-encoding" in self.headers else int(length)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time, each within its time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._limit = 0
        self._answer = HttpAnswer()
        self._has_head = False
        self._waiting: asyncio.Future[HttpAnswer] | None = None
        # Until when; the timer is left to run when the answer comes: it looks again then.
        self._until = self._armed = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        # A larger answer waits for room before more of it is read.
        self._pause_at = _NO_LIMIT
        # Something of the answer has come.
        self.has_begun = False
        self.is_open = True
        self.address = ""
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def send(
        self, request: bytes, limit: int, until: float, *, may_pause: bool
    ) -> "asyncio.Future[HttpAnswer]":
        """The answer to come; it fails with the connection, or with TimeoutError.

        With `may_pause` it may be the beginning of a large one: then `go_on`.
        """
        self._limit, self._pause_at = limit, SMALL if may_pause else _NO_LIMIT
        self.has_begun = self._has_head = False
        self._until = until
        if self._timer is None or until < self._armed:
            self._arm()
        waiting = self._waiting = self._loop.create_future()
        self._transport.write(request)
        return waiting

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = self._until
        self._timer = self._loop.call_at(self._armed, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiting is None:
            return  # Nobody waits: the next request begins another one.
        if self._loop.time() < self._until:
            self._arm()
        else:
            self._fail(TimeoutError())

    def go_on(self, most: int) -> "asyncio.Future[HttpAnswer]":
        """The whole answer to come, unless it has more than `most` bytes."""
        self._pause_at = most
        whole = self._waiting = self._loop.create_future()
        if self.is_open:
            self._transport.resume_reading()
        else:
            self._fail(ConnectionResetError("the connection was closed"))
        return whole

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._answer = HttpAnswer()
        self._has_head = False
        if self._waiting is None:
            self.close()  # More than was asked for: whose answer comes next nobody could say.

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        answer.head_size += len(name) + len(value)
        if answer.head_size > MAX_HEAD_BYTES:
            self._fail(TooLong())
            return
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
        if key in _LISTS and key in answer.headers:
            text = f"{answer.headers[key]}, {text}"
        answer.headers[key] = text

    def on_headers_complete(self) -> None:
        self._has_head = True
        if (self._answer.length or 0) > self._limit:
            self._fail(TooLong())

    def on_body(self, part: bytes) -> None:
        self._answer.size += len(part)
        if self._answer.size > self._limit:
            self._fail(TooLong())
        else:
            self._answer.parts.append(part)

    def on_message_complete(self) -> None:
        status = self._answer.status = self._parser.get_status_code()
        if not 200 <= status < 600:
            self._on_odd_status(status)
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._answer.is_whole = True
        self._hand_over()

    def _on_odd_status(self, status: int) -> None:
        if status == _SWITCHING_PROTOCOLS:
            self._fail(BrokenAnswer("it changes to another protocol"))
        elif not 100 <= status < 200:  # 100 Continue and its like: the answer is still to come.
            self._fail(NoSuchStatus(f"{status:03}"))

    # The loop calls these.

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            self.close()  # Nobody asked.
            return
        if not self.has_begun and data[:2] in _TLS_RECORDS:
            self._fail(AnswersInTls("it answers with TLS: its URL has to begin with https"))
            return
        self.has_begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.close()  # What follows is not HTTP.
        except httptools.HttpParserError as error:
            self._fail(BrokenAnswer(str(error)))
        if self._has_head and self._waiting is not None and self._is_large():
            self._transport.pause_reading()
            self._hand_over()

    def _is_large(self) -> bool:
        return (self._answer.length or self._answer.size) > self._pause_at

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(self._answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        has_length = {"content-length", "transfer-encoding"} & self._answer.headers.keys()
        if self._waiting is not None and self._has_head and not has_length and error is None:
            self.on_message_complete()  # A body that ends with its connection.
        self._fail(error or ConnectionResetError("the connection was closed"))

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        self.close()
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)


@cache
def tls() -> ssl.SSLContext:
    """Reading the system's certificates (SSL_CERT_FILE) takes long: once a process."""
    return ssl.create_default_context()


class Client:
    """Connections by origin; made in the event loop."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._pruning = self._loop.call_later(IDLE_SECONDS, self._prune)

    async def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        limit: int,
        until: float,
        *,
        whose: Whose,
        only_once: bool = False,
        lease: Lease | None = None,
        room: BytesTaken | None = None,
        is_local: bool = False,
    ) -> HttpAnswer:
        """Send one request to what platform `whose` has named; the answer in time.

        `until` by the loop's clock, or TimeoutError; NotConnected, another OSError, NoSuchStatus or
        TooLong when there is no answer of use; TooManyRequests when `room` has none for a large
        one. Under a `lease` nothing leaves when it has ended: TooLate. `is_local`: an operator has
        named the host, which may be in a private network.
        """
        request = _head(method, origin, target, headers, body) + body
        connection = self._take_idle(origin)
        is_idle = connection is not None
        while True:
            if connection is None:
                with Within(until - self._loop.time()):
                    connection = await self._connect(origin, whose, is_local=is_local)
            try:
                if lease is not None and not lease.is_held:
                    raise TooLate("its lease has ended")
                answer = await connection.send(request, limit, until, may_pause=room is not None)
                if room is not None and (not answer.is_whole or answer.size > SMALL):
                    with Within(until - self._loop.time()):
                        answer = await _in_room(connection, answer, room, limit)
            except ConnectionResetError:
                connection.close()
                is_repeatable = method in _REPEATABLE and not only_once
                if not is_idle or connection.has_begun or not is_repeatable:
                    raise
                # The other side closed an idle connection just now: a new one for the same request.
                connection, is_idle = None, False
            except BaseException:
                connection.close()
                raise
            else:
                self._keep(connection, origin)
                return answer

    def _keep(self, connection: _Connection, origin: Origin) -> None:
        """Idle from now, unless it is closed."""
        if self._is_closed:
            connection.close()
        elif connection.is_open:
            connection.idle_since = self._loop.time()
            idle = self._idle.get(origin)
            if idle is None:
                idle = self._idle[origin] = deque()
            idle.append(connection)

    def close(self) -> None:
        """Close all idle connections; one that is in use closes with its answer."""
        self._is_closed = True
        self._pruning.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _take_idle(self, origin: Origin) -> _Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open and addresses.is_allowed(connection.address):
                return connection
            connection.close()
        return None

    def _prune(self) -> None:
        """Close what has been idle for long; the newest is used first, so the old ones gather."""
        oldest = self._loop.time() - IDLE_SECONDS
        for origin, connections in list(self._idle.items()):
            while connections and (
                not connections[0].is_open or connections[0].idle_since < oldest
            ):
                connections.popleft().close()
            if not connections:
                del self._idle[origin]
        self._pruning = self._loop.call_later(IDLE_SECONDS, self._prune)

    async def _connect(self, origin: Origin, whose: Whose, *, is_local: bool) -> _Connection:
        """To the first address that takes it; only to addresses that the hub may call."""
        failure: OSError | None = None
        failed_at, found = "", []
        try:
            async with asyncio.timeout(settings.CONNECT_TIMEOUT):
                found = await resolver.find(origin.host, whose)
                for address in found if is_local else addresses.allowed(origin.host, found):
                    try:
                        _, connection = await self._loop.create_connection(
                            _Connection,
                            address,
                            origin.port,
                            ssl=tls() if origin.is_tls else None,
                            server_hostname=origin.host if origin.is_tls else None,
                        )
                    except OSError as error:
                        # With several addresses, the call that got furthest says most.
                        if failure is None or isinstance(error, ssl.SSLError):
                            failure, failed_at = error, address
                    else:
                        connection.address = address
                        return connection
        except TimeoutError as error:
            slow = "it takes no connection" if found else "its name was not resolved in time"
            raise NotConnected(slow, found[0] if found else "") from error
        except OSError as error:
            failure = error
        raise NotConnected("", failed_at) from failure


async def _in_room(
    connection: _Connection, answer: HttpAnswer, room: BytesTaken, limit: int
) -> HttpAnswer:
    """A large answer, whole, as there is room for it."""
    if answer.is_whole:
        await room.grow(answer.size)
    while not answer.is_whole:
        step = max(2 * answer.size, _FIRST_STEP)
        await room.grow(answer.length or min(step, limit))
        answer = await connection.go_on(room.size)
        if answer.is_whole:
            room.settle(answer.size)
    return answer


@lru_cache(maxsize=4096)
def _of_origin(origin: Origin) -> str:
    """What each request to it says: no content coding is wanted, and this hub has sent it."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    if origin.port != (443 if origin.is_tls else 80):
        host = f"{host}:{origin.port}"
    return f"Host: {host}\r\nAccept-Encoding: identity\r\n{loops.HEADER}: {loops.mark()}"


def _head(
    method: str, origin: Origin, target: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", _of_origin(origin)]
    lines += map(": ".join, headers.items())
    if body or method in _BODY_METHODS:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""])
    breaks = len(lines) + 1 + _BREAKS_OF_ORIGIN
    if head.count("\n") != breaks or head.count("\r") != breaks:
        raise ValueError("a line break in a header")
    return head.encode("latin-1")


_BREAKS_OF_ORIGIN: Final = 2
