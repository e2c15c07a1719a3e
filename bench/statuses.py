"""What it costs that one of a thousand platforms is away, and that all are at once.

With `--against CHECKOUT` (`git worktree add … 0dcd895`) the same of an older hub, in turn with this
one; its bench need not know of this file.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measurements import Measurement, Ratio
from bench.programs import MEASURED_CORE, PROJECT, Program, cpu_of_family, web_command
from bench.report import report
from stack.postgres import Postgres
from stack.processes import keep_quiet
from stack.serve import listen
from stack.valkey import Valkey

CROWD = PROJECT / "bench" / "crowd.py"
# Between two looks whether a process has come to rest.
PAUSE = 0.3


@dataclass
class Hub:
    """One checkout with its services, a thousand platforms and a web process."""

    checkout: Path
    env: dict[str, str]
    postmaster: int
    web: Program
    database: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)
    changer: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def measure(self, platforms: int) -> None:
        """One round of single changes."""
        before = self._cpu()
        told = json.loads(_run(self.env, self.checkout, str(CROWD), "change", str(platforms)))
        database, web = (after - first for after, first in zip(self._cpu(), before, strict=True))
        self.database.append(database / told["changes"])
        self.process.append(web / told["changes"])
        self.changer.append(told["cpu"])
        self.seconds.append(told["seconds"])

    def all_at_once(self) -> dict[str, float]:
        """Everybody is away and back; with the CPU of the web process meanwhile."""
        _, before = self._cpu()
        told: dict[str, float] = json.loads(_run(self.env, self.checkout, str(CROWD), "all"))
        return {**told, "web": self._cpu()[1] - before}

    def _cpu(self) -> tuple[float, float]:
        """Of the database and of the web process, when both have come to rest."""
        while True:
            before = cpu_of_family(self.postmaster), self.web.cpu_seconds()
            time.sleep(PAUSE)
            now = cpu_of_family(self.postmaster), self.web.cpu_seconds()
            if now[0] - before[0] < 0.02 and now[1] - before[1] < 0.02:
                return now


@contextmanager
def hub_of(checkout: Path, folder: Path, platforms: int) -> Iterator[Hub]:
    """Start all of it; stopped in reverse order."""
    with ExitStack() as stack:
        folder.mkdir()
        postgres = Postgres(folder / "postgres", sink=keep_quiet)
        stack.callback(postgres.stop)
        valkey = Valkey(folder / "valkey", sink=keep_quiet)
        stack.callback(valkey.stop)
        env = {
            "DATABASE_URL": postgres.start(),
            "REDIS_URL": valkey.start(),
            "FLEXHUB_DATA": str(folder),
            "LOG_LEVEL": "ERROR",
        }
        _run(env, checkout, "manage.py", "migrate", "--no-input")
        _run(env, checkout, str(CROWD), "fill", str(platforms))
        listening = stack.enter_context(listen("127.0.0.1", 0))
        web = Program(
            "web",
            [sys.executable, *web_command(checkout), str(listening.fileno())],
            folder,
            env={**env, "PORT": str(listening.getsockname()[1]), "PYTHONPATH": str(checkout)},
            core=MEASURED_CORE,
            listening=listening,
            checkout=checkout,
        )
        stack.enter_context(web)
        _until_it_routes(env, checkout)
        [pid_file] = (folder / "postgres").glob("**/postmaster.pid")
        yield Hub(checkout, env, int(pid_file.read_text().split()[0]), web)


def _until_it_routes(env: dict[str, str], checkout: Path) -> None:
    """A web process that reads its directory has said so."""
    query = "from hub.models import DirectoryReader; print(DirectoryReader.objects.count())"
    limit = time.monotonic() + 60
    while _run(env, checkout, "manage.py", "shell", "-v", "0", "-c", query).strip()[-1:] != "1":
        if time.monotonic() > limit:
            raise RuntimeError("the web process did not start")
        time.sleep(PAUSE)


def _run(env: dict[str, str], checkout: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands, no shell
        [sys.executable, *arguments],
        env={**os.environ, **env, "PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `script/bench statuses` takes."""
    parser.add_argument("--platforms", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--single", action="store_true", help="one status after the other alone")
    parser.add_argument("--against", type=Path, help="a checkout of an older hub")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return report("statuses", options.out, lambda folder: measure(folder, options))


def measure(folder: Path, options: argparse.Namespace) -> tuple[list[Measurement], dict[str, Any]]:
    """Rounds in turn; then everybody at once, of this hub alone."""
    with ExitStack() as stack:
        hub = stack.enter_context(hub_of(PROJECT, folder / "now", options.platforms))
        former = None
        if options.against:
            checkout = options.against.resolve()
            former = stack.enter_context(hub_of(checkout, folder / "former", options.platforms))
        for _ in range(options.rounds):
            hub.measure(50)
            if former is not None:
                former.measure(2)
        everybody = None if options.single else hub.all_at_once()
    figures = [
        figure
        for name, ours, theirs in (
            ("CPU of the database", hub.database, former.database if former else None),
            ("CPU of a web process", hub.process, former.process if former else None),
            ("CPU of the process that changes it", hub.changer, former.changer if former else None),
            ("seconds until it is committed", hub.seconds, former.seconds if former else None),
        )
        for figure in _figures(f"one status of {options.platforms}: {name}", ours, theirs)
    ]
    if everybody is not None:
        figures += _of_everybody(options.platforms, everybody)
    raw = {
        name: {
            "database": one.database,
            "web": one.process,
            "changer": one.changer,
            "seconds": one.seconds,
        }
        for name, one in (("now", hub), ("former", former))
        if one is not None
    }
    return figures, {**raw, "everybody": everybody}


def _of_everybody(platforms: int, told: dict[str, float]) -> list[Measurement]:
    return [
        Measurement(
            f"all {platforms} away and back: seconds until it is committed",
            f"{told['seconds']:.1f} s",
            "at most 60 s",
            told["seconds"] <= 60,
        ),
        Measurement(
            "rows written for it",
            f"{told['rows']:.0f}",
            "at most 100,000",
            told["rows"] <= 100_000,
        ),
        Measurement("CPU of a web process for it", f"{told['web']:.2f} s"),
    ]


def _figures(name: str, ours: list[float], theirs: list[float] | None) -> Iterator[Measurement]:
    yield Measurement(name, f"{1000 * sorted(ours)[len(ours) // 2]:.1f} ms")
    if theirs is not None:
        ratio = Ratio.of(theirs, [max(one, 1e-6) for one in ours])
        yield Measurement("former / now", ratio.told(), "at least 30", ratio.median >= 30)
