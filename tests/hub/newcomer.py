"""A platform that registers by hand, step by step, and a second web process of the hub."""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.db import connection

from hub.models import Party, Platform
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from party.connection import Connection
from simulators.testing import PATIENCE
from tests.hub.strangers import OFFERS, Reply, Stranger, send
from tests.running_hub import RunningHub, new_party

CREDENTIALS = "/ocpi/2.2.1/credentials"


class Newcomer:
    """Invited with its first role; `post`, `put` and `delete` say what a test wants."""

    def __init__(
        self,
        hub: RunningHub,
        *roles: Role,
        party: PartyId | None = None,
        more: tuple[tuple[PartyId, Role], ...] = (),
        offers: tuple[tuple[str, InterfaceRole], ...] = OFFERS,
    ) -> None:
        self.hub = hub
        self.party = party or new_party()
        self.stranger = Stranger(
            *(roles or (Role.CPO,)), party=self.party, more=more, offers=offers, listens=False
        )
        self.running = hub.running(self.stranger)
        self.token_a = self.token = onboarding.invite(
            self.party, list(roles or (Role.CPO,)), f"Newcomer {self.party}"
        ).token

    def accepts(self, token: str) -> str:
        """Let the hub call with this token."""
        self.stranger.by_token[token] = Connection("", sends="", accepts=token)
        return token

    def credentials(self, **changes: Any) -> dict[str, Any]:
        """Its Credentials object with a new TOKEN_B."""
        roles = [
            {
                "role": role,
                "country_code": party.country_code,
                "party_id": party.party_id,
                "business_details": {"name": "Newcomer"},
            }
            for party, role in self.stranger.roles
        ]
        token = self.accepts(secrets.token_urlsafe(24))
        return {"token": token, "url": self.stranger.versions_url, "roles": roles} | changes

    def post(self, **changes: Any) -> Reply:
        """POST of credentials; keeps the token that comes back."""
        return self.say("POST", self.credentials(**changes))

    def put(self, **changes: Any) -> Reply:
        """PUT of credentials; keeps the token that comes back."""
        return self.say("PUT", self.credentials(**changes))

    def delete(self) -> Reply:
        """DELETE of credentials."""
        return send(self.hub, "DELETE", CREDENTIALS, self.token)

    def say(self, method: str, body: Any) -> Reply:
        """Send this to credentials with the token of the moment."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = send(self.hub, method, CREDENTIALS, self.token, body=content)
        if answer.status == 200 and answer.code == 1000:
            self.token = answer.envelope["data"]["token"]
        return answer

    def ask(self, path: str, token: str | None = None) -> Reply:
        """GET with its token of the moment, or another one."""
        return send(self.hub, "GET", path, self.token if token is None else token)

    def opens(self, token: str) -> bool:
        """Whether the hub takes this token."""
        return self.ask("/ocpi/versions", token).status == 200


def platform_of(newcomer: Newcomer) -> Platform:
    """The row of its platform."""
    return Party.objects.filter(party_id=newcomer.party.party_id)[0].platform


def is_as_it_was(newcomer: Newcomer) -> bool:
    """The invitation stands, and nothing of the failed handshake is left."""
    platform = platform_of(newcomer)
    parties = Party.objects.filter(platform=platform)
    return (
        newcomer.opens(newcomer.token_a)
        and not platform.is_registered
        and not platform.token_c_hash
        and not platform.endpoints.exists()
        and {party.status for party in parties} == {"PLANNED"}
        and {party.identity for party in parties} == {newcomer.party}
    )


def role(party: PartyId, as_role: str = "CPO", **changes: Any) -> dict[str, Any]:
    """A CredentialsRole."""
    return {
        "role": as_role,
        "country_code": party.country_code,
        "party_id": party.party_id,
        "business_details": {"name": "Newcomer"},
    } | changes


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returns; all begin at the same moment."""
    gate = threading.Barrier(len(calls))
    results: dict[int, Any] = {}

    def run(number: int, call: Callable[[], Any]) -> None:
        gate.wait(PATIENCE)
        results[number] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return [results[number] for number in range(len(calls))]


@contextmanager
def second_web_process() -> Iterator[str]:
    """Another web process of the same hub, as `script/server` starts two; yields its base URL."""
    database = urlsplit(os.environ["DATABASE_URL"])
    database = database._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = os.environ | {
        "DATABASE_URL": database.geturl(),
        "SECRET_KEY": settings.SECRET_KEY,
        "ENCRYPTION_KEY": settings.ENCRYPTION_KEY,
        "FLEXHUB_WORKER": "web-2",
    }
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        arguments = ["hub.asgi:application", "--fd", str(number), "--log-level", "warning"]
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *arguments], pass_fds=[number], env=environment
        )
        try:
            url = f"http://127.0.0.1:{port}"
            # The socket listens already: this waits until the process answers.
            assert requests.get(f"{url}/health", timeout=2 * PATIENCE).text == "ok\n"
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE)
