"""A hub of an older checkout: its commands and processes, run from its own files."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.programs import PROJECT, Program, free_port
from stack.postgres import Postgres
from stack.processes import keep_quiet
from stack.valkey import Valkey


@dataclass(frozen=True)
class Older:
    """A checkout, and the services that its hub has."""

    name: str
    checkout: Path
    folder: Path
    env: dict[str, str]

    def run(self, *arguments: str, told: str = "") -> str:
        """One of its own commands to its end; what it wrote."""
        done = subprocess.run(  # noqa: S603 - our own commands, no shell
            [sys.executable, *arguments],
            env={**os.environ, **self.env, "PYTHONPATH": str(self.checkout)},
            cwd=self.checkout,
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {arguments}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def program(
        self,
        name: str,
        *arguments: str,
        core: int | None = None,
        listening: socket.socket | None = None,
        **env: str,
    ) -> Program:
        """One of its processes."""
        return Program(
            f"{self.name}-{name}",
            [sys.executable, *arguments],
            self.folder,
            env={**self.env, **env, "PYTHONPATH": str(self.checkout)},
            core=core,
            listening=listening,
            checkout=self.checkout,
        )


@contextmanager
def served(name: str, checkout: Path, folder: Path) -> Iterator[Older]:
    """A migrated database and a broker; stopped in reverse order."""
    with ExitStack() as stack:
        own = folder / name
        (own / "data").mkdir(parents=True)
        postgres = Postgres(own / "postgres", sink=keep_quiet)
        stack.callback(postgres.stop)
        valkey = Valkey(own / "valkey", sink=keep_quiet)
        stack.callback(valkey.stop)
        env = {
            "DATABASE_URL": postgres.start(),
            "REDIS_URL": valkey.start(),
            "FLEXHUB_DATA": str(own / "data"),
            "BACKLOG_MAX_SECONDS": "3600",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
        }
        hub = Older(name, checkout, own, env)
        hub.run("manage.py", "migrate", "--no-input")
        yield hub


@contextmanager
def both(against: Path, folder: Path) -> Iterator[list[Older]]:
    """This hub, then the older one."""
    with served("now", PROJECT, folder) as now, served("former", against, folder) as former:
        yield [now, former]


@contextmanager
def serving(name: str, checkout: Path, folder: Path) -> Iterator[tuple[Older, Program, int]]:
    """A checkout as `script/server` starts it; its program, and the process id of PostgreSQL."""
    own = folder / name
    own.mkdir()
    env = {"FLEXHUB_DATA": str(own / "data"), "PORT": str(free_port()), "WEB_WORKERS": "2"}
    hub = Older(name, checkout, own, env)
    with hub.program("hub", "-m", "stack", "serve") as program:
        program.await_line("Flexhub is ready")
        [pid_file] = own.glob("data/**/postmaster.pid")
        yield hub, program, int(pid_file.read_text().split()[0])
