"""Platforms that answer with any bytes, and requests of any bytes: what strangers may send."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.headers import authorization
from hub.ocpi.modules import INTERFACES
from hub.ocpi.party import PartyId
from party.messages import Received
from simulators.faulty_platform import FaultyPlatform
from simulators.testing import PATIENCE, Running
from tests.running_hub import RunningHub, new_party

T = TypeVar("T")
SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
CUSTOM: Final = "nltnm-tokens"
OFFERS: Final = (*INTERFACES, (CUSTOM, SENDER), (CUSTOM, RECEIVER))
IDS: Final = {"X-Request-ID": "my-request", "X-Correlation-ID": "my-correlation"}
OK: Final = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'


def raw(body: bytes = OK, status: int = 200, **headers: str) -> web.Response:
    """An answer of exactly these bytes; header names are written with underscores."""
    sent = {"Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=body, status=status, headers=sent)


Says = Callable[[Received], web.Response | Awaitable[web.Response]]


class Stranger(FaultyPlatform):
    """Offers modules and answers every routed message as `says` tells it to."""

    def __init__(
        self,
        *roles: Role,
        party: PartyId | None = None,
        more: Iterable[tuple[PartyId, Role]] = (),
        offers: Iterable[tuple[str, InterfaceRole]] = OFFERS,
        listens: bool = True,
    ) -> None:
        self.party = party or new_party()
        super().__init__(
            [*((self.party, role) for role in roles or (Role.CPO,)), *more], name="Stranger"
        )
        self.says: Says = self.says_yes
        self.got: list[Received] = []
        if not listens:
            del self.modules["hubclientinfo", "receiver"]
        for module, role in offers:
            self.serve(module, role, {})

    @property
    def targets(self) -> list[str]:
        """Path and query of each message of `got`, to the byte."""
        return [message.target for message in self.got]

    @staticmethod
    def says_yes(message: Received) -> web.Response:
        """What it says unless told otherwise."""
        return raw()

    async def respond(self, request: web.BaseRequest, message: Received) -> web.StreamResponse:
        if message.module in {"versions", "credentials", "hubclientinfo"}:
            return await super().respond(request, message)
        self.got.append(message)
        answer = self.says(message)
        return answer if isinstance(answer, web.Response) else await answer

    def where(self, module: str, role: InterfaceRole) -> str:
        """The path of its endpoint."""
        return urlsplit(self.endpoint_url(module, role)).path


class Gate:
    """As `says`: holds each answer back until it is opened, and then says yes."""

    def __init__(self) -> None:
        self.is_open = threading.Event()

    async def __call__(self, message: Received) -> web.Response:
        await asyncio.to_thread(self.is_open.wait, PATIENCE)
        return raw()


@dataclass(frozen=True)
class Reply:
    """What came back, to the byte. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        """The OCPI envelope; fails when the body is none."""
        assert self.headers.get("content-type") == "application/json", self
        found = json.loads(self.body)
        assert isinstance(found["status_code"], int)
        assert found["timestamp"].endswith("Z")
        return dict(found)

    @property
    def code(self) -> int:
        """The OCPI status code."""
        return int(self.envelope["status_code"])

    @property
    def said(self) -> tuple[int, int]:
        """HTTP status and OCPI status code."""
        return self.status, self.code


def echoes(answer: Reply) -> bool:
    """Whether the answer carries the ids of IDS."""
    return all(answer.headers[name.lower()] == value for name, value in IDS.items())


def send(
    hub: RunningHub,
    method: str,
    target: str,
    token: str = "",
    *,
    body: bytes | None = None,
    headers: Mapping[str, str | bytes] | None = None,
) -> Reply:
    """One request with exactly these bytes; `target` is a path or a URL of the hub."""
    if target.startswith("http"):
        assert target.startswith(hub.url), target
        target = target[len(hub.url) :]
    sent: dict[str, str | bytes] = {}
    if token:
        sent["Authorization"] = authorization(token)
    if body is not None:
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    sent |= headers or {}
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=PATIENCE)
    try:
        connection.putrequest(method, target, skip_host="Host" in sent, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found, answer.read())
    finally:
        connection.close()


def routing(to: PartyId | None = None, from_: PartyId | None = None) -> dict[str, str]:
    """The routing headers; those of None are left out."""
    sent: dict[str, str] = {}
    if from_ is not None:
        sent |= {"OCPI-from-country-code": from_.country_code, "OCPI-from-party-id": from_.party_id}
    if to is not None:
        sent |= {"OCPI-to-country-code": to.country_code, "OCPI-to-party-id": to.party_id}
    return sent


def token_of(running: Running[Stranger]) -> str:
    """The credentials token that it sends to the hub."""
    return running.simulator.hub.sends


def ask(
    hub: RunningHub,
    sender: Running[Stranger],
    method: str,
    path: str,
    *,
    to: PartyId | Running[Stranger] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str | bytes] | None = None,
) -> Reply:
    """A message of a registered stranger; `path` is below /ocpi/2.2.1/ unless absolute.

    {own} in it stands for the sender's country_code/party_id.
    """
    path = path.replace("{own}", "/".join(sender.simulator.party))
    receiver = to.simulator.party if isinstance(to, Running) else to
    target = path if path.startswith(("http", "/")) else f"/ocpi/2.2.1/{path}"
    routed = {} if "hubclientinfo" in path else routing(receiver, sender.simulator.party)
    return send(
        hub, method, target, token_of(sender), body=body, headers=routed | dict(headers or {})
    )


def until(predicate: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first true value of `predicate`, which looks at the hub or the database."""
    deadline = time.monotonic() + seconds
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"nothing of the kind within {seconds} s"
        threading.Event().wait(0.02)
    return value
