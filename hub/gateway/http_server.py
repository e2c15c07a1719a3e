"""The HTTP server's side of a request: its limits, and an answer that leaves in one write.

uvicorn writes an answer's head and body one after the other, and uvloop sends each write at once:
two system calls and two packets for an answer that fits one. And it has no limits for a head, which
is read before the sender is known: a stranger's could grow or dribble without end. The web
processes run with `--http hub.gateway.http_server:Protocol`.
"""

import asyncio
import logging
import resource
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from hub.gateway import whole_requests
from hub.ocpi.envelope import failure
from hub.ocpi.errors import ClientError

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 32_768
MAX_HEADERS: Final = 100
# Nobody of OCPI sends a second request before the first one is answered.
_MOST_PIPELINED: Final = 16
_TELL_EVERY: Final = 1.0  # seconds
_NEVER: Final = float("inf")
_LARGE: Final = 65_536  # bytes
# So much of what waits has to be read within WRITE_TIMEOUT.
_LEAST_READ: Final = 65_536  # bytes


def _most_connections() -> int:
    """Half of the files that this process may open: the hub's own calls need some as well."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else max(64, soft // 2)


class _Joining:
    """A transport that keeps an answer's head back for its body, until the loop's next turn."""

    def __init__(
        self, transport: asyncio.Transport, lingers: Callable[[], bool], watch: Callable[[], None]
    ) -> None:
        self._transport = transport
        # Asked for each message.
        self.is_closing = transport.is_closing
        self._lingers = lingers
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._is_ended = False
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, together with what was kept back."""
        if self._head:
            head, self._head = self._head, b""
            if len(data) > _LARGE:
                self._write(head)  # One packet more is less than a copy of all of it.
            else:
                data = head + data
        elif data.startswith(b"HTTP/1."):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._write(data)

    def write_whole(self, data: bytes) -> None:
        """An answer that needs no other part."""
        if self._head:
            self._flush()
        self._write(data)

    def unread(self) -> int:
        """How many bytes wait for the other side to read."""
        return self._transport.get_write_buffer_size()

    def read(self) -> int:
        """How many bytes the other side has been sent since it connected."""
        return self._written - self.unread()

    def close(self) -> None:
        """Close when all is sent; later, when the other side may still be sending."""
        self._flush()
        if not self._lingers():
            self._transport.close()
            if self.unread():
                self._watch()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
            self._is_ended = True

    def _flush(self) -> None:
        if self._head:
            self._write(self._head)
            self._head = b""

    def _write(self, data: bytes) -> None:
        if self._is_ended or self.is_closing():
            # Nobody reads it any more. uvicorn learns so one request behind, where several came at
            # once; uvloop's transport would raise, and each be a traceback in the log.
            return
        self._written += len(data)
        self._transport.write(data)


class Refused(ClientError):
    """A request that is given up before it is whole."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, over such a transport, with limits for whoever has not said yet who it is.

    A head is whole within HEAD_SECONDS and MAX_HEAD_BYTES, counted from the connection or from its
    first byte; what follows an answer that did not wait for the body, within REST_SECONDS. Between
    requests uvicorn's keep-alive holds. The body of a request is the gateway's to limit. Who does
    not read an answer that is kept for it is let go, without the rest (settings.WRITE_TIMEOUT).
    """

    HEAD_SECONDS: ClassVar[float] = 15
    REST_SECONDS: ClassVar[float] = 30
    # So long a refusal waits to be read before the connection is reset.
    LINGER_SECONDS: ClassVar[float] = 2
    MOST_CONNECTIONS: ClassVar[int] = _most_connections()
    _told_at: ClassVar[float] = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Every write goes through the joining transport; a request has to come soon."""
        self._joining = _Joining(transport, self._lingers, self._watch)
        super().connection_made(cast(asyncio.Transport, self._joining))
        self._watching: asyncio.TimerHandle | None = None
        self._has_to_be_read = 0
        self.ws_protocol_class = None  # No WebSocket, whatever is installed.
        # All connections of this server that wait for a whole head, who waits longest first.
        self._waiting: dict[Protocol, None] = vars(self.server_state).setdefault("waiting", {})
        # Between two requests and in a head, or behind a head: in a body and its trailers.
        self._in_body = False
        self._begun = False
        # Bytes: those without a whole head yet, the most that this head can have, the last packet.
        self._unread = self._most = self._packet = 0
        # No more is read; a refusal is the last answer; the other side was given time to see it.
        self._is_over = self._is_refused = self._has_lingered = False
        self._refusal: Refused | None = None
        self._is_kept = False
        self._deadline = _NEVER
        self._armed = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._limit_to(self.HEAD_SECONDS)
        self._waiting[self] = None
        if len(self.connections) > self.MOST_CONNECTIONS:
            longest = next(iter(self._waiting))
            longest._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing waits for it any more."""
        self._deadline = _NEVER
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
        self._waiting.pop(self, None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The other side reads slower than it is answered: it has to go on reading."""
        super().pause_writing()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """uvicorn's, with an end for what is too large, too slow, or no HTTP."""
        if self._is_over:
            return
        self._packet = len(data)
        self._unread += self._packet
        self._most += self._packet
        try:
            self.parser.feed_data(data)
            # A header that does not end, empty lines for ever, a chunk's endless extensions.
            if self._unread > MAX_HEAD_BYTES:
                self._refuse(self._too_large())
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: this request is answered, and what follows is unknown.
            self._is_over = True
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(
                self._refusal
                or Refused("This is not HTTP/1.1.", http_status=HTTPStatus.BAD_REQUEST)
            )
        if self._is_kept and not self._is_over and self._is_idle():
            self._is_kept = False  # The head has begun and is not whole yet.
            self._limit_to(self.HEAD_SECONDS)

    # --- What the parser finds ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A new head."""
        self._begun, self._most = True, self._packet
        HttpToolsProtocol.on_message_begin(self)

    def on_headers_complete(self) -> None:
        """The request is whole except its body, and begins to be answered."""
        if len(self.headers) > MAX_HEADERS or (self._most > MAX_HEAD_BYTES and self._is_large()):
            self._give_up(self._too_large())
        self._unread, self._is_kept, self._deadline = 0, False, _NEVER
        self._waiting.pop(self, None)
        HttpToolsProtocol.on_headers_complete(self)
        self._begun, self._in_body = False, True
        # Trailers are not headers (RFC 9110, 6.5.1): the parser's go where nobody looks.
        self.headers = []
        if len(self.pipeline) > _MOST_PIPELINED:
            self._give_up(self._too_large())

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        transport = cast(_Joining, self.transport)
        super()._start_asgi_task(cycle, whole_requests.application(app, cycle, transport))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        self._unread = 0
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """The next head may come."""
        self._in_body, self._unread = False, 0
        HttpToolsProtocol.on_message_complete(self)
        if self._is_idle():  # It was answered before it was whole.
            self._keep()

    def on_response_complete(self) -> None:
        """Answered; a body that nobody waited for has to end soon, too."""
        if self._is_over:
            return
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # uvicorn's own would make and cancel a timer for each request.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        if self._in_body:
            self._limit_to(self.REST_SECONDS)
        elif self._begun:  # A part of the next head came meanwhile.
            self._waiting[self] = None
            self._limit_to(self.HEAD_SECONDS)
        else:
            self._keep()

    # --- Limits ---------------------------------------------------------------------------------

    def _is_answered(self) -> bool:
        """Whether no request of this connection waits for its answer."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _is_idle(self) -> bool:
        return not self._in_body and self._is_answered()

    def _keep(self) -> None:
        """Alive, until the next request."""
        self._is_kept = True
        self._waiting[self] = None
        self._limit_to(self.timeout_keep_alive)

    def _limit_to(self, seconds: float) -> None:
        """From now. The timer is left to run when it ends earlier: it looks again then."""
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._deadline < self._armed:
            if self._timer is not None:
                self._timer.cancel()
            self._arm()

    def _arm(self) -> None:
        self._armed = self._deadline
        self._timer = self.loop.call_at(self._armed, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline == _NEVER:
            return
        if self.loop.time() < self._deadline:
            self._arm()
        else:
            self._is_late()

    def _is_large(self) -> bool:
        size = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.url) + size > MAX_HEAD_BYTES

    def _too_large(self) -> Refused:
        if self._in_body:
            what, status = "What stands between the parts of the body", HTTPStatus.BAD_REQUEST
        else:
            what, status = "The head", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return Refused(
            f"{what} of this request has more than {MAX_HEAD_BYTES} bytes "
            f"or {MAX_HEADERS} header fields.",
            http_status=status,
        )

    def _give_up(self, refusal: Refused) -> None:
        """Out of a callback of the parser's, which must not go on."""
        self._refusal = refusal
        raise refusal

    def _is_late(self) -> None:
        if (self._begun or self._unread) and not self._in_body and not self._is_over:
            self._refuse(
                Refused(
                    f"The head of the request did not arrive within {self.HEAD_SECONDS:g} s.",
                    http_status=HTTPStatus.REQUEST_TIMEOUT,
                )
            )
        else:
            self._end()

    def _refuse(self, refusal: Refused) -> None:
        """Answer with it, unless that would stand where another request's answer belongs."""
        self._is_over, self._deadline = True, _NEVER
        self._waiting.pop(self, None)
        if self.transport.is_closing():
            return
        self._tell(refusal)
        cycle = self.cycle
        if self.pipeline or (self._in_body and cycle.response_started):
            self.transport.close()
        elif self._in_body:
            cycle.disconnected = True
            cycle.message_event.set()
            self._say(refusal)
        elif self._is_answered():
            self._say(refusal)
        else:
            # What came before is in order: it is answered, and then the connection ends.
            cycle.keep_alive = False

    def _say(self, refusal: Refused) -> None:
        self.transport.write(_answer(refusal))
        self._is_refused = True
        self.transport.close()

    def _lingers(self) -> bool:
        """Closed while bytes come in, a connection is reset, and the answer may be lost with it."""
        if self._has_lingered or not (self._in_body or self._is_refused):
            return False
        self._has_lingered = self._is_over = True
        self._limit_to(self.LINGER_SECONDS)
        return True

    def _end(self) -> None:
        self._has_lingered = self._is_over = True
        self._deadline = _NEVER
        self._waiting.pop(self, None)
        self.transport.close()

    def _watch(self) -> None:
        """Look after a while whether something was read."""
        if self._watching is None:
            due = min(_LEAST_READ, self._joining.unread())
            self._has_to_be_read = self._joining.read() + due
            self._watching = self.loop.call_later(settings.WRITE_TIMEOUT, self._look_at_reader)

    def _look_at_reader(self) -> None:
        self._watching = None
        if self._joining.read() < self._has_to_be_read:
            self._tell_of("does not read its answer: the connection is ended")
            self.transport.abort()
        elif self._joining.unread():
            self._watch()

    def _tell(self, refusal: Refused) -> None:
        self._tell_of(f"refused: HTTP {refusal.http_status}, {refusal.message}")

    def _tell_of(self, what: str) -> None:
        """Strangers must not fill the log: one line a second at most."""
        now = self.loop.time()
        if now - Protocol._told_at > _TELL_EVERY:
            Protocol._told_at = now
            logger.info("%s %s", self.client[0] if self.client else "?", what)


def _answer(refusal: Refused) -> bytes:
    body = failure(refusal)
    return b"".join(
        (
            STATUS_LINE[refusal.http_status],
            b"content-type: application/json\r\nconnection: close\r\ncontent-length: ",
            str(len(body)).encode(),
            b"\r\n\r\n",
            body,
        )
    )
