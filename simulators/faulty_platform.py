"""A party.Platform that can be told to go wrong (simulators.faults), with pages for people."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Unpack

import msgspec
from aiohttp import web

from hub.ocpi import headers as names
from hub.ocpi.configuration import Version, VersionDetails
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import NotAuthenticated, OcpiError
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from party.client import Content, Routing, routing_headers
from party.connection import Connection
from party.messages import Answered, Received
from party.ocpi_platform import BASE, Platform
from simulators.faults import Faults, Switches
from simulators.spoiling import is_moved_away, spoil_body, spoil_headers, spoil_reply

KEPT_MESSAGES: Final = 5000


class FaultyPlatform(Platform):
    """Behaves well until a switch is set; keeps the messages that came, the newest 5,000."""

    page_path = "/received"

    def __init__(
        self, roles: Iterable[tuple[PartyId, Role]], *, name: str = "Simulator", **listen: Any
    ) -> None:
        super().__init__(roles, name=name, **listen)
        self.faults = Faults()
        self.received: deque[Received] = deque(maxlen=KEPT_MESSAGES)

    async def apply_faults(self) -> None:
        """Make `gone` true: the only switch that is more than a look at the next message."""
        gone = self.faults.general.gone
        if gone and self.listening.is_open:
            await self.listening.close()
            if gone is not True:
                self.later(self._return_after(float(gone)))
        elif not gone:
            await self.listening.open()

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.listening.open()
        self.faults.set(gone=False)

    # What is offered ----------------------------------------------------------------------------

    def endpoint_url(self, module: str, interface: str) -> str:
        """With `clientinfo_path`, HubClientInfo is elsewhere."""
        if module == "hubclientinfo" and self.faults.of("versions").clientinfo_path:
            return f"{self.url}{BASE}/{VERSION}/{interface.lower()}/clientinfo/"
        return super().endpoint_url(module, interface)

    def page_url(self, module: str, interface: str) -> str:
        """The URL in a page's Link, as right or wrong as the switches want it."""
        url = self.endpoint_url(module, interface)
        switches = self.faults.of(module)
        if switches.hard_coded_https:
            url = url.replace("http://", "https://", 1)
        return (
            url.replace(f"/{module}", f"/ModuleID.{module}") if switches.enum_repr_in_link else url
        )

    def versions(self) -> list[Version]:
        """With `other_versions`, one that nobody speaks any more."""
        offered = "2.1.1" if self.faults.of("versions").other_versions else VERSION
        return [Version(offered, self._told(f"{self.url}{BASE}/{offered}"))]

    def version_details(self) -> VersionDetails:
        """With endpoints that are missing, doubled, or misnamed."""
        switches = self.faults.of("versions")
        details = super().version_details()
        for endpoint in details.endpoints:
            endpoint.url = self._told(endpoint.url)
            if switches.clientinfo_renamed:
                endpoint.identifier = endpoint.identifier.removeprefix("hub")
        named = [
            endpoint
            for endpoint in details.endpoints
            if not (switches.no_credentials_endpoint and endpoint.identifier == "credentials")
        ]
        return VersionDetails(details.version, named * (1 + switches.doubled_endpoints))

    def _told(self, url: str) -> str:
        if self.faults.of("versions").hard_coded_https:
            return url.replace("http://", "https://", 1)
        return url

    # Calls --------------------------------------------------------------------------------------

    async def call(
        self, module: str, interface: Any, method: str, path: str = "", **more: Any
    ) -> Answered:
        """With `lowercase_ids`, ids in the URL too."""
        if self.faults.of(module).lowercase_ids:
            path = path.lower()
        return await super().call(module, interface, method, path, **more)

    async def send(
        self,
        method: str,
        url: str,
        *,
        connection: Connection,
        routing: Routing | None = None,
        module: str = "",
        **content: Unpack[Content],
    ) -> Answered:
        """With headers that are missing or in lower case."""
        switches = self.faults.of(module) if module else Switches()
        spoiled: dict[str, str | None] = {}
        if switches.no_message_ids:
            spoiled = {names.REQUEST_ID: None, names.CORRELATION_ID: None}
        if switches.no_routing_headers:
            routing = None
        elif routing is not None and switches.lowercase_ids:
            spoiled |= _in_lower_case(routing_headers(*routing))
        content["headers"] = spoiled | dict(content.get("headers") or {})
        return await super().send(
            method, url, connection=connection, routing=routing, module=module, **content
        )

    # Answers ------------------------------------------------------------------------------------

    async def page(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> web.Response:
        """Pages for people and switches; no token, meant for loopback."""
        if path == "/faults":
            if method == "POST":
                try:
                    self.faults.set_from(body)
                except (OcpiError, msgspec.ValidationError) as error:
                    return web.json_response({"error": str(error)}, status=HTTPStatus.BAD_REQUEST)
                self.later(self.apply_faults())
            elif method == "DELETE":
                self.faults.clear()
            return web.json_response(self.faults.as_json())
        if path == "/invitation" and method == "POST":
            return web.json_response({"token": self.invite(), "versions_url": self.versions_url})
        if path == "/received":
            wanted = {key: value for key, value in query.items() if key in {"module", "method"}}
            return web.json_response(
                [
                    message.as_json()
                    for message in self.received
                    if all(getattr(message, key) == value for key, value in wanted.items())
                ]
            )
        return await super().page(method, path, query, body)

    def heard(self, message: Received) -> None:
        """Kept for tests and people."""
        self.received.append(message)

    async def respond(self, request: web.BaseRequest, message: Received) -> web.StreamResponse:
        """As the switches want it."""
        switches = self.faults.of(message.module)
        if switches.slow:
            await asyncio.sleep(switches.slow)
        if switches.hang_up and request.transport is not None:
            request.transport.close()
        if switches.redirect_missing_slash and not message.path.endswith("/"):
            query = f"?{request.rel_url.raw_query_string}" if request.rel_url.query else ""
            return web.Response(status=307, headers={"Location": f"{message.path}/{query}"})
        if switches.http_500:
            return _html(500, "Internal Server Error")
        if is_moved_away(message, switches):
            return _html(404, "Not Found")
        if switches.not_an_envelope:
            return web.json_response({"detail": "Validation failed"}, status=422)
        if switches.wrong_json:
            return web.Response(body=b'{"status_code": 1000, "da', content_type="application/json")
        return await self._spoiled(request, message, switches)

    async def _spoiled(
        self, request: web.BaseRequest, message: Received, switches: Switches
    ) -> web.StreamResponse:
        reply = await self.reply_to(message)
        spoil_reply(reply, message, switches)
        if switches.html_errors and reply.http_status >= 400:
            return _html(reply.http_status, "An error")
        sent = self.answer_headers(message) | reply.headers
        body = spoil_body(reply.body(), switches)
        return await self.write(request, reply, body, spoil_headers(sent, reply, switches))

    def check_sender(self, message: Received) -> None:
        """With `any_token`, whoever asks; with `http_403`, not by the right status."""
        if message.connection is None:
            if self.faults.of(message.module).any_token:
                return
            if self.faults.general.http_403:
                raise NotAuthenticated("Forbidden.", http_status=HTTPStatus.FORBIDDEN)
        super().check_sender(message)

    def connection_with(self, token: str, *, base64_encoded: bool) -> Connection | None:
        """In one of both spellings alone."""
        switches = self.faults.general
        if switches.plain_tokens_only if base64_encoded else switches.base64_tokens_only:
            return None
        return super().connection_with(token, base64_encoded=base64_encoded)

    def answer_headers(self, message: Received) -> dict[str, str]:
        """With some missing or in lower case."""
        switches = self.faults.of(message.module)
        ids = {names.REQUEST_ID, names.CORRELATION_ID}
        sent = super().answer_headers(message)
        if switches.no_message_ids:
            sent = {name: value for name, value in sent.items() if name not in ids}
        if switches.no_routing_headers:
            sent = {name: value for name, value in sent.items() if name not in names.ROUTING}
        elif switches.lowercase_ids:
            routing = {name: value for name, value in sent.items() if name in names.ROUTING}
            sent |= _in_lower_case(routing)
        return sent


def _in_lower_case(sent: Mapping[str, str]) -> dict[str, str]:
    return {name: value.lower() for name, value in sent.items()}


def _html(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"<h1>{text}</h1>", content_type="text/html")
