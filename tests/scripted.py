"""Parties that answer as a test tells them, and keep the exact bytes of all messages."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import requests

from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from party.messages import Handler, Received, Reply
from simulators.faulty_platform import FaultyPlatform
from simulators.testing import PATIENCE
from tests.running_hub import RunningHub, new_party

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
ACCEPTED: Final = {"result": "ACCEPTED", "timeout": 30}
PROFILE: Final = {
    "charging_rate_unit": "A",
    "charging_profile_period": [{"start_period": 0, "limit": 8.0}],
}
Answer = Reply | Callable[[Received], Awaitable[Reply]]


@dataclass(slots=True)
class Exactly(Reply):
    """An answer of these very bytes."""

    content: bytes = b""

    def body(self) -> bytes:
        """No envelope of ours."""
        return self.content


class Scripted(FaultyPlatform):
    """Offers Sessions and ChargingProfiles on both interfaces."""

    def __init__(
        self,
        party: PartyId,
        role: Role,
        *,
        more: Iterable[tuple[PartyId, Role]] = (),
        without: Iterable[tuple[str, InterfaceRole]] = (),
    ) -> None:
        super().__init__([(party, role), *more], name=f"Scripted {role} {party}")
        self.answers: dict[str, Answer] = {}
        say: Handler = self._say
        methods = dict.fromkeys(("GET", "PUT", "PATCH", "POST", "DELETE"), say)
        for module in ("sessions", "chargingprofiles"):
            for interface in (SENDER, RECEIVER):
                if (module, interface) not in without:
                    self.serve(module, interface, methods)

    async def _say(self, message: Received) -> Reply:
        for part in message.parts:
            answer = self.answers.get(part.upper())
            if isinstance(answer, Reply):
                return answer
            if answer is not None:
                return await answer(message)
        if message.module == "chargingprofiles" and message.interface == "receiver":
            return Reply(ACCEPTED)
        if "charging_preferences" in message.parts:
            return Reply("ACCEPTED")
        return Reply()


class Actor:
    """A scripted party that is connected to the hub, seen from a test."""

    def __init__(
        self, hub: RunningHub, role: Role, party: PartyId | None = None, **more: Any
    ) -> None:
        self.hub = hub
        self.party = party or new_party()
        self.running = hub.join(Scripted(self.party, role, **more))

    def __str__(self) -> str:
        return str(self.party)

    @property
    def platform(self) -> Scripted:
        """The simulator itself."""
        return self.running.simulator

    def answers(self, session_id: str, answer: Answer) -> None:
        """Say this to every message with that id in its URL."""
        self.platform.answers[session_id.upper()] = answer

    def send(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        to: "Actor | PartyId | None" = None,
        from_: PartyId | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """`path` is below /ocpi/2.2.1/, or absolute."""
        url = path if path.startswith("http") else f"{self.hub.url}/ocpi/2.2.1/{path}"
        sender = from_ or self.party
        sent = {
            "Authorization": authorization(self.platform.hub.sends),
            "OCPI-from-country-code": sender.country_code,
            "OCPI-from-party-id": sender.party_id,
        }
        if to is not None:
            receiver = to.party if isinstance(to, Actor) else to
            sent |= {
                "OCPI-to-country-code": receiver.country_code,
                "OCPI-to-party-id": receiver.party_id,
            }
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        return requests.request(
            method, url, data=body, headers=sent | (headers or {}), timeout=PATIENCE
        )

    def got(
        self, session_id: str, *, module: str | None = None, method: str | None = None
    ) -> list[Received]:
        """What has come about one session, oldest first."""
        return [
            message
            for message in self.running.received(module=module, method=method)
            if session_id.upper() in (part.upper() for part in message.parts)
        ]

    def wait_for(
        self,
        session_id: str,
        *,
        module: str | None = None,
        method: str | None = None,
        count: int = 1,
        timeout: float = PATIENCE,
    ) -> list[Received]:
        """Wait until `count` such messages have come."""

        def enough() -> list[Received]:
            found = self.got(session_id, module=module, method=method)
            return found if len(found) >= count else []

        return self.running.wait_for(enough, timeout)

    # CPO ----------------------------------------------------------------------------------------

    def session_path(self, session_id: str) -> str:
        """Where a CPO PUTs its session."""
        return f"receiver/sessions/{self.party.country_code}/{self.party.party_id}/{session_id}"

    def session(self, session_id: str, emsp: "Actor", **changes: Any) -> dict[str, Any]:
        """A valid Session of this CPO with a token of that eMSP."""
        token = {
            "country_code": emsp.party.country_code,
            "party_id": emsp.party.party_id,
            "uid": "TOKEN-1",
            "type": "RFID",
            "contract_id": "CONTRACT-1",
        }
        return {
            "country_code": self.party.country_code,
            "party_id": self.party.party_id,
            "id": session_id,
            "start_date_time": "2026-03-01T10:00:00Z",
            "kwh": 0.0,
            "cdr_token": token | changes.pop("cdr_token", {}),
            "auth_method": "WHITELIST",
            "location_id": "LOC1",
            "evse_uid": "EVSE1",
            "connector_id": "1",
            "currency": "EUR",
            "status": "ACTIVE",
            "last_updated": "2026-03-01T10:00:00Z",
        } | changes

    def put_session(
        self, session_id: str, emsp: "Actor", *, to: "Actor | PartyId | None" = None, **changes: Any
    ) -> requests.Response:
        """PUT of a Session to `to`, else to its eMSP."""
        document = self.session(session_id, emsp, **changes)
        return self.send("PUT", self.session_path(session_id), document, to=to or emsp)

    def asked(self, session_id: str, count: int = 1) -> list[Received]:
        """Wait for commands on the ChargingProfiles Receiver interface."""

        def enough() -> list[Received]:
            found = self.got(session_id, module="chargingprofiles")
            found = [message for message in found if message.interface == "receiver"]
            return found if len(found) >= count else []

        return self.running.wait_for(enough)

    def post_result(self, url: str, body: bytes | dict[str, Any]) -> requests.Response:
        """The EVSE's result, on the response_url that this CPO was given."""
        return self.send("POST", url, body)

    # Senders of charging profiles ---------------------------------------------------------------

    def response_url(self, name: str, query: str = "") -> str:
        """A URL of this party's for results."""
        base = self.platform.endpoint_url("chargingprofiles", SENDER)
        return f"{base}/results/{name}{query}"

    def put_profile(
        self, session_id: str, *, to: "Actor | PartyId | None" = None, **more: Any
    ) -> requests.Response:
        """PUT of a charging profile; results come to `.../results/{session_id}`."""
        body = {"charging_profile": PROFILE, "response_url": self.response_url(session_id)} | more
        return self.send("PUT", f"receiver/chargingprofiles/{session_id}", body, to=to)

    def get_profile(
        self, session_id: str, *, to: "Actor | PartyId | None" = None
    ) -> requests.Response:
        """GET of the active profile; results come as for `put_profile`."""
        url = quote(self.response_url(session_id), safe="")
        path = f"receiver/chargingprofiles/{session_id}?duration=900&response_url={url}"
        return self.send("GET", path, to=to)

    def delete_profile(
        self, session_id: str, *, to: "Actor | PartyId | None" = None
    ) -> requests.Response:
        """DELETE of the profile; results come as for `put_profile`."""
        url = quote(self.response_url(session_id), safe="")
        path = f"receiver/chargingprofiles/{session_id}?response_url={url}"
        return self.send("DELETE", path, to=to)

    def command(
        self, method: str, session_id: str, *, to: "Actor | PartyId | None" = None
    ) -> requests.Response:
        """One of the three above."""
        if method == "PUT":
            return self.put_profile(session_id, to=to)
        return (self.get_profile if method == "GET" else self.delete_profile)(session_id, to=to)

    def results(self, session_id: str, count: int = 1, timeout: float = PATIENCE) -> list[Received]:
        """Wait for results at the response_url of `put_profile`."""
        return self.wait_for(
            session_id, module="chargingprofiles", method="POST", count=count, timeout=timeout
        )


def url_given(message: Received) -> str:
    """The response_url that a CPO was given."""
    found = message.query.get("response_url") or message.json()["response_url"]
    assert isinstance(found, str)
    return found


class Cast:
    """The parties of a module's tests, each connected at its first use."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub

    @cached_property
    def cpo(self) -> Actor:
        """Owner of most sessions."""
        return Actor(self.hub, Role.CPO)

    @cached_property
    def other_cpo(self) -> Actor:
        """A second one, with session ids of its own."""
        return Actor(self.hub, Role.CPO)

    @cached_property
    def without_profiles(self) -> Actor:
        """A CPO that does not offer ChargingProfiles."""
        return Actor(self.hub, Role.CPO, without=[("chargingprofiles", RECEIVER)])

    @cached_property
    def emsp(self) -> Actor:
        """Issuer of most tokens."""
        return Actor(self.hub, Role.EMSP)

    @cached_property
    def other_emsp(self) -> Actor:
        """A second one, a stranger to most sessions."""
        return Actor(self.hub, Role.EMSP)

    @cached_property
    def scsp(self) -> Actor:
        """The flexibility provider."""
        return Actor(self.hub, Role.SCSP)

    @cached_property
    def other_scsp(self) -> Actor:
        """A second one."""
        return Actor(self.hub, Role.SCSP)


def code(response: requests.Response) -> int:
    """The OCPI status code."""
    found = response.json()["status_code"]
    assert isinstance(found, int)
    return found


class Held:
    """Answers the first PUT when it is told to; all else at once."""

    def __init__(self, answer: dict[str, Any] = ACCEPTED) -> None:
        self.answer = answer
        self.has_come, self.may_go = threading.Event(), threading.Event()

    async def __call__(self, message: Received) -> Reply:
        if message.method != "PUT" or self.has_come.is_set():
            return Reply(ACCEPTED)
        self.has_come.set()
        await asyncio.to_thread(self.may_go.wait, PATIENCE)
        return Reply(self.answer)
