"""`script/bench pull`: the first pull of a long list, one that changes nothing, and one killed.

A whole hub, as `script/server` starts it with its ordinary settings, pulls 100,000 Locations of a
CPO that serves pages of a hundred and costs next to nothing itself (bench/lists.py).
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from bench import measurements
from bench.lists import PAGE
from bench.measurements import Measurement
from bench.programs import Program, free_port, load_average, results_file, run_to_end
from bench.setting import joined
from hub.ocpi.party import PartyId

FIRST, KILLED = PartyId("NL", "CPO"), PartyId("NL", "KIL")
TARGET_SECONDS: Final = 300.0
PATIENCE: Final = 1200.0
_ROW: Final = """
    SELECT state, stored, unchanged, bad, pages, is_requested, begun_at, finished_at
    FROM hub_pull WHERE module = 'locations' AND party_id = %s
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write the figures behind it."""
    out, before = results_file("pull", options.out), load_average()
    with tempfile.TemporaryDirectory(prefix="flexhub-pull-", ignore_cleanup_errors=True) as name:
        lines, raw = _measure(Path(name), options.objects)
    raw |= {"at": datetime.now(UTC).isoformat(timespec="seconds"), "objects": options.objects}
    raw |= {"load_before": before, "load_after": load_average()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw | {"table": [vars(line) for line in lines]}, indent=1))
    sys.stdout.write(
        f"{measurements.table(lines)}\n\nload average {before:.1f} before, {raw['load_after']:.1f} "
        f"after. Figures: {out}\n"
    )
    return 0


def _measure(folder: Path, objects: int) -> tuple[list[Measurement], dict[str, Any]]:
    data = folder / "data"
    env = {"DATABASE_URL": "", "REDIS_URL": "", "WEB_WORKERS": "1", "PULL_SPLAY": "0.001"}
    env |= {"FLEXHUB_DATA": str(data), "PORT": str(free_port())}
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = [sys.executable, "-m", "bench.lists", str(listening.fileno()), str(objects)]
        stack.enter_context(Program("lists", command, folder, listening=listening))
        serve = [sys.executable, "-m", "stack", "serve"]
        hub = stack.enter_context(Program("hub", serve, folder, env=env))
        hub.await_line("Flexhub is ready")
        told = dict(line.split("=", 1) for line in (data / "services.env").read_text().splitlines())
        inside = env | {"DATABASE_URL": told["DATABASE_URL"], "REDIS_URL": told["REDIS_URL"]}
        database = stack.enter_context(psycopg.connect(told["DATABASE_URL"], autocommit=True))

        _join(inside, FIRST, url)
        first = _ended(database, FIRST)
        cpu = hub.family_cpu_seconds()
        run_to_end(inside, "manage.py", "pull", *FIRST, "--module", "locations", "--full")
        again = _ended(database, FIRST)
        cpu = hub.family_cpu_seconds() - cpu

        asked = _asked(url)
        _join(inside, KILLED, url)
        _await(database, KILLED, lambda row: row["stored"] >= objects // 2)
        os.kill(_worker(hub), signal.SIGKILL)
        killed = _ended(database, KILLED)
        asked = _asked(url) - asked
        [(rows,)] = database.execute(
            "SELECT count(*) FROM ocpi_locations_location WHERE owner = %s", [str(KILLED)]
        )
    pages = -(-objects // PAGE)
    whole = first["stored"] == objects and not first["bad"]
    lines = [
        Measurement(
            f"first pull of {objects:,} Locations in {pages:,} pages",
            f"{first['seconds']:.0f} s, {objects / first['seconds']:,.0f}/s",
            f"under {TARGET_SECONDS:.0f} s",
            whole and first["seconds"] < TARGET_SECONDS,
        ),
        Measurement(
            "a full pull that changes nothing",
            f"{again['seconds']:.0f} s, {again['unchanged']:,} unchanged",
            "nothing stored",
            again["stored"] == 0 and again["unchanged"] == objects,
        ),
        Measurement(
            "the same: CPU of all the hub's processes", f"{1e6 * cpu / objects:.0f} µs an object"
        ),
        Measurement(
            "killed by kill -9 halfway: objects, pages asked for",
            f"{rows:,} in {killed['seconds']:.0f} s, {asked:,} of {pages:,}",
            "all, at most one page twice",
            rows == objects and killed["state"] == "FINISHED" and asked <= pages + 1,
        ),
    ]
    return lines, {"first": first, "again": again, "killed": killed | {"asked": asked}}


def _join(env: dict[str, str], party: PartyId, url: str) -> None:
    asked = {"party": str(party), "role": "CPO", "url": url, "sends": ["locations"]}
    joined(env, [asked])


def _ended(database: "psycopg.Connection[Any]", party: PartyId) -> dict[str, Any]:
    row = _await(
        database,
        party,
        lambda row: row["state"] in {"FINISHED", "FAILED"} and not row["is_requested"],
    )
    began, ended = row.pop("begun_at"), row.pop("finished_at")
    return row | {"seconds": (ended - began).total_seconds()}


def _await(database: "psycopg.Connection[Any]", party: PartyId, is_so: Any) -> dict[str, Any]:
    """Look at the row until it is so."""
    limit = time.monotonic() + PATIENCE
    with database.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        while time.monotonic() < limit:
            row = cursor.execute(_ROW, [party.party_id]).fetchone()
            if row is not None and is_so(row):
                return dict(row)
            time.sleep(0.1)
    raise RuntimeError(f"the pull of {party} did not come to that in {PATIENCE:.0f} s: {row}")


def _asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/asked", timeout=10) as answer:  # noqa: S310 - our own server
        return int(answer.read())


def _worker(hub: Program) -> int:
    """The worker that pulls."""
    for pid in hub.family():
        with contextlib.suppress(OSError):  # ended meanwhile
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"pulls@" in line and b"child.py" not in line:
                return pid
    raise RuntimeError(f"no worker pulls: {hub.last_line()}")
