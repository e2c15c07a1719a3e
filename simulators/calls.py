"""One HTTP client for all calls of a simulator (transport_and_format, Request format)."""

import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from hub.ocpi import headers as names
from hub.ocpi.party import PartyId
from simulators.connection import Connection
from simulators.faults import Switches
from simulators.messages import Answered, to_json


class Calls:
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
        routing: tuple[PartyId | None, PartyId] | None = None,
        switches: Switches | None = None,
        body: Any = msgspec.UNSET,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | None] | None = None,
        within: float = 30.0,
    ) -> Answered:
        """Send one message to an absolute URL with the tokens of `connection`.

        `routing` is (to, from); None for the Configuration Modules, which are not routed. `body`
        is an object, or bytes that go out as they are. `headers` replace or, where None, remove
        single headers. A network failure raises aiohttp.ClientError; TimeoutError when no answer
        has come `within` seconds.
        """
        if self._http is None:
            raise RuntimeError("the simulator has not been started")
        switches = switches or Switches()
        sent = {
            "Authorization": names.authorization(
                connection.sends, base64_encoded=connection.base64_encoded
            )
        }
        if not switches.no_message_ids:
            sent[names.REQUEST_ID] = secrets.token_hex(16)
            sent[names.CORRELATION_ID] = secrets.token_hex(16)
        if routing is not None and not switches.no_routing_headers:
            sent |= routing_headers(routing[0], routing[1], lowercase=switches.lowercase_ids)
        content: bytes | None = None
        if body is not msgspec.UNSET:
            content = body if isinstance(body, bytes) else to_json(body)
            sent["Content-Type"] = "application/json"
        for name, value in (headers or {}).items():
            if value is None:
                sent.pop(name, None)
            else:
                sent[name] = value
        async with self._http.request(
            method,
            url,
            params=query,
            data=content,
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=within),
            allow_redirects=False,
        ) as answer:
            return Answered(answer.status, answer.headers, _envelope(await answer.read()))


def routing_headers(to: PartyId | None, from_: PartyId, *, lowercase: bool) -> dict[str, str]:
    """OCPI-to and OCPI-from; without a receiver the TO headers are left out."""
    sent = {names.FROM_COUNTRY_CODE: from_.country_code, names.FROM_PARTY_ID: from_.party_id}
    if to is not None:
        sent |= {names.TO_COUNTRY_CODE: to.country_code, names.TO_PARTY_ID: to.party_id}
    return {name: value.lower() for name, value in sent.items()} if lowercase else sent


def _envelope(text: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
