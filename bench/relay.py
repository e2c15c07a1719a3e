"""`script/bench relay`: forwarding, slow parties and the flexibility journey, in one run."""

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import flexibility, forwarding, measurements, slow_parties
from bench.measurements import Measurement
from bench.programs import MEASURED_CORE, OTHER_CORE, load_average, results_file
from bench.setting import setting

# A load average above this at the start means that others use the machine.
QUIET = 0.7
PARTS = ("forwarding", "slow", "flexibility")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--quick", action="store_true", help="a look: few and short rounds")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write the figures behind it."""
    parts: tuple[str, ...] = tuple(options.only or PARTS)
    quick: bool = options.quick
    out = results_file("relay", options.out)
    lines: list[Measurement] = []
    raw: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "load_before": load_average(),
    }

    def add(name: str, measured: tuple[list[Measurement], dict[str, Any]]) -> None:
        lines.extend(measured[0])
        raw[name] = measured[1]
        sys.stderr.write(f"{measurements.table(measured[0])}\n\n")

    with tempfile.TemporaryDirectory(prefix="flexhub-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if {"forwarding", "slow"} & set(parts):
            every_core = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {OTHER_CORE})
            with setting(folder, hang_milliseconds=5_000 if quick else 30_000) as at:
                if "forwarding" in parts:
                    add("forwarding", forwarding.measure(at, *((2, 0.5) if quick else (6, 1.4))))
                if "slow" in parts:
                    add("in_flight", slow_parties.in_flight(at, *((1, 1.0) if quick else (3, 2.5))))
                    add("hanging", slow_parties.hanging(at, 1.0 if quick else 6.0))
            os.sched_setaffinity(0, every_core)
        if "flexibility" in parts:
            steps = (10.0,) if quick else (10.0, 15.0, 20.0, 30.0, 40.0, 50.0)
            add("flexibility", flexibility.measure(folder, steps, 3.0 if quick else 6.0))
    raw["load_after"] = load_average()
    raw["table"] = [vars(line) for line in lines]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=1))
    pinned = "the hop on one core, load and receiver on the other"
    if MEASURED_CORE == OTHER_CORE:
        pinned = "everything on one core: rates say little"
    if raw["load_before"] > QUIET:
        pinned += "; OTHER WORK WAS RUNNING: ratios of CPU hold, latencies and rates do not"
    sys.stdout.write(
        f"{measurements.table(lines)}\n\n{raw['cores']} cores, {pinned}; load average "
        f"{raw['load_before']:.1f} before, {raw['load_after']:.1f} after. Figures: {out}\n"
    )
    return 0
