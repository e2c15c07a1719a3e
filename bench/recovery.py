"""`script/bench recovery`: PostgreSQL fails over while the hub runs; a restore to a moment.

*Fail-over.* A primary and a synchronous standby; the hub knows both (`DATABASE_URL` with two
hosts). While updates, Tariffs, profile commands and CDRs flow, the primary is killed, and a while
later the standby is promoted. Everything that was acknowledged, before, meanwhile or after, must be
at its receivers and in the store.

*Restore.* A base backup, an archived log, traffic; then somebody deletes all Locations and CDRs.
The cluster is restored to the moment before, and a hub starts on it.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import psycopg
import requests

from bench.clusters import Archiving, Restored, of_both, rows, until
from bench.faults import Parties, Report, _compare, _join, _settle
from bench.flexibility import manage
from bench.programs import Program, free_port

SERVE = [sys.executable, "-m", "stack", "serve"]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _hub(folder: Path, url: str) -> tuple[Program, dict[str, str]]:
    env = {"DATABASE_URL": url, "REDIS_URL": "", "WEB_WORKERS": "2", "PORT": str(free_port())}
    env |= {"FLEXHUB_DATA": str(folder / "data"), "FORWARD_TIMEOUT": "5"}
    # Before, since on a busy machine it takes longer than a hub may take to start.
    manage({**env, "REDIS_URL": "redis://127.0.0.1:1/0"}, "migrate", "--no-input")
    return Program("hub", SERVE, folder, env=env), env


# --- Fail-over ----------------------------------------------------------------------------------


def fail_over(folder: Path, calm: float, gap: float) -> list[str]:
    """What should not have happened."""
    with ExitStack() as stack:
        primary = Archiving(folder / "primary")
        stack.callback(primary.stop)
        primary.start()
        primary.copied_to(folder / "standby", "--write-recovery-conf")
        standby = Archiving(folder / "standby")
        stack.callback(standby.stop)
        standby.start()
        # After the copy: the standby must not wait for another one when it is promoted.
        with psycopg.connect(primary.url, autocommit=True) as database:
            database.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            database.execute("SELECT pg_reload_conf()")
        sync = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        until(lambda: primary.says(sync) is True, "the standby is synchronous")
        hub, env = _hub(folder, of_both(primary, standby))
        with hub:
            hub.await_line("Flexhub is ready")
            report = asyncio.run(_through(env, primary, standby, calm, gap))
        _say(str(report))
        lines = hub.output.read_text(errors="replace").splitlines()
        _say(f"the hub's log: {len(lines)} lines, {sum(' ERROR' in one for one in lines)} errors")
        for line in [one for one in lines if " ERROR" in one][:10]:
            _say(f"  {line}")
    return report.problems


async def _through(
    env: dict[str, str], primary: Archiving, standby: Archiving, calm: float, gap: float
) -> Report:
    parties, report = Parties(3, 6), Report()
    try:
        await _join(env, parties)
        commands = asyncio.create_task(parties.commander.command_on(parties.commanded.party))
        await parties.teller.begin(parties.steady, cdrs_per_second=5)
        await asyncio.sleep(calm)
        await asyncio.to_thread(_change_over, parties, primary, standby, gap, env["PORT"])
        await asyncio.sleep(calm)
        await parties.teller.end()
        parties.commander.end()
        await commands
        await _settle(parties)
        await _compare(parties, report)
    finally:
        for platform in parties.all:
            await platform.stop()
    return report


def _change_over(
    parties: Parties, primary: Archiving, standby: Archiving, gap: float, port: str
) -> None:
    """Kill the one, promote the other; how long nobody was acknowledged anything."""

    def taken() -> int:
        return sum(dict(parties.teller.told.updates).values())

    killed = time.monotonic()
    primary.die()
    time.sleep(gap)
    status = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
    _say(f"without a database: /readyz says {status.status_code} {status.text}")
    before, promoted = taken(), time.monotonic()
    if standby.says("SELECT pg_promote()") is not True:
        raise RuntimeError("the standby was not promoted")
    took = time.monotonic() - promoted
    until(lambda: taken() > before, "the hub takes updates again")
    now = time.monotonic()
    _say(
        f"promoted {promoted - killed:.1f} s after the kill, within {took:.1f} s; updates are "
        f"taken again {now - promoted:.1f} s after that began, {now - killed:.1f} s after the kill"
    )


# --- A restore to a moment ----------------------------------------------------------------------


def restore(folder: Path, calm: float) -> list[str]:
    """What differs from the moment that was asked for."""
    problems: list[str] = []
    with ExitStack() as stack:
        server = Archiving(folder / "server")
        stack.callback(server.stop)
        server.start()
        server.copied_to(folder / "base")
        hub, env = _hub(folder, server.url)
        with hub:
            hub.await_line("Flexhub is ready")
            asyncio.run(_traffic(env, calm))
        before = rows(server.url)
        moment = server.says("SELECT clock_timestamp()")
        assert isinstance(moment, datetime)  # noqa: S101 - narrows for mypy
        with psycopg.connect(server.url, autocommit=True) as database:
            database.execute("SELECT pg_sleep(1)")
            database.execute("TRUNCATE ocpi_locations_location, ocpi_cdrs_cdr CASCADE")
            database.execute("SELECT pg_switch_wal()")
        _say(f"the accident: {sum(before.values()) - sum(rows(server.url).values())} rows are gone")
        last = str(server.says("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)"))
        until(
            lambda: str(server.says("SELECT last_archived_wal FROM pg_stat_archiver")) >= last,
            "the log is archived",
        )
        server.die()
        begun = time.monotonic()
        restored = Restored(folder / "base", server.archive, moment)
        stack.callback(restored.stop)
        restored.start()
        until(lambda: restored.says("SELECT NOT pg_is_in_recovery()") is True, "it takes writes")
        _say(f"restored to {moment:%H:%M:%S.%f} in {time.monotonic() - begun:.1f} s")
        after = rows(restored.url)
        problems += [
            f"{table}: {after.get(table)} rows, not {number}"
            for table, number in before.items()
            if after.get(table) != number
        ]
        hub, env = _hub(folder, restored.url)
        with hub:
            hub.await_line("Flexhub is ready")
            ready = requests.get(f"http://127.0.0.1:{env['PORT']}/readyz", timeout=30)
            _say(f"a hub on it: {ready.status_code} {ready.text}")
            if ready.status_code != 200:
                problems.append("a hub on the restored database is not ready")
    _say(f"{len(before)} tables, {sum(before.values())} rows compared: {len(problems)} differ")
    return problems


async def _traffic(env: dict[str, str], seconds: float) -> None:
    parties = Parties(2, 4)
    try:
        await _join(env, parties)
        await parties.teller.begin(parties.steady, cdrs_per_second=5)
        await asyncio.sleep(seconds)
        await parties.teller.end()
        await _settle(parties)
    finally:
        for platform in parties.all:
            await platform.stop()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--only", choices=["fail-over", "restore"])
    parser.add_argument("--calm", type=float, default=15.0, help="seconds of traffic around it")
    parser.add_argument("--gap", type=float, default=5.0, help="seconds until the promotion")


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 when nothing was lost."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="flexhub-recovery-", ignore_cleanup_errors=True) as one:
        os.chmod(one, 0o755)  # noqa: S103 - PostgreSQL may run as another user, and passes it
        if options.only != "restore":
            (Path(one) / "a").mkdir()
            problems += fail_over(Path(one) / "a", options.calm, options.gap)
        if options.only != "fail-over":
            (Path(one) / "b").mkdir()
            problems += restore(Path(one) / "b", options.calm)
    _say("".join(f"  {problem}\n" for problem in problems[:50]) or "nothing lost")
    return 1 if problems else 0
