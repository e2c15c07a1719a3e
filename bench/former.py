"""This hub beside an older one: what a message, a session's life and a delivery cost, in turn.

`script/bench former --against CHECKOUT` (`git worktree add … 0dcd895`). Each hub has services of
its own; the older one runs from its own files, with the packages of this one.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from bench import load
from bench.delivery import RECEIVERS, WORKER, Arrival
from bench.forwarding import CONNECTIONS, location, session
from bench.journey import Parties, Step
from bench.measurements import Measurement, Ratio
from bench.older import Older, both, served, serving
from bench.programs import (
    MEASURED_CORE,
    OTHER_CORE,
    PROJECT,
    Program,
    cpu_of_family,
    web_command,
)
from bench.report import report
from bench.setting import CPO, EMSP, FORWARDED, routed
from party.ocpi_platform import Platform
from stack.serve import CELERY, listen

PARTS = ("relay", "flexibility", "delivery", "workers")
# Of the flexibility journey: what is promised is counted at the first; the others raise it.
RATES = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
LOWER = (7.0, 5.0, 3.0)
LIMIT_SECONDS = 0.150
GRACE_SECONDS = 180.0
# A worker that has nothing to do uses less in two seconds.
SETTLED = 0.06
_WAITS = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
Measured = tuple[list[Measurement], dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--against", type=Path, required=True, help="a checkout of an older hub")
    parser.add_argument("--quick", action="store_true", help="a look: few and short rounds")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return report("former", options.out, lambda folder: measure(folder, options))


def measure(folder: Path, options: argparse.Namespace) -> Measured:
    """Each part with hubs of its own."""
    lines: list[Measurement] = []
    raw: dict[str, Any] = {}
    against: Path = options.against.resolve()
    measures = {
        "relay": relay,
        "flexibility": flexibility,
        "delivery": delivery,
        "workers": workers,
    }
    for part in options.only or PARTS:
        (folder / part).mkdir()
        if part != "relay":
            os.sched_setaffinity(0, {MEASURED_CORE, OTHER_CORE})
        found, raw[part] = measures[part](against, folder / part, options.quick)
        lines += found
        for one in found:
            sys.stderr.write(f"{one.name}: {one.value} ({one.target})\n")
    return lines, raw


def _at_most(name: str, ratio: Ratio, most: float) -> Measurement:
    return Measurement(name, ratio.told(), f"at most {most:g}", ratio.median <= most)


def _at_least(name: str, ratio: float, told: str, least: float) -> Measurement:
    return Measurement(name, told, f"at least {least:g}", ratio >= least)


# --- A message ------------------------------------------------------------------------------------


def relay(against: Path, folder: Path, quick: bool) -> Measured:
    """CPU of a web process for a PUT that is forwarded, and for two kinds that are kept as well."""
    rounds, seconds = (3, 0.6) if quick else (12, 1.4)
    cpu: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        target = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = [sys.executable, "-m", "bench.receiver", str(listening.fileno())]
        stack.enter_context(
            Program("receiver", command, folder, core=OTHER_CORE, listening=listening)
        )
        hubs = stack.enter_context(both(against, folder))
        webs = {hub.name: stack.enter_context(_web(hub, target)) for hub in hubs}
        for number in range(rounds + 1):
            for kind in ("forwarded", "Session kept", "Location kept"):
                for hub in hubs:
                    program, port, requests = webs[hub.name]
                    before = program.cpu_seconds()
                    outcome = uvloop.run(load.run(port, requests[kind], seconds))
                    if outcome.errors or not outcome.count:
                        raise RuntimeError(f"{hub.name}, {kind}: {outcome.errors[:1]}")
                    if number:  # the first opens connections and fills caches
                        used = (program.cpu_seconds() - before) / outcome.count
                        cpu.setdefault(kind, {}).setdefault(hub.name, []).append(used)
    most = {"forwarded": 0.8, "Session kept": 0.5, "Location kept": 0.5}
    figures = [
        _at_most(
            f"CPU of a web process a message, {kind}: now / former",
            Ratio.of(found["now"], found["former"]),
            most[kind],
        )
        for kind, found in cpu.items()
    ]
    return figures, {
        kind: {name: [round(1e6 * one) for one in values] for name, values in found.items()}
        for kind, found in cpu.items()
    }


@contextmanager
def _web(hub: Older, target: str) -> Iterator[tuple[Program, int, dict[str, list[bytes]]]]:
    """A web process with a core of its own, its port, and what it is sent."""
    asked = [
        {"party": str(party), "role": role, "url": f"{target}/0"}
        for party, role in ((CPO, "CPO"), (EMSP, "EMSP"))
    ]
    token = json.loads(hub.run("-m", "bench.join", told=json.dumps(asked)))[str(CPO)]
    places = [f"LOC{number:03}" for number in range(CONNECTIONS)]
    sessions = [f"SESSION{number:03}" for number in range(CONNECTIONS)]
    document = location()
    requests = {
        "forwarded": [routed(token, FORWARDED, EMSP, one, document) for one in places],
        "Location kept": [routed(token, "locations", EMSP, one, location(one)) for one in places],
        "Session kept": [
            routed(token, "sessions", EMSP, one, session(number))
            for number, one in enumerate(sessions)
        ],
    }
    with listen("127.0.0.1", 0) as listening:
        port: int = listening.getsockname()[1]
        program = hub.program(
            "web",
            *web_command(hub.checkout),
            str(listening.fileno()),
            core=MEASURED_CORE,
            listening=listening,
            PORT=str(port),
            FLEXHUB_WORKER="web-1",
        )
        with program:
            yield program, port, requests


# --- A session's whole life -----------------------------------------------------------------------


@dataclass
class Whole:
    """A whole hub as `script/server` starts it, and its parties in this process."""

    hub: Older
    program: Program
    postmaster: int
    parties: Parties = field(default_factory=Parties)

    @property
    def _platforms(self) -> tuple[Platform, ...]:
        return (self.parties.cpo, self.parties.emsp, self.parties.scsp)

    async def begin(self) -> None:
        """Register, agree, and a few sessions that are not counted."""
        for platform in self._platforms:
            await platform.start()
            party, role = platform.roles[0]
            command = ["invite_party", *party, "--role", role, "--name", platform.name, "--json"]
            told = json.loads(await asyncio.to_thread(self.hub.run, "manage.py", *command))
            await platform.register(told["versions_url"], told["token"])
        cpo, scsp = str(self.parties.cpo.party), str(self.parties.scsp.party)
        command = ["grant_mandate", "--scsp", scsp, "--cpo", cpo]
        await asyncio.to_thread(self.hub.run, "manage.py", *command)
        await self.parties.step(5, 3)

    async def step(self, per_second: float, seconds: float) -> Step:
        """One rate, with the CPU of all processes, PostgreSQL and those that have ended too."""
        before = self._cpu()
        step = await self.parties.step(per_second, seconds)
        step.cpu_seconds = self._cpu() - before
        return step

    def _cpu(self) -> float:
        family = self.program.family()
        used = self.program.family_cpu_seconds()
        if self.postmaster not in family:
            used += cpu_of_family(self.postmaster)
        return used

    async def end(self) -> None:
        """Take the parties away."""
        for platform in self._platforms:
            await platform.stop()


def flexibility(against: Path, folder: Path, quick: bool) -> Measured:
    """CPU of a session's whole life, in turn at one rate; then the highest rate of each."""
    with ExitStack() as stack:
        wholes = [
            stack.enter_context(_whole(name, checkout, folder))
            for name, checkout in (("now", PROJECT), ("former", against))
        ]
        cpu, highest = uvloop.run(_journeys(wholes, 2 if quick else 5, 4.0 if quick else 8.0))
    ratio = Ratio.of(cpu["now"], cpu["former"])
    now, former = (statistics.median(one) for one in (cpu["now"], cpu["former"]))
    rise = highest["now"] / highest["former"] if highest["former"] else 0.0
    lines = [
        _at_most("CPU a session's whole life, PostgreSQL too: now / former", ratio, 0.5),
        Measurement("the same, in ms", f"{1000 * now:.0f} / {1000 * former:.0f}"),
        _at_least(
            "highest rate of sessions that holds: now / former",
            rise,
            f"{rise:.2f} ({highest['now']:g} / {highest['former']:g} a second)",
            1.3,
        ),
    ]
    return lines, {"cpu": cpu, "highest": highest}


@contextmanager
def _whole(name: str, checkout: Path, folder: Path) -> Iterator[Whole]:
    with serving(name, checkout, folder) as (hub, program, postmaster):
        yield Whole(hub, program, postmaster)


async def _journeys(
    wholes: list[Whole], rounds: int, seconds: float
) -> tuple[dict[str, list[float]], dict[str, float]]:
    cpu: dict[str, list[float]] = {one.hub.name: [] for one in wholes}
    highest = dict.fromkeys(cpu, 0.0)
    try:
        for one in wholes:
            await one.begin()
        for _ in range(rounds):
            for one in wholes:
                step = await one.step(RATES[0], seconds)
                if step.errors:
                    raise RuntimeError(f"{one.hub.name}: {step.errors[:2]}")
                cpu[one.hub.name].append(step.cpu_seconds / len(step.journeys))
        for one in wholes:
            for per_second in (*reversed(LOWER), *RATES):
                # Twice: one stall of a shared machine is not the hub's.
                steps = [await one.step(per_second, seconds)]
                if not steps[0].holds(LIMIT_SECONDS):
                    steps.append(await one.step(per_second, seconds))
                if not steps[-1].holds(LIMIT_SECONDS):
                    break
                highest[one.hub.name] = per_second
    finally:
        for one in wholes:
            await one.end()
    return cpu, highest


# --- Deliveries -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """A hub's workers and the receivers that they tell."""

    hub: Older
    port: int

    def push(self, action: str, **options: Any) -> Any:
        """What one of its pusher's actions answers."""
        return json.loads(self.hub.run("-m", "bench.pusher", action, told=json.dumps(options)))

    def ask(self, what: str) -> Any:
        """What the receivers have noted."""
        with socket.create_connection(("127.0.0.1", self.port)) as one:
            one.sendall(f"GET /{what} HTTP/1.1\r\nHost: sink\r\n\r\n".encode())
            found = b""
            while True:
                found += one.recv(1 << 20)
                head, _, body = found.partition(b"\r\n\r\n")
                length = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Le")]
                if length and len(body) >= int(length[0].split(b":")[1]):
                    return json.loads(body)

    @contextmanager
    def worker(self, name: str) -> Iterator[Program]:
        """A deliveries worker as its runner starts it."""
        with self.hub.program(name, *CELERY, "worker", *WORKER, "-n", f"{name}@%h") as worker:
            _settle(worker)
            yield worker

    def spread(self, receivers: list[int], updates: int) -> float:
        """Deliveries a second, from the first commit to the last arrival."""
        committed = self.push("spread", receivers=receivers, updates=updates, objects=updates)
        count, limit = updates * len(receivers), time.monotonic() + GRACE_SECONDS
        while self.ask("count") < count:
            if time.monotonic() > limit:
                raise RuntimeError(f"{self.hub.name}: {self.ask('count')} of {count} came")
            time.sleep(0.05)
        came: list[Arrival] = self.ask("report")
        took: float = max(when for *_, when in came) - committed[0]
        return len(came) / took


@contextmanager
def _receivers(hub: Older) -> Iterator[Told]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        command = [sys.executable, "-m", "bench.sink", str(listening.fileno())]
        with Program(f"{hub.name}-sink", command, hub.folder, listening=listening):
            yield Told(hub, listening.getsockname()[1])


def _settle(worker: Program) -> None:
    """Wait until a worker has started: it says nothing then, but works no more."""
    until = time.monotonic() + GRACE_SECONDS
    used = -1.0
    while worker.family_cpu_seconds() - used > SETTLED and time.monotonic() < until:
        used = worker.family_cpu_seconds()
        time.sleep(2)


def delivery(against: Path, folder: Path, quick: bool) -> Measured:
    """Small PATCHes to fifty receivers, rounds in turn; a worker lives for its rounds alone."""
    rates: dict[str, list[float]] = {"now": [], "former": []}
    cpu: dict[str, list[float]] = {"now": [], "former": []}
    updates = 100 if quick else 300
    with ExitStack() as stack:
        hubs = stack.enter_context(both(against, folder))
        found = [stack.enter_context(_receivers(hub)) for hub in hubs]
        ids = {}
        for told in found:
            urls = [f"http://127.0.0.1:{told.port}/0/{number}" for number in range(RECEIVERS)]
            ids[told.hub.name] = told.push("parties", urls=urls)
        for _ in range(2 if quick else 5):
            for told in found:
                name = told.hub.name
                with told.worker("deliveries") as worker:
                    told.spread(ids[name], 20)
                    before = worker.family_cpu_seconds()
                    rates[name].append(told.spread(ids[name], updates))
                    used = worker.family_cpu_seconds() - before
                    cpu[name].append(used / updates / RECEIVERS)
                told.push("clear")
    ratio = Ratio.of(rates["now"], rates["former"])
    now, former = (statistics.median(one) for one in (rates["now"], rates["former"]))
    lines = [
        _at_least(
            f"deliveries a second to {RECEIVERS} receivers: now / former",
            ratio.median,
            f"{ratio.told()}, {now:.0f} / {former:.0f}",
            1.5,
        ),
        Measurement("CPU of the worker a delivery: now / former", Ratio.of(*cpu.values()).told()),
    ]
    return lines, {"rates": rates, "cpu": cpu}


# --- Two workers ----------------------------------------------------------------------------------


def workers(_against: Path, folder: Path, quick: bool) -> Measured:
    """Two deliveries workers of this hub beside one: cost, shares, and waits for locks."""
    updates = 150 if quick else 400
    alone: list[float] = []
    together: list[float] = []
    shares: list[float] = []
    waits: Counter[str] = Counter()
    with served("now", PROJECT, folder) as hub, _receivers(hub) as told:
        urls = [f"http://127.0.0.1:{told.port}/0/{number}" for number in range(RECEIVERS)]
        ids = told.push("parties", urls=urls)
        for _ in range(2 if quick else 4):
            for number in (1, 2):
                with ExitStack() as stack:
                    running = [
                        stack.enter_context(told.worker(f"deliveries{one}"))
                        for one in range(number)
                    ]
                    told.spread(ids, 40)
                    before = [one.family_cpu_seconds() for one in running]
                    with _lock_waits(hub, waits if number == 2 else Counter()):
                        told.spread(ids, updates)
                    used = [
                        one.family_cpu_seconds() - first
                        for one, first in zip(running, before, strict=True)
                    ]
                    (alone if number == 1 else together).append(sum(used) / updates / RECEIVERS)
                    if number == 2:
                        shares.append(used[0] / sum(used))
                told.push("clear")
    least, most = min(shares), max(shares)
    lines = [
        _at_most("CPU of a delivery: two workers / one", Ratio.of(together, alone), 1.1),
        Measurement(
            "share of CPU of the first of two",
            f"{100 * least:.0f} to {100 * most:.0f} %",
            "40 to 60 %",
            least >= 0.4 and most <= 0.6,
        ),
        Measurement(
            "looks at which a statement of theirs waited for a lock",
            f"{waits['lock']} of {waits['looks']}",
            "none",
            not waits["lock"],
        ),
    ]
    return lines, {"alone": alone, "together": together, "shares": shares, "waits": dict(waits)}


@contextmanager
def _lock_waits(hub: Older, into: Counter[str]) -> Iterator[None]:
    """Look at the database every 10 ms meanwhile."""
    ended = threading.Event()

    def look() -> None:
        with psycopg.connect(hub.env["DATABASE_URL"], autocommit=True) as database:
            while not ended.wait(0.01):
                into["looks"] += 1
                into["lock"] += bool(database.execute(_WAITS).fetchall())

    looker = threading.Thread(target=look)
    looker.start()
    try:
        yield
    finally:
        ended.set()
        looker.join()
