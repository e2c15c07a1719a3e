"""The server's side of requests and answers that are whole, which nearly all of OCPI's are.

uvicorn's own takes an answer in two steps, looks at each header with two patterns, and wakes up for
a body that has come already. What is not as simple is left to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

# In the scope: the body as far as nobody has to wait for it.
BODY: Final = "flexhub.body"
# A longer one is read in parts, and may have to wait for room (hub/under_way.py).
_MOST: Final = 16_384
_WITHOUT_BODY: Final = frozenset({204, 304})
# A line may have a tab in it, and ends with CR LF.
_ALLOWED: Final = bytes({*range(0x20, 0x100), *b"\t\r\n"} - {0x7F})
_OF_HTTP: Final = frozenset({b"connection", b"transfer-encoding"})
Event = dict[str, Any]


class Transport(Protocol):
    """What writes at once."""

    def write_whole(self, data: bytes) -> None:
        """Head and body."""


def body_at_once(scope: Event, limit: int) -> bytes | None:
    """The body of a request that has come whole, and is small; None where it has to be awaited."""
    at_once: Callable[[int], bytes | None] | None = scope.pop(BODY, None)
    return None if at_once is None else at_once(limit)


class Whole:
    """One request: its `body`, and ASGI's `send` for the answer to it."""

    __slots__ = ("_cycle", "_start", "_transport")

    def __init__(self, cycle: RequestResponseCycle, transport: Transport) -> None:
        self._cycle = cycle
        self._transport = transport
        self._start: Event | None = None

    def body(self, limit: int) -> bytes | None:
        """As `body_at_once`; it is given once."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or len(cycle.body) > min(limit, _MOST):
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    async def send(self, message: Event) -> None:
        """The start is kept until the body comes: they leave together."""
        cycle = self._cycle
        # What nobody has asked for would tie request and scope into a circle.
        cast(Event, cycle.scope).pop(BODY, None)
        start, self._start = self._start, None
        if start is None:
            if message["type"] == "http.response.start" and not cycle.response_started:
                self._start = message
                return
        elif self._is_sent(start, message):
            return
        else:
            await cycle.send(start)  # type: ignore[arg-type]
        await cycle.send(message)  # type: ignore[arg-type]

    def _is_sent(self, start: Event, message: Event) -> bool:
        """Whether it was an answer of known length, and is sent."""
        cycle, body, status = self._cycle, message.get("body", b""), start["status"]
        if (
            message.get("more_body")
            or not cycle.keep_alive
            or cycle.disconnected
            or cycle.flow.write_paused
            or status in _WITHOUT_BODY
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        head = _head(status, [*cycle.default_headers, *start["headers"]], len(body))
        if head is None:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        self._transport.write_whole(head + body)
        cycle.on_response()
        return True


def _head(status: int, headers: Sequence[tuple[bytes, bytes]], length: int) -> bytes | None:
    """None where something is not as simple, or wrong: then uvicorn says so."""
    lengths = [value for name, value in headers if name == b"content-length"]
    if lengths != [b"%d" % length] or not all(map(_is_plain, map(_name, headers))):
        return None
    head = b"\r\n".join(map(b": ".join, headers))
    breaks = len(headers) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or head.translate(None, _ALLOWED):
        return None
    return b"".join((STATUS_LINE[status], head, b"\r\n\r\n"))


_name: Final = itemgetter(0)


@lru_cache(maxsize=256)
def _is_plain(name: bytes) -> bool:
    """A header's name that says nothing of how the answer is sent, in small letters."""
    return name.islower() and name not in _OF_HTTP and HEADER_RE.search(name) is None


def application(
    app: Callable[[Event, Any, Any], Awaitable[None]], cycle: RequestResponseCycle, to: Transport
) -> Callable[[Event, Any, Any], Awaitable[None]]:
    """The same application, whose answers leave whole."""
    whole = Whole(cycle, to)

    def run(scope: Event, receive: Any, _send: Any) -> Awaitable[None]:
        scope[BODY] = whole.body
        return app(scope, receive, whole.send)

    return run
