"""`script/bench record`: what the record costs a forwarded message, and how it is searched."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import measurements
from bench.forwarding import CONNECTIONS, Contestant
from bench.measurements import Measurement, Ratio
from bench.programs import OTHER_CORE, PROJECT, load_average, results_file, served
from bench.setting import CPO, EMSP, Setting, setting
from hub.ocpi.v2_2_1 import BASE_PATH

ROWS = 1_000_000
MOST_COST = 1.10
MOST_MILLISECONDS = 200.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--quick", action="store_true", help="few rounds, a tenth of the rows")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write the figures behind it."""
    quick: bool = options.quick
    out = results_file("record", options.out)
    raw: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": load_average(),
    }
    every_core = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="flexhub-bench-", ignore_cleanup_errors=True) as name:
        os.sched_setaffinity(0, {OTHER_CORE})
        with setting(Path(name), hang_milliseconds=1_000) as at:
            lines, raw["forwarding"] = forwarding(at, *((2, 0.5) if quick else (8, 1.4)))
            os.sched_setaffinity(0, every_core)
            found, raw["searching"] = searching(at, ROWS // 10 if quick else ROWS)
    lines += found
    raw["load_after"] = load_average()
    raw["table"] = [vars(line) for line in lines]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=1))
    sys.stdout.write(
        f"{measurements.table(lines)}\n\nLoad average {raw['load_before']:.1f} before, "
        f"{raw['load_after']:.1f} after. Figures: {out}\n"
    )
    return 0


def forwarding(
    at: Setting, rounds: int, seconds: float
) -> tuple[list[Measurement], dict[str, Any]]:
    """Two web processes of one hub in turn: one records, one does not."""
    # A GET is kept by nobody: of all messages the cheapest, so that the record weighs most.
    path = f"{BASE_PATH}/receiver/locations/{CPO.country_code}/{CPO.party_id}"
    requests = [
        at.to_hub("locations", EMSP, f"LOC{number:03}", b"").replace(b"PUT", b"GET", 1)
        for number in range(CONNECTIONS)
    ]
    if path.encode() not in requests[0]:
        raise RuntimeError("the requests are not what they are meant to be")
    without = {**at.env, "RECORD_MESSAGES": "no"}
    with served("hub.asgi:application", at.folder, without, name="hub-without") as (other, port):
        pair = [
            Contestant("recorded", at.hub, at.hub_port, requests),
            Contestant("not recorded", other, port, requests),
        ]
        for one in pair:
            one.compete(seconds / 2)  # connections, caches: not counted
            one.forget()
        for _ in range(rounds):
            for one in pair:
                one.compete(seconds)
    recorded, plain = pair
    cost = Ratio.of(recorded.cpu, plain.cpu)
    raw = {
        one.name: {
            "cpu_microseconds": [round(1e6 * value, 1) for value in one.cpu],
            "messages_per_second": [round(value) for value in one.rate],
        }
        for one in pair
    }
    return [
        Measurement(
            "CPU of the web process a message: recorded / not",
            cost.told(),
            f"at most {MOST_COST:.2f}",
            cost.median <= MOST_COST,
        )
    ], raw


def searching(at: Setting, number: int) -> tuple[list[Measurement], dict[str, Any]]:
    """A full table, filled as the drain does it, and what operators ask of it."""
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "bench.record_rows", str(number)],
        env={**os.environ, **at.env},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"filling the record: {done.stderr.strip()[-500:]}")
    raw: dict[str, Any] = json.loads(done.stdout)
    times: dict[str, float] = raw["search_ms"]
    slowest = max(times, key=lambda name: times[name])
    return [
        Measurement(
            f"searches of {number:,} messages: the slowest of {len(times)}",
            f"{times[slowest]:.0f} ms ({slowest})",
            f"under {MOST_MILLISECONDS:.0f} ms",
            times[slowest] < MOST_MILLISECONDS,
        ),
        Measurement("draining: rows a second into PostgreSQL", f"{raw['rows_a_second']:,}"),
        Measurement("the same: CPU of the drain a row", f"{raw['cpu_microseconds_a_row']} µs"),
        Measurement("the same: disk a row, with its indexes", f"{raw['bytes_a_row']} bytes"),
    ], raw
