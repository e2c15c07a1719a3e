"""`script/bench delivery`: small PATCHes to many receivers, of which some are slow or dead."""

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import measurements
from bench.measurements import Measurement, Ratio, percentile
from bench.programs import Program, free_port, load_average, results_file, run_to_end
from bench.relay import QUIET
from stack.postgres import Postgres
from stack.processes import keep_quiet
from stack.serve import ALONE, CELERY
from stack.valkey import Valkey

PARTS = ("speed", "slow", "whole", "dead", "scale")
RECEIVERS = 50
GRACE_SECONDS = 180
WORKER = ["--pool=threads", "-c", "32", "-Q", "deliveries", *ALONE]
# For the other one: processes, since threads would share one interpreter lock.
ONE_TASK = [sys.executable, "-m", "celery", "--quiet", "-A", "bench.one_task", "worker"]
ONE_TASK += ["--pool=prefork", "-c", "4", "-Q", "one_task", "-P", "prefork"]

Arrival = tuple[int, int, float]


@dataclass(frozen=True)
class Place:
    """Database, broker and receivers of one run."""

    folder: Path
    env: dict[str, str]
    port: int

    def pusher(self, action: str, **options: Any) -> Any:
        """Let the pusher do something to its end."""
        told = run_to_end(self.env, "-m", "bench.pusher", action, told=json.dumps(options))
        return json.loads(told)

    def url(self, number: int, milliseconds: int = 0) -> str:
        """Where the receiver of this number is."""
        return f"http://127.0.0.1:{self.port}/{milliseconds}/{number}"

    def ask(self, what: str) -> Any:
        """What the receivers have noted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{what}") as answer:
            return json.load(answer)

    def await_count(self, count: int, seconds: float = GRACE_SECONDS) -> list[Arrival]:
        """Wait until so many pushes have come; all that came."""
        limit = time.monotonic() + seconds
        while self.ask("count") < count and time.monotonic() < limit:
            time.sleep(0.1)
        return [tuple(one) for one in self.ask("report")]

    @contextmanager
    def worker(self, name: str = "deliveries") -> Iterator[Program]:
        """A Celery worker as the runner starts it."""
        command = [sys.executable, *CELERY, "worker", *WORKER, "-n", f"{name}@%h"]
        with Program(name, command, self.folder, env=self.env) as worker:
            time.sleep(4)  # it says nothing when it is ready
            yield worker


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Start it all; stopped in reverse order."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        command = [sys.executable, "-m", "bench.sink", str(listening.fileno())]
        stack.enter_context(Program("sink", command, folder, listening=listening))
        postgres = Postgres(folder / "postgres", sink=keep_quiet)
        stack.callback(postgres.stop)
        valkey = Valkey(folder / "valkey", sink=keep_quiet)
        stack.callback(valkey.stop)
        (folder / "data").mkdir()
        env = {
            "DATABASE_URL": postgres.start(),
            "REDIS_URL": valkey.start(),
            "FLEXHUB_DATA": str(folder / "data"),
            "BACKLOG_MAX_SECONDS": "3600",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
        }
        run_to_end(env, "manage.py", "migrate", "--no-input")
        yield Place(folder, env, listening.getsockname()[1])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--quick", action="store_true", help="a look: few and short rounds")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write the figures behind it."""
    out = results_file("delivery", options.out)
    lines: list[Measurement] = []
    raw: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "load_before": load_average(),
    }
    measures = {"speed": speed, "slow": slow, "whole": whole, "dead": dead, "scale": scale}
    with (
        tempfile.TemporaryDirectory(prefix="flexhub-bench-", ignore_cleanup_errors=True) as name,
        place(Path(name)) as at,
    ):
        for part in options.only or PARTS:
            found, raw[part] = measures[part](at, options.quick)
            lines += found
            sys.stderr.write(f"{measurements.table(found)}\n\n")
    raw["load_after"] = load_average()
    raw["table"] = [vars(line) for line in lines]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(raw, indent=1))
    busy = "; OTHER WORK WAS RUNNING" if raw["load_before"] > QUIET else ""
    sys.stdout.write(
        f"{measurements.table(lines)}\n\n{raw['cores']} cores for everything; load average "
        f"{raw['load_before']:.1f} before, {raw['load_after']:.1f} after{busy}. Figures: {out}\n"
    )
    return 0


def speed(at: Place, quick: bool) -> tuple[list[Measurement], dict[str, Any]]:
    """Deliveries a second, beside one task for each; then latency at half that load."""
    receivers = at.pusher("parties", urls=[at.url(n) for n in range(RECEIVERS)])
    updates = 60 if quick else 300
    rates, others = [], []
    rounds = 1 if quick else 3
    with at.worker() as worker:
        _pushed(at, receivers, 20, 20)  # connections, caches: not counted
        before = worker.family_cpu_seconds()
        for _ in range(rounds):
            rates.append(_rate(*_pushed(at, receivers, updates, updates)))
        cpu = (worker.family_cpu_seconds() - before) / (rounds * updates * RECEIVERS)
    with Program("one_task", ONE_TASK, at.folder, env=at.env) as worker:
        time.sleep(6)
        _pushed(at, receivers, 4, 4, "one_task")
        before = worker.family_cpu_seconds()
        for _ in range(rounds):
            others.append(_rate(*_pushed(at, receivers, updates // 5, updates, "one_task")))
        other_cpu = worker.family_cpu_seconds() - before
        other_cpu /= rounds * (updates // 5) * RECEIVERS
    rate, other = statistics.median(rates), statistics.median(others)
    at.pusher("clear")
    per_second = rate / 2 / RECEIVERS
    with at.worker():
        _pushed(at, receivers, 20, 20)
        half = int(per_second * (3 if quick else 10))
        committed, came = _pushed(at, receivers, half, half, per_second=per_second)
    late = [when - committed[seq] for _, seq, when in came]
    p50, p99 = percentile(late, 0.5), percentile(late, 0.99)
    lines = [
        Measurement(
            f"{RECEIVERS} receivers, 150-byte PATCHes: deliveries a second",
            f"{rate:.0f}",
            "at least 1,500",
            rate >= 1500,
        ),
        Measurement(
            "the same / one Celery task for each delivery with requests",
            f"{rate / other:.1f} ({other:.0f} a second)",
            "at least 3",
            rate >= 3 * other,
        ),
        Measurement(
            "the same: CPU of the worker a delivery, one task / engine",
            f"{other_cpu / cpu:.1f} ({1e6 * other_cpu:.0f} / {1e6 * cpu:.0f} µs)",
        ),
        Measurement(
            "at half that load: commit to arrival, p99",
            f"{1000 * p99:.0f} ms (p50 {1000 * p50:.0f} ms)",
            "under 250 ms",
            p99 < 0.25,
        ),
    ]
    raw = {"rates": rates, "one_task": others, "cpu": cpu, "one_task_cpu": other_cpu}
    return lines, {**raw, "p50": p50, "p99": p99}


def _pushed(
    at: Place,
    receivers: Sequence[int],
    updates: int,
    objects: int,
    action: str = "spread",
    **how: Any,
) -> tuple[list[float], list[Arrival]]:
    committed = at.pusher(
        action, receivers=list(receivers), updates=updates, objects=objects, **how
    )
    return committed, at.await_count(updates * len(receivers))


def _rate(committed: Sequence[float], came: Sequence[Arrival]) -> float:
    """From the first commit to the last arrival."""
    return len(came) / (max(when for *_, when in came) - committed[0])


def slow(at: Place, quick: bool) -> tuple[list[Measurement], dict[str, Any]]:
    """Receivers that take 200 ms: Session PATCHes, which are never merged."""
    numbers = range(100, 120)
    receivers = at.pusher("parties", urls=[at.url(n, 200) for n in numbers])
    sessions, updates = 50, 100 if quick else 500
    with at.worker():
        committed, came = _pushed(at, receivers, updates, sessions, module="sessions")
    by_receiver: dict[int, list[Arrival]] = defaultdict(list)
    by_session: dict[tuple[int, int], list[int]] = defaultdict(list)
    for arrival in came:
        by_receiver[arrival[0]].append(arrival)
        by_session[arrival[0], arrival[1] % sessions].append(arrival[1])
    rates = [
        len(found) / (found[-1][2] + 0.2 - max(committed[0], found[0][2]))
        for found in by_receiver.values()
    ]
    least = min(rates) if len(rates) == len(numbers) else 0.0
    is_ordered = all(found == sorted(found) for found in by_session.values())
    lines = [
        Measurement(
            "20 receivers that take 200 ms: updates a second to the slowest of them",
            f"{least:.0f}",
            "at least 40",
            least >= 40,
        ),
        Measurement(
            "the same: order of each object", "kept" if is_ordered else "BROKEN", "kept", is_ordered
        ),
    ]
    return lines, {"rates": rates}


def whole(at: Place, quick: bool) -> tuple[list[Measurement], dict[str, Any]]:
    """More changed objects than a receiver that takes 200 ms can be told within minutes."""
    receivers = at.pusher("parties", urls=[at.url(300, 200)])
    objects = 600 if quick else 12_000
    began = time.monotonic()
    with at.worker():
        at.pusher("spread", receivers=receivers, updates=objects, objects=objects)
        came = at.await_count(objects, 600)
    missing = objects - len({seq for _, seq, _ in came})
    left = at.pusher("waiting")
    line = Measurement(
        f"{objects:,} objects to a receiver that takes 200 ms: missing",
        f"{missing} (in {time.monotonic() - began:.0f} s, {len(came) - objects} told twice)",
        "none",
        not missing and not left,
    )
    return [line], {"missing": missing, "left": left}


def dead(at: Place, quick: bool) -> tuple[list[Measurement], dict[str, Any]]:
    """What one dead and one 5-second receiver among fifty take from the other 48."""
    sound = at.pusher("parties", urls=[at.url(n) for n in range(200, 248)])
    well = at.pusher("parties", urls=[at.url(n) for n in (248, 249)])
    ill = at.pusher("parties", urls=[f"http://127.0.0.1:{free_port()}/0/0", at.url(250, 5000)])
    updates = 60 if quick else 300
    rates: dict[bool, list[float]] = {True: [], False: []}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    with at.worker() as worker:
        _pushed(at, [*sound, *well], 20, 20)
        for number in range(4 if quick else 10):
            is_ill = bool(number % 2)
            receivers = [*(ill if is_ill else well), *sound]
            before = worker.family_cpu_seconds()
            committed = at.pusher("spread", receivers=receivers, updates=updates, objects=updates)
            # Of the slow one so many arrive at once.
            came = at.await_count(updates * (len(sound) + (0 if is_ill else 2)) + 10 * is_ill)
            rates[is_ill].append(_rate(committed, [one for one in came if 200 <= one[0] < 248]))
            cpu[is_ill].append(worker.family_cpu_seconds() - before)
            at.pusher("clear")
    without, with_ill = rates[False], rates[True]
    lost = [1 - b / a for a, b in zip(without, with_ill, strict=True)]
    least, median = min(lost), statistics.median(lost)
    lines = [
        Measurement(
            "one dead, one 5 s receiver among 50: the other 48 lose",
            f"{100 * median:.1f} % (from {100 * least:.1f} % to {100 * max(lost):.1f} %)",
            "under 5 %",
            median < 0.05,
        ),
        Measurement(
            "the same: CPU of the worker, with / without", Ratio.of(cpu[True], cpu[False]).told()
        ),
    ]
    return lines, {"without": without, "with": with_ill, "cpu": [cpu[False], cpu[True]]}


def scale(at: Place, quick: bool) -> tuple[list[Measurement], dict[str, Any]]:
    """1,000 receivers and 1,000,000 waiting rows: claims, and the memory of a worker."""
    at.pusher("clear")
    count, each = 1000, 100 if quick else 1000
    receivers = at.pusher("parties", urls=[at.url(1000 + n) for n in range(count)])
    options = {"receivers": receivers, "objects": each}
    empty, full = [], []
    for _ in range(3):
        at.pusher("spread", updates=20, **options)
        empty.append(at.pusher("claims", receivers=receivers, rows=4000))
        at.pusher("clear")
    began = time.monotonic()
    at.pusher("spread", updates=each, **options)
    took = time.monotonic() - began
    rows = at.pusher("waiting")
    for _ in range(3):
        full.append(at.pusher("claims", receivers=receivers, rows=4000))
    with at.worker() as worker:
        # The shards' leases are free; something new wakes the worker.
        at.pusher("spread", updates=1, **options)
        time.sleep(5 if quick else 20)
        memory, delivered = worker.peak_megabytes(), at.ask("count")
    ratio = statistics.median(full) / statistics.median(empty)
    lines = [
        Measurement(
            f"1,000 receivers: claim and mark a row, {rows:,} waiting / none",
            f"{ratio:.2f} ({1e6 * statistics.median(full):.0f} µs)",
            "under 2",
            ratio < 2,
        ),
        Measurement("the same: rows written a second", f"{rows / took:,.0f}"),
        Measurement(
            "the same: memory of the worker that drains them",
            f"{memory:.0f} MB",
            "under 300 MB",
            memory < 300 and delivered > 0,
        ),
    ]
    return lines, {"empty": empty, "full": full, "megabytes": memory, "delivered": delivered}
