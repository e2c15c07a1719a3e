"""`script/bench console`: how long each page of the console takes a hub that is full."""

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
from bench.measurements import Measurement
from bench.programs import PROJECT, load_average, results_file
from bench.setting import services

PARTIES = 1_000
MESSAGES = 1_000_000
MOST_MILLISECONDS = 300.0
SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", default="", help="pages whose address has this in it")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Fill, ask for every page, print the slowest; 1 when one takes too long or fails."""
    out = results_file("console", options.out)
    share = 10 if options.quick else 1
    raw: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": load_average(),
    }
    with (
        tempfile.TemporaryDirectory(prefix="flexhub-bench-", ignore_cleanup_errors=True) as name,
        services(Path(name), durable=False) as env,
    ):
        raw |= _asked(env, PARTIES // share, MESSAGES // share, options.only)
    lines = _lines(raw["pages"])
    raw["load_after"] = load_average()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=1))
    sys.stdout.write(
        f"{measurements.table(lines)}\n\n{len(raw['pages'])} pages, {raw['parties']:,} parties, "
        f"{raw['messages']:,} messages. Load average {raw['load_before']:.1f} before, "
        f"{raw['load_after']:.1f} after. Figures: {out}\n"
    )
    slow = [page for page in raw["pages"] if page["ms"] >= MOST_MILLISECONDS]
    return 1 if slow or any(page["status"] >= 500 for page in raw["pages"]) else 0


def _asked(env: dict[str, str], parties: int, messages: int, only: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "bench.console_pages", str(parties), str(messages), only],
        env={**os.environ, **env},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError("the pages could not be asked for; see above")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _lines(pages: list[dict[str, Any]]) -> list[Measurement]:
    """The slowest pages; what failed is never left out."""
    failed = [page for page in pages if page["status"] >= 500]
    slowest = sorted(pages, key=lambda page: -page["ms"])[:SHOWN]
    return [
        Measurement(
            page["url"],
            f"{page['ms']:.0f} ms, {page['cpu_ms']:.0f} of them here, {page['queries']} queries"
            + (f", HTTP {page['status']}" if page["status"] != 200 else ""),
            f"under {MOST_MILLISECONDS:.0f} ms",
            page["ms"] < MOST_MILLISECONDS and page["status"] < 500,
        )
        for page in {page["url"]: page for page in [*failed, *slowest]}.values()
    ]
