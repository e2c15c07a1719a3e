"""`script/bench faults`: processes are killed while updates and CDRs flow; nothing may be missing.

A steady stream of numbered updates and CDRs goes through a whole hub, as `script/server` starts it.
Meanwhile its processes are ended by SIGKILL, one after the other at random moments: web processes,
Celery workers, Valkey (which also hangs for a minute, and whose content is wiped) and PostgreSQL.
At the end every receiver must hold exactly the state that was acknowledged, no update of an object
may have come after a newer one, and every acknowledged CDR must be at its eMSP and in the hub's
store once.
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.fault_parties import Teller, Witness
from bench.flexibility import join_hub
from bench.programs import Program, free_port
from hub.ocpi.party import PartyId

# Name of a process: what its command line contains.
TARGETS = {
    "web": ("uvicorn",),
    "profiles": ("celery", "profiles@"),
    "deliveries": ("celery", "deliveries@"),
    "upkeep": ("celery", "upkeep@"),
    "Valkey, hung": ("valkey-server",),
    "Valkey, wiped": ("valkey-server",),
    "PostgreSQL": ("postgres", "-D"),
}
CALM = (0.3, 2.0)
# So long Valkey is stopped, while others go on being killed; one that is killed meanwhile is new.
HANGS_SECONDS = 60.0
RETURN_SECONDS = 60.0
SETTLE_SECONDS = 90.0


@dataclass
class Report:
    """What happened, and what should not have."""

    kills: Counter[str] = field(default_factory=Counter)
    updates: int = 0
    cdrs: int = 0
    repeated: int = 0
    arrived: int = 0
    twice: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {number}" for name, number in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({killed}); acknowledged: {self.updates} updates and "
            f"{self.cdrs} CDRs, {self.repeated} messages told again; {self.arrived} updates "
            f"arrived at the receivers, {self.twice} of them twice; "
            + (f"{len(self.problems)} PROBLEMS" if self.problems else "nothing lost, no disorder")
        )


async def drive(
    folder: Path, *, kills: int, receivers: int = 5, evses: int = 12, seed: int | None = None
) -> Report:
    """Start a hub in `folder`, let things flow and processes die, and compare."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    data = folder / "faults"
    # Services of its own, also where the environment names others.
    env = {"DATABASE_URL": "", "REDIS_URL": "", "WEB_WORKERS": "2"}
    env |= {"FLEXHUB_DATA": str(data), "PORT": str(free_port())}
    # A CDR whose outcome a killed process has taken along may be sent again after this and 5 s.
    env["FORWARD_TIMEOUT"] = "5"
    report = Report()
    teller = Teller(evses)
    witnesses = [Witness(PartyId("DE", f"M{number:02}")) for number in range(receivers)]
    serve = [sys.executable, "-m", "stack", "serve"]
    with Program("hub", serve, folder, env=env) as hub:
        hub.await_line("Flexhub is ready")
        try:
            for platform in (teller, *witnesses):
                await platform.start()
                await join_hub(env, platform)
            await teller.begin(witnesses, cdrs_per_second=5)
            async with asyncio.TaskGroup() as hanging:
                for number in range(kills):
                    await asyncio.sleep(chance.uniform(*CALM))
                    name = list(TARGETS)[number % len(TARGETS)]
                    if name == "Valkey, hung":
                        hanging.create_task(_hang(hub, name))
                    else:
                        await _kill(hub, name, data, chance)
                    report.kills[name] += 1
                await teller.end()
            await _settle(teller, witnesses)
            await _compare(teller, witnesses, report)
        finally:
            for platform in (teller, *witnesses):
                await platform.stop()
    return report


async def _hang(hub: Program, name: str) -> None:
    """SIGSTOP for a while: it takes connections and answers nothing."""
    stopped = _pids(hub, name)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    deadline = asyncio.get_running_loop().time() + HANGS_SECONDS
    while (  # noqa: ASYNC110 - nothing tells of another process's end
        _pids(hub, name) & stopped and asyncio.get_running_loop().time() < deadline
    ):
        await asyncio.sleep(0.2)
    for pid in _pids(hub, name) & stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def _kill(hub: Program, name: str, data: Path, chance: random.Random) -> None:
    """SIGKILL to one process of this kind, and wait until another one has taken its place."""
    before = _pids(hub, name)
    if not before:
        raise RuntimeError(f"no process {name} is running: {hub.last_line()}")
    victim = chance.choice(sorted(before))
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    if name.startswith("Valkey"):
        shutil.rmtree(data / "valkey" / "appendonlydir", ignore_errors=True)
    deadline = asyncio.get_running_loop().time() + RETURN_SECONDS
    while not _pids(hub, name) - before:
        if asyncio.get_running_loop().time() > deadline:
            raise RuntimeError(f"{name} did not come back: {hub.last_line()}")
        await asyncio.sleep(0.05)


def _pids(hub: Program, name: str) -> set[int]:
    """The processes of the runner whose command line says that they are of this kind."""
    found = set()
    for pid in hub.family():
        with contextlib.suppress(OSError):  # ended meanwhile
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if all(part in line for part in TARGETS[name]) and "child.py" not in line:
                found.add(pid)
    return found


async def _settle(teller: Teller, witnesses: list[Witness]) -> None:
    """Until every receiver holds what was acknowledged, or long enough."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if all(_state(witness) == teller.told.updates for witness in witnesses):
            return
        await asyncio.sleep(0.1)


def _state(witness: Witness) -> dict[str, int]:
    return {path: numbers[-1] for path, numbers in witness.updates.items()}


async def _compare(teller: Teller, witnesses: list[Witness], report: Report) -> None:
    told = teller.told
    report.updates = sum(told.updates.values())
    report.cdrs, report.repeated = len(told.cdrs), told.repeated
    for witness in witnesses:
        for path, numbers in witness.updates.items():
            report.arrived += len(numbers)
            report.twice += len(numbers) - len(set(numbers))
            if numbers != sorted(numbers):
                report.problems.append(f"{witness.party} got {path} out of order: {numbers}")
        for path, number in told.updates.items():
            last = _state(witness).get(path)
            if last != number:
                report.problems.append(f"{witness.party} holds {path} at {last}, not {number}")
    at = {witness.party: witness for witness in witnesses}
    for cdr_id, emsp in told.cdrs.items():
        if cdr_id not in at[emsp].cdrs:
            report.problems.append(f"{emsp} has not got {cdr_id}")
    stored = Counter(await teller.all_cdrs())
    report.problems += [f"the hub stores {i} {n} times" for i, n in stored.items() if n > 1]
    report.problems += [f"the hub has lost {i}" for i in told.cdrs if i not in stored]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--kills", type=int, default=100)


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 when nothing was lost."""
    with tempfile.TemporaryDirectory(prefix="flexhub-faults-", ignore_cleanup_errors=True) as name:
        report = asyncio.run(drive(Path(name), kills=options.kills))
    sys.stdout.write(f"{report}\n" + "".join(f"  {problem}\n" for problem in report.problems[:50]))
    return 1 if report.problems else 0
