"""The calling side of a platform: one HTTP client for all its calls (transport_and_format)."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

import aiohttp
import msgspec

from hub.ocpi import headers as names
from hub.ocpi.party import PartyId
from party.connection import Connection
from party.messages import Answered, to_json

Routing = tuple[PartyId | None, PartyId]


class Content(TypedDict, total=False):
    """What a message has beside its method, URL and parties, as `Client.send` takes it.

    `within` is how many seconds its answer may take.
    """

    body: Any
    query: Mapping[str, str] | None
    headers: Mapping[str, str | None] | None
    within: float


class TooLong(Exception):
    """The answer has more bytes than were to be read."""


class HttpAnswer(NamedTuple):
    """An answer as it came: header names in lower case, several of one name joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Sends messages over kept-alive connections; follows no redirect."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Needs a running loop."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self) -> None:
        """Close the kept connections."""
        if self._http is not None:
            await self._http.close()

    async def send(
        self,
        method: str,
        url: str,
        *,
        connection: Connection,
        routing: Routing | None = None,
        body: Any = msgspec.UNSET,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | None] | None = None,
        within: float = 30.0,
    ) -> Answered:
        """Send one message to an absolute URL with the token of `connection`.

        `routing` is (to, from); None for the Configuration Modules, which are not routed. `body`
        is an object, or bytes that go out as they are. `headers` replace or, where None, remove
        single headers. A network failure raises aiohttp.ClientError; TimeoutError when no answer
        has come `within` seconds.
        """
        sent = {
            "Authorization": names.authorization(
                connection.sends, base64_encoded=connection.base64_encoded
            ),
            names.REQUEST_ID: names.new_id(),
            names.CORRELATION_ID: names.new_id(),
        }
        if routing is not None:
            sent |= routing_headers(*routing)
        content: bytes | None = None
        if body is not msgspec.UNSET:
            content = body if isinstance(body, bytes) else to_json(body)
            sent["Content-Type"] = "application/json"
        for name, value in (headers or {}).items():
            if value is None:
                sent.pop(name, None)
            else:
                sent[name] = value
        async with self._started.request(
            method,
            url,
            params=query,
            data=content,
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=within),
            allow_redirects=False,
        ) as answer:
            return Answered(answer.status, answer.headers, _envelope(await answer.read()))

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        within: float = 30.0,
        at_most: int = 100_000_000,
    ) -> HttpAnswer:
        """Send exactly this; TooLong for an answer of more than `at_most` bytes, else as `send`."""
        async with self._started.request(
            method,
            url,
            data=body or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=within),
            allow_redirects=False,
        ) as answer:
            parts, length = [], 0
            async for part in answer.content.iter_any():
                parts.append(part)
                length += len(part)
                if length > at_most:
                    raise TooLong(f"The answer is larger than {at_most} bytes.")
            came = {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
            return HttpAnswer(answer.status, came, b"".join(parts))

    @property
    def _started(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("the platform has not been started")
        return self._http


def routing_headers(to: PartyId | None, from_: PartyId) -> dict[str, str]:
    """OCPI-to and OCPI-from; without a receiver the TO headers are left out."""
    return names.routing(from_, to)


def _envelope(text: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
