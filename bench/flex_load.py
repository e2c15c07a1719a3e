"""10,000 live sessions, and ten of them a second whose drivers change their preferences.

`script/bench flex --load` (`--against CHECKOUT`): each hub as `script/server` starts it, its CPO,
eMSP and FSP in this process (`bench/flex_chain.py`). A few sessions are lived through the wire; the
others are copies of their rows, so that their effects, bounds and turns by the clock are due too.
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.flex_chain import CPO, FSP, Chain, ThinParties
from bench.measurements import Measurement, Ratio, percentile
from bench.older import Older, serving
from bench.programs import PROJECT, Program, cpu_of_family
from bench.report import report

PATTERNS = 50
PER_SECOND = 10.0
RATES = (15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0)
PROFILE_SECONDS = 1.0
SHARE_SECONDS = 0.050
ROUNDS, QUICK_ROUNDS = 4, 2
ROUND_SECONDS, QUICK_SECONDS = 30.0, 15.0
# Profiles that the hub should have judged long ago: the proof of their effect is behind.
_BEHIND = """
    SELECT count(*) FROM flex_knowledge_profileeffect WHERE due_at < now() - interval '30 seconds'
"""


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return report("flex-load", None, lambda folder: measure(folder, options))


@dataclass
class Round:
    """What came of one round at one rate."""

    chains: list[Chain]
    errors: list[str]
    cpu_seconds: float

    @property
    def profile(self) -> list[float]:
        """Seconds from preferences to the profile at the CPO."""
        return [chain.profile_at_cpo - chain.asked for chain in self.chains]

    @property
    def share(self) -> list[float]:
        """The hub's part of them."""
        return [chain.of_hub for chain in self.chains]

    @property
    def cpu_each(self) -> float:
        """CPU of the hub and its PostgreSQL for a chain."""
        return self.cpu_seconds / max(1, len(self.chains))

    def holds(self) -> bool:
        """Nothing failed, and profiles were there in time."""
        return (
            bool(self.chains)
            and not self.errors
            and percentile(self.profile, 0.95) <= PROFILE_SECONDS
        )

    def as_json(self) -> dict[str, Any]:
        """In milliseconds."""
        told = {
            name: [round(1000 * percentile(found, part), 1) for part in (0.5, 0.95, 0.99)]
            for name, found in (("profile", self.profile), ("share", self.share))
        }
        return told | {
            "chains": len(self.chains),
            "errors": self.errors[:5],
            "cpu_ms": round(1000 * self.cpu_each, 1),
            "legs_p50": {
                name: round(1000 * statistics.median(c.legs[name] for c in self.chains), 1)
                for name in Chain().legs
            }
            if self.chains
            else {},
        }


@dataclass
class Loaded:
    """A whole hub with its sessions and parties."""

    hub: Older
    program: Program
    postmaster: int
    parties: ThinParties = field(default_factory=ThinParties)
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311
    sessions: Iterator[str] = field(default_factory=lambda: iter(()))

    async def begin(self, live: int, ended: int) -> int:
        """Register, live a few sessions, copy them; how many there are."""
        for platform in self.parties.platforms:
            await platform.start()
            party, role = platform.roles[0]
            command = ["invite_party", *party, "--role", role, "--name", platform.name, "--json"]
            told = json.loads(await asyncio.to_thread(self.hub.run, "manage.py", *command))
            await platform.register(told["versions_url"], told["token"])
        command = ["grant_mandate", "--scsp", str(FSP), "--cpo", str(CPO)]
        await asyncio.to_thread(self.hub.run, "manage.py", *command)
        for number in range(PATTERNS):
            await self.parties.pattern(f"S{number}")
        await asyncio.sleep(10)  # What follows by the clock is done for them, and copied.
        copies = live // PATTERNS - 1
        names = [f"S{pattern}" for pattern in range(PATTERNS)]
        names += [f"{name}.{copy}" for name in names for copy in range(1, copies + 1)]
        self.chance.shuffle(names)
        self.sessions = itertools.cycle(names)
        code = (PROJECT / "bench" / "flex_copies.py").read_text()
        command = ["manage.py", "shell", "--no-imports", "-c", code]
        numbers = json.dumps([copies, ended // PATTERNS])
        told = await asyncio.to_thread(lambda: self.hub.run(*command, told=numbers))
        return int(told.split()[-1])

    async def round(self, per_second: float, seconds: float) -> Round:
        """One rate, with the CPU of all processes and PostgreSQL."""
        before = self.cpu()
        chains, errors = await self.parties.run(self.sessions, per_second, seconds)
        return Round(chains, errors, self.cpu() - before)

    async def idle(self, seconds: float) -> float:
        """CPU seconds a second while nobody sends anything."""
        before = self.cpu()
        await asyncio.sleep(seconds)
        return (self.cpu() - before) / seconds

    def cpu(self) -> float:
        """Of all processes so far."""
        used = self.program.family_cpu_seconds()
        if self.postmaster not in self.program.family():
            used += cpu_of_family(self.postmaster)
        return used

    def asks(self, statement: str) -> Any:
        """The first value that its database says."""
        code = f"from hub.db import sql; print(sql.run({statement!r})[0][0])"
        return self.hub.run("manage.py", "shell", "--no-imports", "-c", code).split()[-1]

    async def end(self) -> None:
        """Take the parties away."""
        for platform in self.parties.platforms:
            await platform.stop()


@contextmanager
def _loaded(name: str, checkout: Path, folder: Path) -> Iterator[Loaded]:
    with serving(name, checkout, folder) as (hub, program, postmaster):
        yield Loaded(hub, program, postmaster)


def measure(folder: Path, options: argparse.Namespace) -> tuple[list[Measurement], dict[str, Any]]:
    """This hub, and in turn with it an older one where one is named."""
    checkouts = {"now": PROJECT}
    if options.against:
        checkouts["former"] = options.against.resolve()
    with ExitStack() as stack:
        hubs = [stack.enter_context(_loaded(*one, folder)) for one in checkouts.items()]
        return uvloop.run(_measure(hubs, options))


async def _measure(
    hubs: list[Loaded], options: argparse.Namespace
) -> tuple[list[Measurement], dict[str, Any]]:
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if options.quick else (ROUNDS, ROUND_SECONDS)
    found: dict[str, list[Round]] = {one.hub.name: [] for one in hubs}
    raw: dict[str, Any] = {name: {} for name in found}
    try:
        for one in hubs:
            count = await one.begin(options.live, options.ended)
            _say(f"{one.hub.name}: {count:,} sessions in the store")
            raw[one.hub.name]["sessions"] = count
            await one.round(PER_SECOND, 5)  # Connections, caches, plans: not counted.
        for one in hubs:
            raw[one.hub.name]["idle"] = round(await one.idle(seconds), 3)
        for _ in range(rounds):
            for one in hubs:
                found[one.hub.name].append(await one.round(PER_SECOND, seconds))
                _say(f"{one.hub.name}: {found[one.hub.name][-1].as_json()}")
        behind = await asyncio.to_thread(hubs[0].asks, _BEHIND)
        for name, highest in (await _highest(hubs, seconds / 3)).items():
            raw[name]["highest"] = highest
    finally:
        for one in hubs:
            await one.end()
    for name, done in found.items():
        raw[name]["rounds"] = [one.as_json() for one in done]
    return _figures(found, raw, int(behind)), raw


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


async def _highest(hubs: list[Loaded], seconds: float) -> dict[str, float]:
    """The highest rate that holds of each, in turn.

    A rate is tried three times: one stall of a shared machine is not the hub's.
    """
    highest = dict.fromkeys((one.hub.name for one in hubs), 0.0)
    holding = list(hubs)
    for per_second in (PER_SECOND, *RATES):
        for _ in range(3):
            for one in [one for one in holding if highest[one.hub.name] < per_second]:
                done = await one.round(per_second, seconds)
                _say(f"{one.hub.name}: {per_second:g}/s {done.as_json()}")
                if done.holds():
                    highest[one.hub.name] = per_second
        holding = [one for one in holding if highest[one.hub.name] == per_second]
    return highest


def _figures(found: dict[str, list[Round]], raw: dict[str, Any], behind: int) -> list[Measurement]:
    """Of this hub, and beside the older one."""
    done = found["now"]
    profile = [value for one in done for value in one.profile]
    share = [value for one in done for value in one.share]
    errors = [error for one in done for error in one.errors]
    p95, p99 = percentile(profile, 0.95), percentile(share, 0.99)
    own = raw["now"]
    lines = [
        Measurement(
            f"{own['sessions']:,} sessions, {PER_SECOND:g} changes/s: profile at the CPO, p95",
            f"{1000 * p95:.0f} ms ({_spread(one.profile for one in done)}), {len(errors)} errors",
            f"at most {PROFILE_SECONDS:g} s",
            p95 <= PROFILE_SECONDS and not errors,
        ),
        Measurement(
            "the same: hub's share, p99",
            f"{1000 * p99:.0f} ms (p50 {1000 * percentile(share, 0.5):.0f} ms)",
            f"at most {1000 * SHARE_SECONDS:.0f} ms",
            p99 <= SHARE_SECONDS,
        ),
        Measurement(
            "the same: CPU of hub and PostgreSQL a chain",
            f"{1000 * statistics.median(one.cpu_each for one in done):.0f} ms",
        ),
        Measurement("CPU with nobody sending, of a core", f"{100 * own['idle']:.0f} %"),
        Measurement("profiles to be judged since 30 s", f"{behind}", "0", not behind),
        Measurement("highest rate of chains that holds", f"{own['highest']:g} a second"),
    ]
    if "former" in found:
        former = raw["former"]
        rise = own["highest"] / former["highest"] if former["highest"] else 0.0
        lines += [
            Measurement(
                "the same: now / former",
                f"{rise:.2f} ({own['highest']:g} / {former['highest']:g} a second)",
                "at least 1",
                rise >= 1,
            ),
            Measurement(
                "CPU a chain: now / former",
                Ratio.of(*([one.cpu_each for one in each] for each in found.values())).told(),
            ),
            Measurement(
                "CPU with nobody sending: former, of a core", f"{100 * former['idle']:.0f} %"
            ),
        ]
    return lines


def _spread(rounds: Any) -> str:
    each = [1000 * percentile(one, 0.95) for one in rounds]
    return f"rounds {min(each):.0f} to {max(each):.0f} ms"
