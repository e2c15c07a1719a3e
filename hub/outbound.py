"""The only code that calls another platform: limits, timeouts, address checks.

The gateway's calls are asynchronous (thousands open at once); jobs and handshakes use requests.
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.poolmanager import PoolManager
from yarl import URL

from hub import addresses, http_client
from hub.ocpi import envelope
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError
from hub.resolver import resolver

logger = logging.getLogger(__name__)
JSON_TYPE = "application/json"
# A missing trailing slash is what redirects are about; never to another host, never far.
REDIRECTS = frozenset({307, 308})


@dataclass(frozen=True)
class Response:
    """Another platform's HTTP answer. Header names are found without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def said(self) -> envelope.Answer:
        """Its OCPI envelope, read once however many ask."""
        return envelope.read_answer(self.body)


class NotArrived(ConnectionProblem):
    """The request certainly did not reach the receiver: it may be sent again."""


class AsyncCaller:
    """The gateway's client: one per web process, with a bulkhead for each receiver."""

    def __init__(self) -> None:
        self._http = http_client.Client(settings.CONNECT_TIMEOUT)
        self._open: dict[int, int] = {}

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
    ) -> Response:
        """Send one message to the platform `receiver`.

        ForwardTimeout (4002) when it does not answer within `seconds` (FORWARD_TIMEOUT);
        ConnectionProblem (4003) when it cannot be reached, or has too many unanswered messages
        already. `only_once`: not again over a new connection when a kept-alive one breaks.
        """
        unanswered = self._open.get(receiver, 0)
        if unanswered >= settings.FORWARDS_PER_RECEIVER:
            raise ConnectionProblem(
                f"The receiver has {unanswered} unanswered messages already; it takes no more now."
            )
        self._open[receiver] = unanswered + 1
        try:
            async with asyncio.timeout(seconds or settings.FORWARD_TIMEOUT):
                return await self._send(receiver, method, url, headers, body, only_once)
        except TimeoutError as error:
            raise _timed_out(url) from error
        except http_client.TooLong as error:
            raise HubError(
                f"The receiver's answer is larger than {settings.MAX_ANSWER_BYTES} bytes."
            ) from error
        except OSError as error:
            raise _unreachable(url, error) from error
        except ValueError as error:
            # For example a redirect to a path that is not ASCII.
            raise HubError(f"What {_host(url)} is to be sent cannot be said in HTTP.") from error
        finally:
            left = self._open[receiver] - 1
            if left:
                self._open[receiver] = left
            else:
                del self._open[receiver]

    async def _send(
        self,
        receiver: int,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        only_once: bool,
    ) -> Response:
        target = _url(url)
        limit = settings.MAX_ANSWER_BYTES
        for _ in range(3):
            origin = http_client.Origin(
                target.raw_host or "", target.port or 80, target.scheme == "https"
            )
            answer = await self._http.request(
                method,
                origin,
                target.raw_path_qs,
                headers,
                body,
                limit,
                whose=receiver,
                only_once=only_once,
            )
            if answer.status in REDIRECTS and (
                moved := _moved(target, answer.headers.get("location", ""))
            ):
                target = moved
                continue
            if 300 <= answer.status < 400:
                raise HubError("The receiver redirects to another host.")
            return Response(answer.status, answer.headers, b"".join(answer.parts))
        raise HubError("The receiver redirects in a circle.")


# --- The synchronous client ---------------------------------------------------------------------


class _CheckedConnection:
    """Connects only to allowed addresses; mixed into urllib3's two connections."""

    def _new_conn(self: Any) -> socket.socket:
        name = self._dns_host
        try:
            found = resolver.find_within(name, self.timeout)
            self._dns_host = addresses.allowed(name, found)[0]
        except OSError as error:
            raise NewConnectionError(self, f"NameResolution of {name}") from error
        try:
            connection: socket.socket = super()._new_conn()  # type: ignore[misc]
            return connection
        finally:
            self._dns_host = name  # TLS and the Host header go by the name.

    def getresponse(self: Any) -> Any:
        _local.sockets.append(self.sock)
        return super().getresponse()  # type: ignore[misc]


class _Http(_CheckedConnection, HTTPConnection):
    """http with the address check."""


class _Https(_CheckedConnection, HTTPSConnection):
    """https with the address check; the certificate is still checked against the name."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    """requests' adapter over the checked pools."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


_local = threading.local()


def _http() -> requests.Session:
    """One keep-alive client per thread; requests' own is not meant to be shared."""
    if not hasattr(_local, "http"):
        http = requests.Session()
        http.trust_env = False
        http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            http.mount(scheme, _Adapter(pool_connections=100, pool_maxsize=4))
        http.headers.clear()
        _local.http = http
    http = _local.http
    assert isinstance(http, requests.Session)  # noqa: S101 - narrows for mypy
    return http


def call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    seconds: float | None = None,
    follow: bool = True,
) -> Response:
    """Send one message and wait, in a job or a view; without `follow` a redirect is the answer.

    NotArrived (4003) when no connection was made, ConnectionProblem (4003) when it broke,
    ForwardTimeout (4002) after `seconds` (FORWARD_TIMEOUT).
    """
    limit = settings.FORWARD_TIMEOUT if seconds is None else seconds
    deadline = time.monotonic() + limit
    target = str(_url(url))
    try:
        for _ in range(3):
            with (
                _hung_up_at(deadline),
                _http().request(
                    method,
                    target,
                    headers=dict(headers),
                    data=body or None,
                    timeout=(min(settings.CONNECT_TIMEOUT, limit), limit),
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                if (
                    follow
                    and answer.status_code in REDIRECTS
                    and (
                        moved := _moved(
                            URL(target, encoded=True), answer.headers.get("Location", "")
                        )
                    )
                ):
                    target = str(moved)
                    continue
                if follow and 300 <= answer.status_code < 400:
                    raise HubError("The receiver redirects to another host.")
                response = Response(
                    answer.status_code,
                    {k.lower(): v for k, v in answer.headers.items()},
                    _read(answer),
                )
                if time.monotonic() > deadline:
                    raise ForwardTimeout(f"{_host(url)} did not finish its answer in time.")
                return response
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ConnectionError) as error:
        if time.monotonic() > deadline:
            raise _timed_out(url) from error
        raise _connection_error(url, error) from error
    except requests.exceptions.Timeout as error:
        raise _timed_out(url) from error
    except (requests.exceptions.RequestException, HTTPError) as error:
        if time.monotonic() > deadline:
            raise _timed_out(url) from error
        raise _unreachable(url, error) from error
    raise HubError("The receiver redirects in a circle.")


def _moved(target: URL, location: str) -> URL | None:
    """Where a redirect on the same origin leads, else None."""
    try:
        moved = target.join(URL(location, encoded=True))
        return moved if moved.origin() == target.origin() else None
    except ValueError:
        return None  # No URL at all, or none of a web server.


@contextmanager
def _hung_up_at(deadline: float) -> Iterator[None]:
    """Hang up when the time is over: a socket's own limit is for each piece of an answer alone."""
    sockets: list[socket.socket] = []
    _local.sockets = sockets

    def hang_up() -> None:
        for one in sockets:
            with suppress(OSError):  # The other side was quicker.
                one.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0), hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _url(url: str) -> URL:
    """A URL that can be called, with a port; else ConnectionProblem (4003)."""
    try:
        parsed = URL(url, encoded=True)
        if parsed.host and parsed.port:
            return parsed
    except ValueError as error:
        raise ConnectionProblem(f"{url[:300]!r} is no URL: {error}.") from error
    raise ConnectionProblem(f"{url[:300]!r} is no URL of a web server.")


def _read(answer: requests.Response) -> bytes:
    parts = []
    size = 0
    for part in answer.iter_content(65536):
        size += len(part)
        if size > settings.MAX_ANSWER_BYTES:
            raise HubError(f"The answer is larger than {settings.MAX_ANSWER_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


def _connection_error(url: str, error: requests.exceptions.RequestException) -> HubError:
    if isinstance(error, requests.exceptions.ReadTimeout) or "Read timed out" in str(error):
        return _timed_out(url)
    text = str(error)
    if any(sign in text for sign in ("NewConnectionError", "NameResolution", "ConnectTimeout")):
        return NotArrived(f"{_host(url)} cannot be reached: {_reason(error)}.")
    return _unreachable(url, error)


def _timed_out(url: str) -> ForwardTimeout:
    return ForwardTimeout(f"{_host(url)} did not answer in time.")


def _unreachable(url: str, error: Exception) -> ConnectionProblem:
    kind = NotArrived if isinstance(error, http_client.NotConnected) else ConnectionProblem
    return kind(f"{_host(url)} cannot be reached: {_reason(error)}.")


def _reason(error: BaseException) -> str:
    """The innermost operating system message: a party's engineer needs no Python names."""
    text = ""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, addresses.ForbiddenAddress):
            return str(seen)
        if isinstance(seen, OSError) and seen.errno and seen.errno > 0:
            text = os.strerror(seen.errno)
        elif isinstance(seen, socket.gaierror):
            text = seen.strerror or "the name does not resolve"
        reason = getattr(seen, "reason", None)
        inner = reason if isinstance(reason, BaseException) else None
        first = seen.args[0] if seen.args and isinstance(seen.args[0], BaseException) else None
        seen = inner or first or seen.__cause__ or seen.__context__
    return text.lower() or "the connection broke"


def _host(url: str) -> str:
    return urlsplit(url).netloc
