"""The hub as processes of its own, on a Valkey of its own: to be killed, and started again."""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Self
from urllib.parse import quote

import requests
from django.conf import settings
from django.db import connection, connections

from hub.routing.directory import holder
from stack.__main__ import CHECKOUT
from stack.processes import Child, keep_quiet, stop
from stack.serve import ALONE, CELERY, WEB
from stack.valkey import Valkey
from tests.clearing import clear_tables
from tests.running_hub import RunningHub

# Longer than a lease and a worker's start, so that a command outlives the worker that carried it.
FORWARD_TIMEOUT = 40


class HubProcesses(RunningHub):
    """Two web processes on sockets of their own, and two workers.

    As under the runner, the sockets outlive the processes: who connects meanwhile is served later.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.valkey = Valkey(folder / "valkey", durable=False)
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _begin(self) -> None:
        self._stack.callback(self._forget)
        self._stack.callback(self.valkey.stop)
        self._stack.callback(lambda: stop(self.children.values()))
        redis_url = self.valkey.start()
        sockets = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2)]
        ports = [listening.getsockname()[1] for listening in sockets]
        settings.BASE_URL = f"http://127.0.0.1:{ports[0]}"
        self.other_url = f"http://127.0.0.1:{ports[1]}"
        env = {
            **os.environ,
            "DATABASE_URL": _database_url(),
            "REDIS_URL": redis_url,
            "PORT": str(ports[0]),
            "FLEXHUB_DATA": str(self.folder),
            "SECRET_KEY": settings.SECRET_KEY,
            "FORWARD_TIMEOUT": str(FORWARD_TIMEOUT),
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
        }
        for number, listening in enumerate(sockets, 1):
            self._stack.callback(listening.close)
            descriptor = listening.fileno()
            self._add(f"web-{number}", env, [*WEB, str(descriptor)], descriptor)
        for name, queues in (("profiles", "profiles"), ("deliveries", "deliveries,pulls,upkeep")):
            options = ["--pool=threads", "-c", "1", "-Q", queues, "-n", f"{name}@%h"]
            self._add(name, env, [*CELERY, "worker", *options, *ALONE])
        for url in (self.url, self.other_url):
            # Before it listens, the socket keeps the request; five starts at once take a while.
            assert requests.get(f"{url}/health", timeout=240).status_code == 200

    def _add(self, name: str, env: dict[str, str], arguments: list[str], fd: int = -1) -> None:
        self.children[name] = Child(
            name,
            [sys.executable, *arguments],
            env={**env, "FLEXHUB_WORKER": name},
            cwd=CHECKOUT,
            fds=[fd] if fd >= 0 else [],
            beats=fd >= 0,
            sink=keep_quiet,
        )
        self.start(name)

    def start(self, name: str) -> None:
        """As the runner does with a child that has ended."""
        self.children[name].start()

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self.children[name].send(signal.SIGKILL)
        assert self.children[name].wait(60)

    def _forget(self) -> None:
        clear_tables()
        holder.__init__()  # type: ignore[misc]
        connections.close_all()


def _database_url() -> str:
    """Of the test database, whose name Django has chosen."""
    database = connection.settings_dict
    user, password = quote(database["USER"], safe=""), quote(database["PASSWORD"], safe="")
    return (
        f"postgresql://{user}:{password}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    )
