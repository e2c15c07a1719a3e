"""An OCPI platform: one server, one client, any number of parties (transport_and_format).

A subclass adds its modules with `serve` and calls others with `call`. What it does otherwise than
the text has it, it does by overriding `respond`, `check_sender`, `endpoint_url` and their like.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Unpack
from urllib.parse import unquote

from aiohttp import web

from hub.ocpi import headers as names
from hub.ocpi.configuration import (
    BusinessDetails,
    Credentials,
    CredentialsRole,
    Endpoint,
    Version,
    VersionDetails,
)
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import (
    InvalidParameters,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    OcpiError,
    ServerError,
)
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from party import registration
from party.client import Client, Content, Routing, routing_headers
from party.connection import Connection
from party.hub_client_info import HubClientInfoReceiver
from party.listening import Listening
from party.messages import Answered, Handler, Received, Reply

logger = logging.getLogger(__name__)

BASE: Final = "/api/ocpi"
CONFIGURATION_MODULES: Final = frozenset({"versions", "credentials", "hubclientinfo"})


class Platform:
    """Answers and calls other platforms.

    `roles` are its parties with their roles. It listens on `host`:`port` (0: a free one), and
    tells others `public_url` where that is not how they reach it.
    """

    def __init__(
        self,
        roles: Iterable[tuple[PartyId, Role]],
        *,
        name: str = "Party",
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str | None = None,
    ) -> None:
        self.roles = tuple(roles)
        self.parties = tuple(dict.fromkeys(party for party, _ in self.roles))
        self.name = name
        self.listening = Listening(host, port, self.answer)
        self.client = Client()
        self.connections: list[Connection] = []
        self.by_token: dict[str, Connection] = {}
        self.invitations: set[str] = set()
        self.clients = HubClientInfoReceiver()
        # (module, "sender" or "receiver") -> method -> handler
        self.modules: dict[tuple[str, str], dict[str, Handler]] = {}
        # Called after each message that was answered and each job of `later` that ended.
        self.on_change: Callable[[], None] = lambda: None
        self._public_url = public_url
        self._tasks: set[asyncio.Task[None]] = set()
        self.serve("credentials", InterfaceRole.SENDER, registration.handlers(self))
        self.serve("hubclientinfo", InterfaceRole.RECEIVER, self.clients.handlers())

    # Life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; OSError when the port is taken."""
        self.client.start()
        await self.listening.open()

    async def stop(self) -> None:
        """Close everything that `start` and the messages since then have opened."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.listening.close()
        await self.client.stop()

    async def joined(self) -> None:
        """Called by party.serving once it is registered; for subclasses that read lists then."""

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the messages; a failure of it is logged, not lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: %s: %s", self.name, type(error).__name__, error, exc_info=error)
        self.on_change()

    # What is offered ----------------------------------------------------------------------------

    def serve(self, module: str, interface: InterfaceRole, methods: dict[str, Handler]) -> None:
        """Offer an interface: it is answered, and named in the version details, from here."""
        self.modules[module, interface.lower()] = methods

    @property
    def port(self) -> int:
        """Where it listens; 0 until it does, when a free port is to be taken."""
        return self.listening.port

    @property
    def url(self) -> str:
        """Where this platform is reached."""
        return self._public_url or f"http://{self.listening.host}:{self.port}"

    @property
    def versions_url(self) -> str:
        """The versions endpoint, the one URL that a counterpart is told."""
        return f"{self.url}{BASE}/versions"

    def endpoint_url(self, module: str, interface: str) -> str:
        """The URL under which the version details offer a module."""
        if module == "credentials":
            return f"{self.url}{BASE}/{VERSION}/credentials"
        return f"{self.url}{BASE}/{VERSION}/{interface.lower()}/{module}"

    def versions(self) -> list[Version]:
        """What GET versions says."""
        return [Version(VERSION, f"{self.url}{BASE}/{VERSION}")]

    def version_details(self) -> VersionDetails:
        """What the version details say: each interface that is served."""
        return VersionDetails(
            VERSION,
            [
                Endpoint(module, self.endpoint_url(module, role), InterfaceRole(role.upper()))
                for module, role in self.modules
            ],
        )

    def credentials(self, token: str) -> Credentials:
        """The Credentials object that gives a counterpart access to this platform."""
        roles = [
            CredentialsRole(
                role=role,
                business_details=BusinessDetails(name=self.name),
                party_id=party.party_id,
                country_code=party.country_code,
            )
            for party, role in self.roles
        ]
        return Credentials(token=token, url=self.versions_url, roles=roles)

    # Registration -------------------------------------------------------------------------------

    def invite(self) -> str:
        """As Receiver: a CREDENTIALS_TOKEN_A for a platform that shall register here."""
        token_a = secrets.token_hex(24)  # Typed in commands, where none may begin with a dash.
        self.invitations.add(token_a)
        return token_a

    async def register(
        self, versions_url: str, token_a: str, *, base64_encoded: bool = True
    ) -> Connection:
        """As Sender: the whole handshake; RegistrationFailed leaves nothing behind."""
        return await registration.register(self, versions_url, token_a, base64_encoded)

    async def update_credentials(self, connection: Connection | None = None) -> Connection:
        """PUT of new credentials: both tokens change."""
        return await registration.update(self, connection or self.hub)

    async def unregister(self, connection: Connection | None = None) -> Answered:
        """DELETE of the credentials."""
        return await registration.unregister(self, connection or self.hub)

    @property
    def hub(self) -> Connection:
        """The connection to the hub; LookupError when there is none."""
        return self.connection_for(None)

    def connection_for(self, party: PartyId | None) -> Connection:
        """The platform of `party`, else the hub, else the only platform there is; LookupError."""
        for connection in self.connections:
            if party in connection.parties:
                return connection
        for connection in self.connections:
            if connection.is_hub or len(self.connections) == 1:
                return connection
        raise LookupError(f"{self.name} is connected to nobody who reaches {party}")

    # Calls --------------------------------------------------------------------------------------

    async def call(
        self,
        module: str,
        interface: InterfaceRole,
        method: str,
        path: str = "",
        *,
        to: PartyId | None = None,
        from_: PartyId | None = None,
        connection: Connection | None = None,
        **content: Unpack[Content],
    ) -> Answered:
        """Send one message to `module`; without `to` the TO headers are left out (open routing).

        `path` stands behind the endpoint's URL. `content` is as in Client.send, which also says
        what is raised; NoMatchingEndpoints (3003) when the other platform does not offer the
        module, LookupError when no connection leads to `to`.
        """
        connection = connection or self.connection_for(to)
        url = connection.endpoint(module, interface)
        if path:
            url = f"{url.rstrip('/')}/{path}"
        routing = None
        if module not in CONFIGURATION_MODULES:
            routing = (to, from_ or self.parties[0])
        return await self.send(
            method, url, connection=connection, routing=routing, module=module, **content
        )

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
        """Send one message to an absolute URL: a callback, a page Link, a CDR's Location.

        As Client.send; `module` is there for subclasses, for which modules differ.
        """
        return await self.client.send(
            method, url, connection=connection, routing=routing, **content
        )

    # Answers ------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request, whatever it is."""
        path = request.rel_url.raw_path
        body = await request.read()
        if not path.startswith(BASE):
            return await self.page(request.method, path, request.rel_url.query, body)
        message = self._read(request, path, body)
        self.heard(message)
        try:
            return await self.respond(request, message)
        finally:
            self.on_change()

    async def page(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> web.Response:
        """What is not OCPI; a subclass may have pages of its own."""
        return web.json_response({"error": "no such page"}, status=HTTPStatus.NOT_FOUND)

    def heard(self, message: Received) -> None:
        """Called with each OCPI message before it is answered; for subclasses that note them."""

    async def respond(self, request: web.BaseRequest, message: Received) -> web.StreamResponse:
        """Answer one OCPI message."""
        reply = await self.reply_to(message)
        sent = self.answer_headers(message) | reply.headers
        return await self.write(request, reply, reply.body(), sent)

    async def write(
        self, request: web.BaseRequest, reply: Reply, body: bytes, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send an answer; what is to be done afterwards begins when its last byte has left."""
        response = web.Response(
            body=body, status=reply.http_status, headers=headers, content_type="application/json"
        )
        if reply.afterwards is not None:
            await response.prepare(request)
            await response.write_eof()
            self.later(_run(reply.afterwards))
        return response

    async def reply_to(self, message: Received) -> Reply:
        """The answer to a message; every refusal and failure is an envelope too (status_codes)."""
        try:
            self.check_sender(message)
            if message.module == "versions":
                return self._versions(message)
            methods = self.modules.get((message.module, message.interface))
            if methods is None:
                raise NotFound(f"There is no {message.interface} interface of {message.module}.")
            handler = methods.get(message.method)
            if handler is None:
                raise MethodNotAllowed(
                    f"{message.module} does not know {message.method}.",
                    headers={"Allow": ", ".join(methods)},
                )
            return await handler(message)
        except OcpiError as error:
            return Reply.of(error)
        except Exception:
            # The one place where whatever a handler did wrong becomes an answer.
            logger.exception("%s: %s %s", self.name, message.method, message.path)
            return Reply.of(
                ServerError(
                    "The message could not be handled.",
                    http_status=HTTPStatus.INTERNAL_SERVER_ERROR,
                )
            )

    def check_sender(self, message: Received) -> None:
        """NotAuthenticated (401) or InvalidParameters (2001) for who may not send this here."""
        connection = message.connection
        if connection is None:
            raise NotAuthenticated("The Authorization header names no known credentials token.")
        is_invitation = connection.accepts in self.invitations
        if is_invitation and message.module not in {"versions", "credentials"}:
            raise NotAuthenticated("CREDENTIALS_TOKEN_A opens only versions and credentials.")
        to = message.to_party
        if to is not None and to not in self.parties:
            raise InvalidParameters(f"{to} is not a party of this platform.")

    def connection_with(self, token: str, *, base64_encoded: bool) -> Connection | None:
        """Who presents `token`: a registered platform, or one that is invited to register."""
        if (connection := self.by_token.get(token)) is not None:
            return connection
        if token in self.invitations:
            return Connection("", sends="", accepts=token, base64_encoded=base64_encoded)
        return None

    def answer_headers(self, message: Received) -> dict[str, str]:
        """Message ids as they came; FROM and TO swapped, except in Configuration Modules."""
        sent = {
            name: message.headers[name]
            for name in (names.REQUEST_ID, names.CORRELATION_ID)
            if name in message.headers
        }
        if message.module not in CONFIGURATION_MODULES:
            sent |= routing_headers(message.from_party, message.to_party or self.parties[0])
        return sent

    def _read(self, request: web.BaseRequest, path: str, body: bytes) -> Received:
        segments = [unquote(part) for part in path[len(BASE) :].strip("/").split("/")]
        module, interface, parts = segments[0], "", tuple(segments[1:])
        if module == VERSION:
            if len(segments) == 1:
                module, parts = "versions", (VERSION,)
            elif segments[1] == "credentials":
                module, interface, parts = "credentials", "sender", tuple(segments[2:])
            else:
                interface, module = segments[1], segments[2] if len(segments) > 2 else ""
                parts = tuple(segments[3:])
        if module == "clientinfo":
            module = "hubclientinfo"
        return Received(
            at=datetime.now(UTC),
            method=request.method,
            path=path,
            query=request.rel_url.query,
            headers=request.headers,
            body=body,
            module=module,
            interface=interface,
            parts=parts,
            connection=self._connection_of(request.headers.get("Authorization", "")),
            target=request._message.path,
        )

    def _connection_of(self, authorization: str) -> Connection | None:
        for token, base64_encoded in names.presented_tokens(authorization):
            connection = self.connection_with(token, base64_encoded=base64_encoded)
            if connection is not None:
                return connection
        return None

    def _versions(self, message: Received) -> Reply:
        if message.method != "GET":
            raise MethodNotAllowed("versions knows GET alone.")
        return Reply(self.version_details() if message.parts else self.versions())


async def _run(later: Callable[[], Any]) -> None:
    await later()
