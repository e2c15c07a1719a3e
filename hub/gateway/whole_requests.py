"""The server's side of requests and answers that are whole, which nearly all of OCPI's are.

uvicorn's own takes an answer in two steps, looks at each header with two patterns, and wakes up for
a body that has come already. What is not as simple is left to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

# In the scope: the request's `Whole`, for what nobody has to wait for.
WHOLE: Final = "flexhub.whole"
# A longer one is read in parts, and may have to wait for room (hub/fairness/memory.py).
_MOST: Final = 16_384  # bytes
_WITHOUT_BODY: Final = frozenset({204, 304})
# A line may have a tab in it, and ends with CR LF.
_ALLOWED: Final = bytes({*range(0x20, 0x100), *b"\t\r\n"} - {0x7F})
_OF_HTTP: Final = frozenset({b"connection", b"transfer-encoding"})
Event = dict[str, Any]


class Transport(Protocol):
    """A transport that writes at once."""

    def write_whole(self, data: bytes) -> None:
        """Head and body."""


def whole_of(scope: Event) -> "WholeRequest | None":
    """Taken out of the scope, once; None under any other server."""
    found: WholeRequest | None = scope.pop(WHOLE, None)
    return found


class WholeRequest:
    """One request: its `body`, and the answer to it, at once or by ASGI's `send`."""

    __slots__ = ("_cycle", "_start", "_transport")

    def __init__(self, cycle: RequestResponseCycle, transport: Transport) -> None:
        self._cycle = cycle
        self._transport = transport
        self._start: Event | None = None

    def body(self, limit: int) -> bytes | None:
        """The body, once, if it has come whole and is small; None where it has to be awaited."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or len(cycle.body) > min(limit, _MOST):
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send an answer at once; False for one that has to go by `send`.

        The names are plain, and in small letters; the length is among them.
        """
        cycle = self._cycle
        if (
            self._start is not None
            or cycle.response_started
            or not cycle.keep_alive
            or cycle.disconnected
            or cycle.flow.write_paused
            or status in _WITHOUT_BODY
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        head = _lines((*cycle.default_headers, *headers))
        if head is None:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        self._transport.write_whole(b"".join((STATUS_LINE[status], head, b"\r\n\r\n", body)))
        cycle.on_response()
        return True

    async def send(self, message: Event) -> None:
        """The start is kept until the body comes: they leave together."""
        cycle = self._cycle
        # What nobody has asked for would tie request and scope into a circle.
        cast(Event, cycle.scope).pop(WHOLE, None)
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
        """Send an answer of known length; False for any other."""
        headers, body = start["headers"], message.get("body", b"")
        lengths = [value for name, value in headers if name == b"content-length"]
        if (
            message.get("more_body")
            or lengths != [b"%d" % len(body)]
            or not all(_is_plain(name) for name, _ in headers)
        ):
            return False
        return self.answer(start["status"], headers, body)


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The lines of the head; None where something is wrong, which uvicorn then says."""
    head = b"\r\n".join(map(b": ".join, headers))
    breaks = len(headers) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or head.translate(None, _ALLOWED):
        return None
    return head


@lru_cache(maxsize=256)
def _is_plain(name: bytes) -> bool:
    """A header's name that says nothing of how the answer is sent, in small letters."""
    return name.islower() and name not in _OF_HTTP and HEADER_RE.search(name) is None


def application(
    app: Callable[[Event, Any, Any], Awaitable[None]], cycle: RequestResponseCycle, to: Transport
) -> Callable[[Event, Any, Any], Awaitable[None]]:
    """The same application, with answers that leave whole."""
    whole = WholeRequest(cycle, to)

    def run(scope: Event, receive: Any, _send: Any) -> Awaitable[None]:
        scope[WHOLE] = whole
        return app(scope, receive, whole.send)

    return run
