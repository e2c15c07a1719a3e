"""A hub in the test process: real HTTP, PostgreSQL and worker; parties on loopback."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

import requests
import uvicorn
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from hub.gateway.gateway import Gateway
from hub.gateway.http_server import Protocol
from hub.models.workers import QUEUES
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from hub.record.recorder import STREAM, connect, recorder
from hub.routing import directory
from hub.routing.directory import holder, wait_until_confirmed
from hub.workers.process import Worker
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.faulty_platform import FaultyPlatform
from simulators.scsp import Scsp
from simulators.testing import PATIENCE, Running, hang_up_all
from tests.clearing import clear_tables

P = TypeVar("P", bound=FaultyPlatform)
_numbers = count(1)


def new_party(country_code: str = "XX") -> PartyId:
    """A party id that no other test of this process uses."""
    number = next(_numbers)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return PartyId(
        country_code, letters[number // 676] + letters[number // 26 % 26] + letters[number % 26]
    )


class RunningHub:
    """`with RunningHub() as hub:` serves until the block ends, and forgets its rows then."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._simulators: dict[type[FaultyPlatform], Running[Any]] = {}
        self._databases: list[BaseDatabaseWrapper] = []

    def __enter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        settings.BASE_URL = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._stack.callback(self._forget)
        # A second is enough for a hub, and may not be for a busy machine of tests.
        self._stack.enter_context(_changed(directory, "CONFIRMATION_WAIT", PATIENCE))
        # A receiver that is only slow on a busy machine is not called twice.
        self._stack.enter_context(changed_setting("DELIVERY_TIMEOUT", PATIENCE))
        # No list is due by itself while a test asks for one.
        self._stack.enter_context(changed_setting("PULL_SPLAY", 1e6))
        connection_created.connect(self._remember)
        server = uvicorn.Server(
            uvicorn.Config(
                Gateway(),
                http=Protocol,
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                ws="none",
            )
        )

        async def serve() -> None:
            await server.serve(sockets=[listening])
            await hang_up_all()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="hub", daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(PATIENCE)

        self._stack.callback(stop)
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the hub's web server did not start")
            thread.join(0.01)
        # What is done by the clock a test does itself.
        worker = Worker(QUEUES, by_the_clock=False)
        worker.start()
        self._stack.callback(worker.join)
        self._stack.callback(worker.stop)
        # The web server ends while the worker does.
        self._stack.callback(setattr, server, "should_exit", True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _remember(self, connection: BaseDatabaseWrapper, **signal: Any) -> None:
        """Celery's threads leave their connections open, which Python would complain about."""
        self._databases.append(connection)

    def _forget(self) -> None:
        connection_created.disconnect(self._remember)
        # What was noted of platforms whose ids come again.
        recorder.flush()
        connect(settings.CELERY_BROKER_URL).delete(STREAM)
        clear_tables()
        holder.__init__()  # type: ignore[misc]
        for database in self._databases:
            database.inc_thread_sharing()
            database.close()
        connections.close_all()

    @property
    def url(self) -> str:
        """The hub's base URL."""
        return str(settings.BASE_URL)

    @property
    def versions_url(self) -> str:
        """What a party is told."""
        return onboarding.versions_url()

    def join(self, simulator: P, *, invite_as: PartyId | None = None) -> Running[P]:
        """Start a simulator and let it register, with the operator's word on all its parties."""
        running = self._stack.enter_context(Running(simulator))
        running.register(self.versions_url, self.invite(simulator, invite_as))
        if sum([onboarding.agree(party) for party in simulator.parties]):
            assert wait_until_confirmed()
        return running

    def invite(self, simulator: FaultyPlatform, first: PartyId | None = None) -> str:
        """The TOKEN_A of an invitation for a simulator's first party."""
        identity = first or simulator.parties[0]
        roles = [role for party, role in simulator.roles if party == identity]
        return onboarding.invite(identity, roles, simulator.name).token

    def running(self, simulator: P) -> Running[P]:
        """Start a simulator without registering it."""
        return self._stack.enter_context(Running(simulator))

    @property
    def cpo(self) -> Running[Cpo]:
        """NL-CPO, registered at its first use."""
        return self._one(Cpo)

    @property
    def emsp(self) -> Running[Emsp]:
        """DE-MSP, registered at its first use."""
        return self._one(Emsp)

    @property
    def scsp(self) -> Running[Scsp]:
        """NL-SCS, registered at its first use."""
        return self._one(Scsp)

    def _one(self, kind: type[P]) -> Running[P]:
        if kind not in self._simulators:
            self._simulators[kind] = self.join(kind())  # type: ignore[call-arg]
        return self._simulators[kind]

    def http(
        self, method: str, path: str, token: str = "", *, body: Any = None, **more: Any
    ) -> requests.Response:
        """A raw request of a party's engineer; `path` is below the hub's base URL or absolute."""
        headers = dict(more.pop("headers", {}))
        if token:
            headers.setdefault("Authorization", authorization(token))
        url = path if path.startswith("http") else f"{self.url}{path}"
        return requests.request(method, url, headers=headers, data=body, timeout=PATIENCE, **more)


def changed_setting(name: str, value: object) -> AbstractContextManager[None]:
    """A setting changed for the running hub within a block."""
    return _changed(settings, name, value)


@contextmanager
def _changed(where: object, name: str, value: object) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)
