"""What a benchmark leaves: its table, the figures behind it, and whether the machine was quiet."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import measurements
from bench.measurements import Measurement
from bench.programs import OTHER_CORE, load_average, results_file

# A load average above this at the start means that others use the machine.
QUIET = 0.7


def report(
    name: str, out: Path | None, measure: Callable[[Path], tuple[list[Measurement], dict[str, Any]]]
) -> int:
    """Measure in a folder of its own, with all but the measured program on the other core."""
    raw: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "load_before": load_average(),
    }
    os.sched_setaffinity(0, {OTHER_CORE})
    with tempfile.TemporaryDirectory(prefix="flexhub-bench-", ignore_cleanup_errors=True) as folder:
        lines, raw[name] = measure(Path(folder))
    raw["load_after"] = load_average()
    raw["table"] = [vars(line) for line in lines]
    file = results_file(name, out)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(raw, indent=1))
    busy = "; OTHER WORK WAS RUNNING" if raw["load_before"] > QUIET else ""
    sys.stdout.write(
        f"{measurements.table(lines)}\n\n{raw['cores']} cores; load average "
        f"{raw['load_before']:.1f} before, {raw['load_after']:.1f} after{busy}. Figures: {file}\n"
    )
    return 0
