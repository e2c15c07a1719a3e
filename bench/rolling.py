"""`script/bench rolling`: an update of several hosts, and a rollback, while messages flow.

The schema is that of this checkout; the processes are first those of an older commit beside new
ones, then new ones alone, then older ones alone again. Updates, Tariffs, profile commands and CDRs
flow all the while, and everything that was acknowledged must be at its receivers and in the store.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.faults import Parties, Report, _compare, _join, _settle
from bench.older import Older
from bench.programs import PROJECT, Program, free_port
from stack.postgres import Postgres
from stack.processes import keep_quiet
from stack.valkey import Valkey

# Where no release is tagged: the last commit before updates were tried.
BASELINE = "112676c"


def last_release() -> str:
    """The newest tag, or the commit that stands in for one."""
    command = ["git", "-C", str(PROJECT), "describe", "--tags", "--abbrev=0"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or BASELINE


def checked_out(commit: str, folder: Path) -> Path:
    """The files of a commit, in a folder of their own."""
    archive = folder / "older.tar"
    command = ["git", "-C", str(PROJECT), "archive", f"--output={archive}", commit]
    subprocess.run(command, check=True)  # noqa: S603 - git, no shell
    with tarfile.open(archive) as files:
        files.extractall(folder / "older", filter="data")
    return folder / "older"


@contextmanager
def _serving(hub: Older, name: str, port: int) -> Iterator[Program]:
    data = str(hub.folder / name)
    own = {**hub.env, "PORT": str(port), "FLEXHUB_DATA": data, "WEB_WORKERS": "1"}
    with replace(hub, env=own).program(name, "-m", "stack", "serve") as program:
        program.await_line("Flexhub is ready")
        yield program


def drive(folder: Path, commit: str, calm: float) -> Report:
    """Start the services and let it happen."""
    with ExitStack() as stack:
        postgres = Postgres(folder / "postgres", sink=keep_quiet)
        stack.callback(postgres.stop)
        valkey = Valkey(folder / "valkey", sink=keep_quiet)
        stack.callback(valkey.stop)
        env = {
            "DATABASE_URL": postgres.start(),
            "REDIS_URL": valkey.start(),
            "SECRET_KEY": "the same in each process of both releases",
            "FORWARD_TIMEOUT": "5",
            "FLEXHUB_DATA": str(folder),
        }
        new = Older("new", PROJECT, folder, env)
        old = Older("old", checked_out(commit, folder), folder, env)
        new.run("manage.py", "migrate", "--no-input")
        return asyncio.run(_through(old, new, calm))


async def _through(old: Older, new: Older, calm: float) -> Report:
    parties, report, port = Parties(3, 6), Report(), free_port()
    env = {**new.env, "PORT": str(port)}

    async def phase(what: str, *hubs: tuple[Older, str, int]) -> None:
        with ExitStack() as stack:
            for hub, name, at in hubs:
                await asyncio.to_thread(stack.enter_context, _serving(hub, name, at))
            if not parties.teller.told.updates:
                await _join(env, parties)
                commands.append(asyncio.create_task(_commands(parties)))
                await parties.teller.begin(parties.steady, cdrs_per_second=5)
            before = sum(parties.teller.told.updates.values())
            await asyncio.sleep(calm)
            taken = sum(parties.teller.told.updates.values()) - before
            sys.stdout.write(f"{what}: {taken} updates taken in {calm:g} s\n")
            sys.stdout.flush()
            if not taken:
                report.problems.append(f"{what}: no update was taken")
            if what == LAST:
                await _end(parties, commands, report)

    commands: list[asyncio.Task[None]] = []
    for platform in parties.all:
        await platform.start()
    try:
        await phase(
            "older web beside newer processes", (old, "old-1", port), (new, "new-1", free_port())
        )
        await phase("newer ones alone", (new, "new-2", port))
        await phase(LAST, (old, "old-2", port))
    finally:
        for task in commands:
            task.cancel()
        for platform in parties.all:
            await platform.stop()
    for log in sorted(new.folder.glob("*.log")):
        lines = [one for one in log.read_text(errors="replace").splitlines() if " ERROR" in one]
        report.problems += [f"{log.name}: {line}" for line in lines[:5]]
    return report


LAST = "rolled back: older ones alone"


async def _commands(parties: Parties) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await parties.commander.command_on(parties.commanded.party)


async def _end(parties: Parties, commands: list[asyncio.Task[None]], report: Report) -> None:
    await parties.teller.end()
    parties.commander.end()
    await asyncio.gather(*commands)
    await _settle(parties)
    await _compare(parties, report)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--older", help="a commit or tag; the last release otherwise")
    parser.add_argument("--calm", type=float, default=15.0, help="seconds of each part")


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 when nothing was lost."""
    commit = options.older or last_release()
    sys.stdout.write(f"older: {commit}\n")
    with tempfile.TemporaryDirectory(prefix="flexhub-rolling-", ignore_cleanup_errors=True) as name:
        report = drive(Path(name), commit, options.calm)
    sys.stdout.write(f"{report}\n" + "".join(f"  {problem}\n" for problem in report.problems[:50]))
    return 1 if report.problems else 0
