"""`script/bench guards`: no party can harm another (decision 0023).

An honest pair exchanges messages while another platform, or a stranger, does all it can (bench/
attack.py), through the hub and through a bare ASGI hop in turn.
"""

import argparse
import socket
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from bench import attack, load
from bench.attack import ACCOMPLICE, BIG, EVIL, NAMELESS, UNDER_WAY
from bench.forwarding import location
from bench.measurements import Measurement, Ratio, percentile
from bench.programs import OTHER_CORE, Program, served
from bench.report import report
from bench.setting import CPO, EMSP, FORWARDED, joined, routed, services, to_hop

CONNECTIONS = 32
PER_SECOND = 300.0
MOST_RATIO = 2.0
MOST_MEGABYTES = 400.0
_FILL = """
    INSERT INTO ocpi_locations_location
        (owner, object_id, audience, last_updated, document, received_at)
    SELECT %s, 'M' || n, '', now(), %s, now() FROM generate_series(1, %s) AS n
"""


@dataclass
class Hop:
    """What the honest pair's messages go through, and how long they took beside each attack."""

    program: Program
    at: attack.At
    requests: list[bytes]
    rounds: dict[str, list[load.Outcome]] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    busy: dict[str, list[float]] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)

    def serve(self, name: str, seconds: float) -> None:
        """One round of the honest pair."""
        self.program.forget_peak()
        before = self.program.cpu_seconds()
        run = load.run(self.at.port, self.requests, seconds, per_second=PER_SECOND)
        outcome = uvloop.run(run)
        self.rounds.setdefault(name, []).append(outcome)
        used = self.program.cpu_seconds() - before
        self.busy.setdefault(name, []).append(used / outcome.seconds)
        peak = self.program.peak_megabytes()
        self.megabytes[name] = max(self.megabytes.get(name, 0.0), peak)

    def suffer(self, name: str, folder: Path, seconds: float) -> None:
        """One round of it beside an attack."""
        command = [sys.executable, "-m", "bench.attack", name]
        env = {"BENCH_ATTACK": self.at.told()}
        with Program("attack", command, folder, env=env, core=OTHER_CORE) as attacker:
            attacker.await_line(UNDER_WAY)
            self.serve(name, seconds)
            self.answers.setdefault(name, []).append(attacker.last_line())

    def p99(self, name: str) -> list[float]:
        """Of each round, in milliseconds."""
        return [1000 * percentile(one.latencies, 0.99) for one in self.rounds[name]]

    def errors(self, name: str) -> int:
        """What went wrong for the honest pair."""
        return sum(len(one.errors) for one in self.rounds[name])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--quick", action="store_true", help="a look: two short rounds")
    parser.add_argument("--only", action="append", choices=list(attack.ATTACKS))
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    names: list[str] = options.only or list(attack.ATTACKS)
    rounds, seconds = (2, 3.0) if options.quick else (4, 6.0)
    return report("guards", options.out, lambda folder: measure(folder, names, rounds, seconds))


def measure(
    folder: Path, names: list[str], rounds: int, seconds: float
) -> tuple[list[Measurement], dict[str, Any]]:
    """Each attack in turn, on the hub and on the bare hop; several times over."""
    with hops(folder) as (hub, bare):
        for hop in (hub, bare):
            hop.serve(_QUIET, 1.0)  # connections, caches: not counted
            hop.rounds.clear()
            hop.busy.clear()
        for _ in range(rounds):
            for hop in (hub, bare):
                hop.serve(_QUIET, seconds)
            for name in names:
                for hop in (hub, bare):
                    hop.suffer(name, folder, seconds)
    raw = {
        who: {
            name: {
                "p50_ms": [_milliseconds(one, 0.5) for one in hop.rounds[name]],
                "p99_ms": [_milliseconds(one, 0.99) for one in hop.rounds[name]],
                "messages": [one.count for one in hop.rounds[name]],
                "errors": hop.errors(name),
                "share_of_core": [round(value, 2) for value in hop.busy[name]],
                "megabytes": round(hop.megabytes[name]),
                "attacker_was_answered": hop.answers.get(name, []),
            }
            for name in (_QUIET, *names)
        }
        for who, hop in (("hub", hub), ("bare", bare))
    }
    return [line for name in (_QUIET, *names) for line in _figures(name, hub, bare)], raw


_QUIET = "nobody does anything"


def _milliseconds(outcome: load.Outcome, part: float) -> float:
    return round(1000 * percentile(outcome.latencies, part), 2)


def _figures(name: str, hub: Hop, bare: Hop) -> Iterator[Measurement]:
    ratio = Ratio.of(hub.p99(name), bare.p99(name))
    through_hub, through_bare = (statistics.median(hop.p99(name)) for hop in (hub, bare))
    told = f"{ratio.told()}; {through_hub:.1f} ms, bare {through_bare:.1f} ms"
    is_quiet = name == _QUIET
    yield Measurement(
        f"{name}: p99, hub / bare",
        told,
        "" if is_quiet else "at most 2",
        None if is_quiet else ratio.median <= MOST_RATIO,
    )
    errors, most = hub.errors(name), hub.megabytes[name]
    yield Measurement(
        "the same: errors of the pair; memory of the hub",
        f"{errors}; {most:.0f} MB (bare {bare.megabytes[name]:.0f} MB)",
        "none; under 400 MB",
        errors == 0 and most < MOST_MEGABYTES,
    )


@contextmanager
def hops(folder: Path) -> Iterator[tuple[Hop, Hop]]:
    """The hub and the bare hop, before the same receiver and the same greedy platform."""
    with ExitStack() as stack:
        target, greedy = (_party(stack, folder, name) for name in ("receiver", "greedy"))
        env = stack.enter_context(services(folder))
        tokens = joined(env, _parties(target, greedy))
        document = location()
        with psycopg.connect(env["DATABASE_URL"], autocommit=True) as database:
            database.execute(_FILL, [str(CPO), document, 20_000])
            database.execute("VACUUM ANALYZE ocpi_locations_location")
        silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        silent.bind(("127.0.0.1", 0))
        names = {"BENCH_NAMES": str(silent.getsockname()[1])}
        hub, hub_port = stack.enter_context(
            served("bench.slow_names:application", folder, env | names, like_hub=True)
        )
        bare, bare_port = stack.enter_context(
            served(
                "bench.bare_hop:application",
                folder,
                {"BENCH_TARGET": target, "BENCH_GREEDY": greedy},
            )
        )
        ids = [f"LOC{number:03}" for number in range(CONNECTIONS)]
        yield (
            Hop(
                hub,
                attack.At(hub_port, greedy, tokens, is_bare=False),
                [routed(tokens[str(CPO)], FORWARDED, EMSP, one, document) for one in ids],
            ),
            Hop(
                bare,
                attack.At(bare_port, greedy, tokens, is_bare=True),
                [to_hop(0, one, document) for one in ids],
            ),
        )


def _party(stack: ExitStack, folder: Path, name: str) -> str:
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
    command = [sys.executable, "-m", f"bench.{name}", str(listening.fileno())]
    stack.enter_context(Program(name, command, folder, core=OTHER_CORE, listening=listening))
    port: int = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def _parties(target: str, greedy: str) -> list[dict[str, Any]]:
    """The honest pair; the platform that harms, its accomplice, and who is at no name."""
    return [
        {"party": str(CPO), "role": "CPO", "url": f"{target}/0"},
        {"party": str(EMSP), "role": "EMSP", "url": f"{target}/0"},
        {"party": str(EVIL), "role": "EMSP", "url": f"{greedy}/greedy", "sends": ["commands"]},
        {
            "party": str(ACCOMPLICE),
            "role": "CPO",
            "url": f"{greedy}/greedy",
            "sends": [BIG],
            "receives": ["commands", "locations"],
        },
        {"party": str(NAMELESS), "role": "CPO", "url": "http://nobody.flexhub.example/greedy"},
    ]
