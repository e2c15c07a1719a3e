"""The only code that calls another platform: limits, timeouts, address checks.

One client for all: awaited by the gateway and the drains (`AsyncCaller`), waited for by jobs and
views (`call`), for which it runs in a thread of its own.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from yarl import URL

from hub.db.leases import Lease
from hub.fairness.lanes import behalf
from hub.fairness.memory import BytesTaken
from hub.fairness.unanswered import Bulkhead
from hub.ocpi import content, envelope
from hub.ocpi.errors import (
    ConnectionProblem,
    ForwardTimeout,
    HubError,
    NotTaken,
    TooManyRequests,
)
from hub.outbound import http_client, reasons
from hub.outbound.hang_up import HangUp
from hub.outbound.time_limit import Within
from hub.startup.quick_settings import setting

logger = logging.getLogger(__name__)
JSON_TYPE = "application/json"
# A missing trailing slash is what redirects are about; never to another host, never far.
REDIRECTS = frozenset({307, 308})
# Cause of the HubError for an answer of more bytes than are read.
TOO_LONG = (http_client.TooLong, content.TooLongDecoded)
_MOST_REDIRECTS: Final = 2


class Response(msgspec.Struct, eq=False):
    """Another platform's HTTP answer. Header names are lower case; the body is not coded."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    _said: envelope.Answer | None = None
    _verdict: envelope.Answer | None = None

    @property
    def said(self) -> envelope.Answer:
        """Its OCPI envelope, read once however many ask."""
        if self._said is None:
            self._said = envelope.read_answer(self.body)
        return self._said

    @property
    def verdict(self) -> envelope.Answer:
        """Its code and message alone: a long answer holds nobody up while it is read through."""
        if self._verdict is None:
            is_short = len(self.body) <= envelope.LONG
            self._verdict = self.said if is_short else envelope.read_ends(self.body)
        return self._verdict

    @property
    def is_accepted(self) -> bool:
        """Whether it has taken the message: 1xxx, or HTTP 2xx with nothing said at all."""
        return 200 <= self.status < 300 and (self.said.is_success or not self.body.strip())


class NotArrived(NotTaken):
    """The request certainly did not reach the receiver: it may be sent again."""


class LeaseEnded(ConnectionProblem):
    """Another process may be sending the message by now: not a byte of it was sent from here."""


class AsyncCaller:
    """The gateway's client: one per web process, with a bulkhead for each receiver."""

    def __init__(self, bulkhead: Bulkhead | None = None) -> None:
        self._http = http_client.Client()
        self._bulkhead = bulkhead or Bulkhead()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    async def call(
        self,
        receiver: int,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        seconds: float | None = None,
        only_once: bool = False,
        known: str = "",
        lease: Lease | None = None,
        room: BytesTaken | None = None,
    ) -> Response:
        """Send one message to the platform `receiver`.

        ForwardTimeout (4002) when it does not answer within `seconds` (FORWARD_TIMEOUT);
        ConnectionProblem (4003) when it cannot be reached, or has too many unanswered messages
        already. `only_once`: not again over a new connection when a kept-alive one breaks. `lease`:
        not a byte leaves once it has ended (LeaseEnded).
        `known` is a URL of the receiver's at which it has spoken OCPI: of its host and port others
        are told what is wrong there. In `room` a large answer is counted; without any for it a GET
        ends in TooManyRequests, and what has changed something in HubError (4000): its sender must
        not take it for a message that was not sent.
        """
        self._bulkhead.take(receiver)
        try:
            return await _sent(
                self._http,
                _Request(
                    receiver,
                    method,
                    url,
                    headers,
                    body,
                    setting("FORWARD_TIMEOUT") if seconds is None else seconds,
                    known,
                    only_once=only_once,
                    lease=lease,
                    room=room,
                ),
            )
        finally:
            self._bulkhead.give_back(receiver)


def call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    seconds: float | None = None,
    follow: bool = True,
    known: str = "",
    hang_up: HangUp | None = None,
    limit: int | None = None,
    is_local: bool = False,
) -> Response:
    """Send one message and wait, in a job or a view; without `follow` a redirect is the answer.

    NotArrived (4003) when no connection was made, ConnectionProblem (4003) when it broke,
    ForwardTimeout (4002) after `seconds` (FORWARD_TIMEOUT), HungUp (4000) when another thread has
    ended it by `hang_up`, HubError (4000) for more than `limit` bytes. `known`: as for
    AsyncCaller.call. `is_local`: no party, but an operator has named the host, and only for this:
    it may be in a private network.
    """
    longest = settings.FORWARD_TIMEOUT if seconds is None else seconds
    whose = behalf.get().platform
    request = _Request(
        whose,
        method,
        url,
        headers,
        body,
        longest,
        known,
        follow=follow,
        at_most=limit,
        is_local=is_local,
    )
    return _background().call(request, hang_up or HangUp())


class _Request(msgspec.Struct, eq=False):
    """What to send on whose behalf, and how long to wait for an answer."""

    whose: int
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    known: str
    only_once: bool = False
    lease: Lease | None = None
    follow: bool = True
    room: BytesTaken | None = None
    at_most: int | None = None
    is_local: bool = False

    @property
    def limit(self) -> int:
        """The most bytes of an answer that are read: what has no list in it is short."""
        if self.at_most is not None:
            return self.at_most
        most: int = setting("MAX_ANSWER_BYTES" if self.method == "GET" else "MAX_PUSH_ANSWER_BYTES")
        return most

    @property
    def host(self) -> str:
        """For people."""
        return urlsplit(self.url).netloc


class _Background:
    """The client of those who wait in threads: its loop has a thread of its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._http: http_client.Client | None = None
        threading.Thread(target=self._loop.run_forever, name="outbound", daemon=True).start()

    def call(self, request: _Request, hang_up: HangUp) -> Response:
        async def send() -> Response:
            if self._http is None:
                self._http = http_client.Client()
            return await _sent(self._http, request)

        return hang_up.wait(asyncio.run_coroutine_threadsafe(send(), self._loop))


_backgrounds: list[_Background] = []
_lock = threading.Lock()


def _background() -> _Background:
    """Begun at the first call of a process; a forked one begins its own."""
    with _lock:
        if not _backgrounds or _backgrounds[-1].process != os.getpid():
            _backgrounds[:] = [_Background()]
        return _backgrounds[-1]


# --- One request ----------------------------------------------------------------------------------


async def _sent(http: http_client.Client, request: _Request) -> Response:
    """One request and its answer; what goes wrong becomes a hub error in words."""
    until = asyncio.get_running_loop().time() + request.seconds
    try:
        answer = await _asked(http, request, request.url, until)
        if request.follow and 300 <= answer.status < 400:
            answer = await _followed(http, request, answer, until)
        body = answer.parts[0] if len(answer.parts) == 1 else b"".join(answer.parts)
        answer.parts.clear()  # In memory once, not twice.
        if content.is_coded(answer.headers, body):
            with Within(until - asyncio.get_running_loop().time()):
                return await _decoded(request, answer, body)
        return Response(answer.status, answer.headers, content.without_mark(body))
    except TimeoutError as error:
        raise ForwardTimeout(
            f"{request.host} did not answer in time.", told=_told(request, error)
        ) from error
    except TOO_LONG as error:
        raise HubError(f"The receiver's answer is larger than {request.limit} bytes.") from error
    except TooManyRequests as error:
        if request.method == "GET":
            raise
        raise HubError("The receiver's answer cannot be read now: there are too many.") from error
    except content.CannotDecode as error:
        raise HubError(f"The receiver's answer is {error}.") from error
    except http_client.NoSuchStatus as error:
        raise HubError(f"The receiver answered with HTTP status {error}; there is none.") from error
    except http_client.TooLate as error:
        raise LeaseEnded("The hub was too slow to send this in its turn.") from error
    except OSError as error:
        kind = NotArrived if isinstance(error, http_client.NotConnected) else ConnectionProblem
        raise kind(
            f"{request.host} cannot be reached: {reasons.reason(error)}.",
            told=_told(request, error),
        ) from error
    except ValueError as error:
        # For example a redirect to a path that is not ASCII.
        raise HubError(f"The message to {request.host} cannot be written in HTTP.") from error


def _told(request: _Request, error: OSError) -> str | None:
    """What others may read of it; None: all of it, since OCPI was spoken there before."""
    if request.known and reasons.is_same_origin(request.url, request.known):
        return None
    return f"{request.host} cannot be reached: {reasons.told(error)}."


def _asked(
    http: http_client.Client, request: _Request, url: str, until: float
) -> Coroutine[Any, Any, http_client.HttpAnswer]:
    origin, target = _place(url)
    return http.request(
        request.method,
        origin,
        target,
        request.headers,
        request.body,
        request.limit,
        until,
        # On nobody's behalf each name is on its own (hub/outbound/resolver.py).
        whose=request.whose or origin.host,
        only_once=request.only_once,
        lease=request.lease,
        room=request.room,
        is_local=request.is_local,
    )


async def _followed(
    http: http_client.Client, request: _Request, answer: http_client.HttpAnswer, until: float
) -> http_client.HttpAnswer:
    url = request.url
    for _ in range(_MOST_REDIRECTS):
        url = str(_moved(_url(url), answer))
        answer = await _asked(http, request, url, until)
        if not 300 <= answer.status < 400:
            return answer
    raise HubError("The receiver redirects in a circle.")


async def _decoded(request: _Request, answer: http_client.HttpAnswer, body: bytes) -> Response:
    room, limit = request.room, request.limit
    if room is not None:
        await room.grow(max(len(body), min(limit, len(body) * content.MOST_EXPANDED)))
    # A thread's work: a short body may become a long one.
    body = await asyncio.to_thread(content.decoded, answer.headers, body, limit)
    about_it = {"content-encoding", "content-length"}
    headers = {name: value for name, value in answer.headers.items() if name not in about_it}
    if room is not None:
        room.settle(len(body))
    return Response(answer.status, headers, content.without_mark(body))


def _moved(target: URL, answer: http_client.HttpAnswer) -> URL:
    """Where a redirect on the same origin leads; HubError for all others."""
    location = answer.headers.get("location", "")
    if answer.status not in REDIRECTS or not location:
        why = "a redirect that is not followed" if location else "which is not an answer"
        raise HubError(f"The receiver answered with HTTP {answer.status}, {why}.")
    try:
        moved = target.join(URL(location, encoded=True))
        if moved.origin() == target.origin():
            return moved
    except ValueError as error:
        raise HubError("The receiver redirects to something that is not a URL.") from error
    raise HubError("The receiver redirects to another host.")


def _place(url: str) -> tuple[http_client.Origin, str]:
    """Where a URL leads, and what is asked for there; NotTaken (4003) where it is none."""
    start = url.find("/", 8)
    rest = url[start:] if start > 0 else ""
    if rest and url.isascii() and url.isprintable() and "#" not in url and url[-1] != "?":
        whose = url[:start]
        if "?" not in whose:
            # Whatever follows the host is sent as it stands: an endpoint's URL and ids.
            return _origin(whose), rest
    parsed = _url(url)
    return _origin_of(parsed), parsed.raw_path_qs


@lru_cache(maxsize=4096)
def _origin(url: str) -> http_client.Origin:
    return _origin_of(_url(url))


def _origin_of(url: URL) -> http_client.Origin:
    return http_client.Origin(url.raw_host or "", url.port or 80, url.scheme == "https")


def _url(url: str) -> URL:
    """A URL that can be called, with a port; else NotTaken (4003)."""
    try:
        parsed = URL(url, encoded=True)
        if parsed.host and parsed.port:
            return parsed
    except ValueError as error:
        raise NotTaken(f"{url[:300]!r} is not a URL: {error}.") from error
    raise NotTaken(f"{url[:300]!r} is not the URL of a web server.")
