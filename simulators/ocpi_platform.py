"""A small OCPI platform: one server, one client, any number of parties (transport_and_format)."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from aiohttp import web

from hub.ocpi import headers as names
from hub.ocpi.configuration import (
    VERSION,
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
)
from hub.ocpi.party import PartyId
from simulators import registration
from simulators.calls import Calls, routing_headers
from simulators.connection import Connection
from simulators.faults import Faults, Switches
from simulators.known_clients import KnownClients
from simulators.messages import Answered, Handler, Received, Reply
from simulators.spoiling import is_moved_away, spoil_body, spoil_headers, spoil_reply

logger = logging.getLogger(__name__)

BASE: Final = "/api/ocpi"
CONFIGURATION_MODULES: Final = frozenset({"versions", "credentials", "hubclientinfo"})
KEPT_MESSAGES: Final = 5000


class Platform:
    """Answers and calls other platforms; a subclass adds its modules with `serve`."""

    page_path = "/received"

    def __init__(
        self,
        roles: Iterable[tuple[PartyId, Role]],
        *,
        name: str = "Simulator",
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str | None = None,
    ) -> None:
        self.roles = tuple(roles)
        self.parties = tuple(dict.fromkeys(party for party, _ in self.roles))
        self.name = name
        self.host = host
        self.port = port
        self.faults = Faults()
        self.received: deque[Received] = deque(maxlen=KEPT_MESSAGES)
        self.connections: list[Connection] = []
        self.by_token: dict[str, Connection] = {}
        self.invitations: set[str] = set()
        self.clients = KnownClients()
        self.on_change: Callable[[], None] = lambda: None
        self._public_url = public_url
        self._modules: dict[tuple[str, str], dict[str, Handler]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = Calls()
        self._protocol: web.Server | None = None
        self._listening: asyncio.Server | None = None
        self.serve("credentials", InterfaceRole.SENDER, registration.handlers(self))
        self.serve("hubclientinfo", InterfaceRole.RECEIVER, self.clients.handlers())

    # Life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; with port 0 on a free one that is kept from then on."""
        self._calls.start()
        self._protocol = web.Server(self._answer, access_log=None)
        await self._listen()

    async def stop(self) -> None:
        """Close everything that `start` and the messages since then have opened."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._hang_up()
        await self._calls.stop()

    async def apply_faults(self) -> None:
        """Make `gone` true: the only switch that is more than a look at the next message."""
        gone = self.faults.general.gone
        if gone and self._listening is not None:
            await self._hang_up()
            if gone is not True:
                self.later(self._return_after(float(gone)))
        elif not gone and self._listening is None:
            await self._listen()

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._listening is None:
            await self._listen()
        self.faults.set(gone=False)

    async def _listen(self) -> None:
        if self._protocol is None:
            raise RuntimeError(f"{self.name} has not been started")
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            self._protocol, self.host, self.port, backlog=1024, reuse_address=True
        )
        self.port = self._listening.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        if self._listening is not None and self._protocol is not None:
            self._listening.close()
            # What was accepted just now becomes a connection in the loop's next turns.
            for _ in range(2):
                await asyncio.sleep(0)
            self._protocol.pre_shutdown()  # lets go of idle connections
            await self._protocol.shutdown(timeout=0.1)
            self._listening = None

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
        self._modules[module, interface.lower()] = methods

    @property
    def url(self) -> str:
        """Where this platform is reached."""
        return self._public_url or f"http://{self.host}:{self.port}"

    @property
    def versions_url(self) -> str:
        """The versions endpoint, the one URL that a counterpart is told."""
        return f"{self.url}{BASE}/versions"

    def endpoint_url(self, module: str, interface: str) -> str:
        """The URL under which the version details offer a module."""
        if module == "credentials":
            return f"{self.url}{BASE}/{VERSION}/credentials"
        if module == "hubclientinfo" and self.faults.of("versions").clientinfo_path:
            return f"{self.url}{BASE}/{VERSION}/{interface.lower()}/clientinfo/"
        return f"{self.url}{BASE}/{VERSION}/{interface.lower()}/{module}"

    def page_url(self, module: str, interface: str) -> str:
        """The URL in a page's Link, as right or wrong as the switches want it."""
        url = self.endpoint_url(module, interface)
        switches = self.faults.of(module)
        if switches.hard_coded_https:
            url = url.replace("http://", "https://", 1)
        return (
            url.replace(f"/{module}", f"/ModuleID.{module}") if switches.enum_repr_in_link else url
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
        token_a = secrets.token_urlsafe(24)
        self.invitations.add(token_a)
        return token_a

    async def register(
        self, versions_url: str, token_a: str, *, base64_encoded: bool = True
    ) -> Connection:
        """As Sender: the whole handshake; RegistrationFailed leaves nothing behind."""
        return await registration.register(self, versions_url, token_a, base64_encoded)

    async def update_credentials(self, connection: Connection | None = None) -> Connection:
        """PUT of new credentials: both tokens change."""
        return await registration.update(self, connection or self.connection_for(None))

    async def unregister(self, connection: Connection | None = None) -> Answered:
        """DELETE of the credentials."""
        return await registration.unregister(self, connection or self.connection_for(None))

    def connection_for(self, party: PartyId | None) -> Connection:
        """The platform of `party`, else the hub, else the only platform there is."""
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
        body: Any = msgspec.UNSET,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | None] | None = None,
        connection: Connection | None = None,
        within: float = 30.0,
    ) -> Answered:
        """Send one message to `module`; without `to` the TO headers are left out (open routing).

        The other arguments and the exceptions are those of Calls.send.
        """
        connection = connection or self.connection_for(to)
        switches = self.faults.of(module)
        url = connection.endpoint(module, interface)
        if path:
            url = f"{url.rstrip('/')}/{path.lower() if switches.lowercase_ids else path}"
        routing = None
        if module not in CONFIGURATION_MODULES:
            routing = (to, from_ or self.parties[0])
        return await self.send(
            method,
            url,
            connection=connection,
            routing=routing,
            switches=switches,
            body=body,
            query=query,
            headers=headers,
            within=within,
        )

    async def send(self, method: str, url: str, *, connection: Connection, **more: Any) -> Answered:
        """Send one message to an absolute URL: a callback, a page Link, a CDR's Location."""
        return await self._calls.send(method, url, connection=connection, **more)

    # Answers ------------------------------------------------------------------------------------

    async def page(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> web.Response:
        """What is no OCPI: pages for people and switches; no token, meant for loopback."""
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
        return web.json_response({"error": "no such page"}, status=HTTPStatus.NOT_FOUND)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        body = await request.read()
        if not path.startswith(BASE):
            return await self.page(request.method, path, request.rel_url.query, body)
        message = self._read(request, path, body)
        self.received.append(message)
        switches = self.faults.of(message.module)
        try:
            return await self._answer_message(request, message, switches)
        finally:
            self.on_change()

    async def _answer_message(
        self, request: web.BaseRequest, message: Received, switches: Switches
    ) -> web.StreamResponse:
        if switches.slow:
            await asyncio.sleep(switches.slow)
        if switches.hang_up and request.transport is not None:
            request.transport.close()
        if switches.redirect_missing_slash and not message.path.endswith("/"):
            query = f"?{request.rel_url.raw_query_string}" if request.rel_url.query else ""
            return web.Response(status=307, headers={"Location": f"{message.path}/{query}"})
        if switches.http_500:
            return web.Response(
                status=500, text="<h1>Internal Server Error</h1>", content_type="text/html"
            )
        if is_moved_away(message, switches):
            return web.Response(status=404, text="<h1>Not Found</h1>", content_type="text/html")
        if switches.not_an_envelope:
            return web.json_response({"detail": "Validation failed"}, status=422)
        if switches.wrong_json:
            return web.Response(body=b'{"status_code": 1000, "da', content_type="application/json")
        reply = await self._reply_to(message)
        spoil_reply(reply, message, switches)
        if switches.html_errors and reply.http_status >= 400:
            return web.Response(
                status=reply.http_status, text="<h1>An error</h1>", content_type="text/html"
            )
        sent = self._answer_headers(message, switches) | reply.headers
        response = web.Response(
            body=spoil_body(reply.body(), switches),
            status=reply.http_status,
            headers=spoil_headers(sent, reply, switches),
            content_type="application/json",
        )
        if reply.afterwards is not None:
            await response.prepare(request)
            await response.write_eof()
            self.later(_run(reply.afterwards))
        return response

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
            switches = self.faults.general
            if switches.plain_tokens_only if base64_encoded else switches.base64_tokens_only:
                continue
            if (connection := self.by_token.get(token)) is not None:
                return connection
            if token in self.invitations:
                return Connection("", sends="", accepts=token, base64_encoded=base64_encoded)
        return None

    async def _reply_to(self, message: Received) -> Reply:
        try:
            self._authorize(message)
            if message.module == "versions":
                return self._versions(message)
            methods = self._modules.get((message.module, message.interface))
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

    def _authorize(self, message: Received) -> None:
        connection = message.connection
        if connection is None and self.faults.of(message.module).any_token:
            return
        if connection is None:
            status = HTTPStatus.FORBIDDEN if self.faults.general.http_403 else None
            raise NotAuthenticated(
                "The Authorization header names no known credentials token.", http_status=status
            )
        is_invitation = connection.accepts in self.invitations
        if is_invitation and message.module not in {"versions", "credentials"}:
            raise NotAuthenticated("CREDENTIALS_TOKEN_A opens only versions and credentials.")
        to = message.to_party
        if to is not None and to not in self.parties:
            raise InvalidParameters(f"{to} is not a party of this platform.")

    def _versions(self, message: Received) -> Reply:
        if message.method != "GET":
            raise MethodNotAllowed("versions knows GET alone.")
        if not message.parts:
            offered = "2.1.1" if self.faults.of("versions").other_versions else VERSION
            return Reply([Version(offered, self._told(f"{self.url}{BASE}/{offered}"))])
        endpoints = [
            Endpoint(
                module, self._told(self.endpoint_url(module, role)), InterfaceRole(role.upper())
            )
            for module, role in self._modules
        ]
        switches = self.faults.of("versions")
        if switches.no_credentials_endpoint:
            endpoints = [one for one in endpoints if one.identifier != "credentials"]
        if switches.clientinfo_renamed:
            for endpoint in endpoints:
                endpoint.identifier = endpoint.identifier.removeprefix("hub")
        return Reply(VersionDetails(VERSION, endpoints * (1 + switches.doubled_endpoints)))

    def _told(self, url: str) -> str:
        if self.faults.of("versions").hard_coded_https:
            return url.replace("http://", "https://", 1)
        return url

    def _answer_headers(self, message: Received, switches: Switches) -> dict[str, str]:
        sent: dict[str, str] = {}
        if not switches.no_message_ids:
            for name in (names.REQUEST_ID, names.CORRELATION_ID):
                if name in message.headers:
                    sent[name] = message.headers[name]
        if message.module not in CONFIGURATION_MODULES and not switches.no_routing_headers:
            asked_by = message.from_party
            answered_by = message.to_party or self.parties[0]
            sent |= routing_headers(asked_by, answered_by, lowercase=switches.lowercase_ids)
        return sent

    @property
    def hub(self) -> Connection:
        """The connection to the hub."""
        return self.connection_for(None)


async def _run(later: Callable[[], Any]) -> None:
    await later()
