"""`script/bench faults`: processes are killed while updates and CDRs flow; nothing may be missing.

A steady stream of numbered updates, Tariffs, profile commands and CDRs goes through a whole hub, as
`script/server` starts it. Meanwhile its processes are ended by SIGKILL, one after the other at
random moments: web processes, Celery workers, Valkey (what it holds is wiped) and PostgreSQL. Of
the receivers one is slow, one answers 429, one goes and comes back (with replay), and one deletes
its registration and registers anew; Valkey hangs. At the end every receiver must hold exactly the
state that was acknowledged, nothing may have come after something newer, no command may have
overtaken another, and every acknowledged CDR must be at its eMSP and in the hub's store once.
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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.fault_commands import SESSION, Commanded, Commander
from bench.fault_parties import Teller, Witness, cdr_token
from bench.flexibility import join_hub, manage_all
from bench.programs import Program, free_port
from hub.ocpi.party import PartyId
from simulators.faulty_platform import FaultyPlatform

# Name of a process: what its command line contains.
TARGETS = {
    "web": ("uvicorn",),
    "profiles": ("celery", "profiles@"),
    "deliveries": ("celery", "deliveries@"),
    "upkeep": ("celery", "upkeep@"),
    "Valkey, wiped": ("valkey-server",),
    "PostgreSQL": ("postgres", "-D"),
}
# What is killed while Valkey hangs: whatever begins finds no answer there.
BEGUN_WITHOUT = ("web", "profiles", "deliveries")
CALM = (0.3, 2.0)
RETURN_SECONDS = 240.0
WELL_SECONDS = 300.0
SETTLE_SECONDS = 240.0
SLOW_SECONDS = 2.0
# With a hanging Valkey; or four times as long as without, where others have the processors too.
SLOWEST_PUSH = 5.0


@dataclass
class Report:
    """What happened, and what should not have."""

    kills: Counter[str] = field(default_factory=Counter)
    hung: list[str] = field(default_factory=list)
    absences: int = 0
    registrations: int = 0
    updates: int = 0
    tariffs: int = 0
    cdrs: int = 0
    commands: int = 0
    repeated: int = 0
    arrived: int = 0
    twice: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {number}" for name, number in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({killed}); Valkey hung {'; '.join(self.hung)}; "
            f"one receiver OFFLINE and back {self.absences} times, another registered anew "
            f"{self.registrations} times; acknowledged: {self.updates} updates, {self.tariffs} "
            f"changes of Tariffs, {self.commands} profile commands and {self.cdrs} CDRs, "
            f"{self.repeated} messages told again; {self.arrived} updates arrived at the "
            f"receivers, {self.twice} of them twice; "
            + (f"{len(self.problems)} PROBLEMS" if self.problems else "nothing lost, no disorder")
        )


class Parties:
    """All that are connected to the hub, by what they do."""

    def __init__(self, receivers: int, evses: int) -> None:
        self.teller = Teller(evses)
        self.steady = [Witness(PartyId("DE", f"M{number:02}")) for number in range(receivers)]
        self.slow = Witness(PartyId("DE", "SLO"), answers_after=SLOW_SECONDS)
        self.busy = Witness(PartyId("DE", "BUS"), is_busy=True)
        self.traveller = Witness(PartyId("DE", "TRA"))
        self.newcomer = Witness(PartyId("DE", "NEW"))
        self.commander = Commander(PartyId("NL", "SCP"))
        self.commanded = Commanded(PartyId("NL", "CP2"), lambda: self.commander.last_delete)

    @property
    def witnesses(self) -> list[Witness]:
        """Those that must hold what was acknowledged."""
        return [*self.steady, self.slow, self.busy, self.traveller, self.newcomer]

    @property
    def all(self) -> list[FaultyPlatform]:
        """In the order in which they join: who hears of things before those that tell them."""
        return [*self.witnesses, self.commander, self.commanded, self.teller]


async def drive(
    folder: Path,
    *,
    kills: int,
    receivers: int = 5,
    evses: int = 12,
    hangs: float = 60.0,
    rounds: int = 3,
    seed: int | None = None,
) -> Report:
    """Start a hub in `folder`, let things flow and processes die, and compare.

    Between the kills, `rounds` times: Valkey hangs for so many seconds, one receiver goes and comes
    back during the next kills, and one registers anew.
    """
    data = folder / "faults"
    # Services of its own, also where the environment names others.
    env = {"DATABASE_URL": "", "REDIS_URL": "", "WEB_WORKERS": "2"}
    env |= {"FLEXHUB_DATA": str(data), "PORT": str(free_port())}
    # A CDR whose outcome a killed process has taken along may be sent again after this and 5 s.
    env["FORWARD_TIMEOUT"] = "5"
    parties = Parties(receivers, evses)
    serve = [sys.executable, "-m", "stack", "serve"]
    with Program("hub", serve, folder, env=env) as hub:
        hub.await_line("Flexhub is ready")
        faults = Faults(hub, env, data, parties, random.Random(seed))  # noqa: S311 - no secret
        try:
            await _join(env, parties)
            commands = asyncio.create_task(parties.commander.command_on(parties.commanded.party))
            await parties.teller.begin(parties.steady, cdrs_per_second=5)
            await faults.happen(kills, hangs, rounds)
            await parties.teller.end()
            parties.commander.end()
            await commands
            await _settle(parties)
            await _compare(parties, faults.report)
        finally:
            for platform in parties.all:
                await platform.stop()
    return faults.report


async def _join(env: dict[str, str], parties: Parties) -> None:
    for platform in parties.all:
        await platform.start()
    await join_hub(env, *parties.all)
    traveller, scsp, cpo = parties.traveller, parties.commander, parties.commanded
    calls = [
        ["replay", *traveller.party, "--on-return", "yes"],
        ["grant_mandate", "--scsp", str(scsp.party), "--cpo", str(cpo.party)],
    ]
    await asyncio.to_thread(manage_all, env, calls)
    token = cdr_token(parties.steady[0].party)
    await cpo.start_session(token=token, session_id=SESSION)


class Faults:
    """What happens to the hub and its receivers."""

    def __init__(
        self,
        hub: Program,
        env: dict[str, str],
        data: Path,
        parties: Parties,
        chance: random.Random,
    ) -> None:
        self.report = Report()
        self._hub, self._env, self._data = hub, env, data
        self._parties, self._chance = parties, chance

    async def happen(self, kills: int, hangs: float, rounds: int) -> None:
        """All of it, one after the other; the traveller is away while processes die."""
        away: asyncio.Task[None] | None = None
        every = max(1, kills // (3 * rounds))
        for number in range(kills):
            await asyncio.sleep(self._chance.uniform(*CALM))
            name = list(TARGETS)[number % len(TARGETS)]
            await _kill(self._hub, name, self._data, self._chance)
            self.report.kills[name] += 1
            turn, rest = divmod(number + 1, every)
            if rest:
                continue
            if turn % 3 == 1:
                if away is not None:
                    await away
                away = asyncio.create_task(self._travel())
            elif turn % 3 == 2:
                await self._register_anew()
            else:
                await self._hang(hangs)
        if away is not None:
            await away

    async def _travel(self) -> None:
        """A receiver cannot be reached until it is OFFLINE, and comes back a while later."""
        traveller, before = self._parties.traveller, self._offline()
        traveller.faults.set(gone=True)
        await traveller.apply_faults()
        deadline = asyncio.get_running_loop().time() + RETURN_SECONDS
        while self._offline() == before:
            if asyncio.get_running_loop().time() > deadline:
                self.report.problems.append("a receiver that is gone is not OFFLINE")
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(self._chance.uniform(1, 5))
        traveller.faults.set(gone=False)
        await traveller.apply_faults()
        # What comes from it has the hub look at once.
        await _until_done(lambda: traveller.read_all(_hub_of(traveller)))
        traveller.read.clear()
        self.report.absences += 1

    def _offline(self) -> int:
        return self._hub.output.read_text(errors="replace").count(" is OFFLINE (")

    async def _register_anew(self) -> None:
        """DELETE credentials, a moment of nothing, and the whole handshake; then it GETs."""
        newcomer = self._parties.newcomer
        await self._until_well()
        await newcomer.unregister()
        newcomer.forget()
        await asyncio.sleep(self._chance.uniform(0.5, 2))
        newcomer.forget()
        await join_hub(self._env, newcomer)
        await newcomer.read_all(_hub_of(newcomer))
        self.report.registrations += 1

    async def _hang(self, seconds: float) -> None:
        """Valkey is stopped, not ended: it takes connections and answers nothing.

        Pushes and deliveries wait for nothing of it, nor does a process that begins meanwhile.
        """
        await self._until_well()
        told, witness = self._parties.teller.told, self._parties.steady[0]
        (valkey,) = _pids(self._hub, "Valkey, wiped")
        told.slowest = 0.0
        await self._until_well()
        limit, told.slowest = max(SLOWEST_PUSH, 4 * told.slowest), 0.0
        before = sum(told.updates.values()), sum(map(len, witness.updates.values()))
        os.kill(valkey, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
            await self._until_well()
            slowest = told.slowest
            pushed = sum(told.updates.values()) - before[0]
            arrived = sum(map(len, witness.updates.values())) - before[1]
            for name in BEGUN_WITHOUT:
                await _kill(self._hub, name, self._data, self._chance)
                self.report.kills[name] += 1
            await self._until_well()
        finally:
            os.kill(valkey, signal.SIGCONT)
        said = f"{seconds:g} s: {pushed} updates taken, each within {slowest:.1f} s, {arrived} told"
        self.report.hung.append(said)
        if not pushed or not arrived or slowest > limit:
            self.report.problems.append(f"with a hanging Valkey: {said}")

    async def _until_well(self) -> None:
        """What was killed is there again: each EVSE has been told of, and arrived."""
        witness, before = self._parties.steady[0], dict(self._parties.teller.told.updates)
        deadline = asyncio.get_running_loop().time() + WELL_SECONDS
        while late := {
            path: (number, witness.state().get(path, 0))
            for path, number in before.items()
            if witness.state().get(path, 0) <= number
        }:
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"the hub does not get well, (told then, held now): {late}")
            await asyncio.sleep(0.1)


def _hub_of(platform: FaultyPlatform) -> PartyId:
    return next(iter(platform.connection_for(None).parties))


async def _until_done(work: Callable[[], Awaitable[None]]) -> None:
    deadline = asyncio.get_running_loop().time() + RETURN_SECONDS
    while True:
        try:
            await work()
            return
        except (aiohttp.ClientError, TimeoutError, TypeError):  # TypeError: no data
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.2)


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


async def _settle(parties: Parties) -> None:
    """Until every receiver holds what was acknowledged, or long enough."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if not any(_missing(parties, witness) for witness in parties.witnesses):
            return
        await asyncio.sleep(0.1)


def _missing(parties: Parties, witness: Witness) -> list[str]:
    """What of the acknowledged state a receiver does not hold.

    A replay tells what there is: a Tariff that was deleted in its absence a receiver misses only in
    a list that it GETs.
    """
    teller, state = parties.teller, witness.state()
    found = [
        f"{witness.party} holds {path} at {state.get(path)}, not {number}"
        for path, number in teller.told.updates.items()
        if state.get(path) != number
    ]
    for tariff_id, number in teller.told.tariffs.items():
        is_told = number > 0 or witness is not parties.traveller
        if is_told and (has := witness.tariff(tariff_id)) != number:
            found.append(f"{witness.party} holds Tariff {tariff_id} at {has}, not {number}")
    return found


async def _compare(parties: Parties, report: Report) -> None:
    teller, told = parties.teller, parties.teller.told
    report.updates, report.tariffs = sum(told.updates.values()), told.tariff_changes
    report.cdrs, report.repeated = len(told.cdrs), told.repeated
    report.commands = parties.commander.accepted
    for witness in parties.witnesses:
        for path, numbers in witness.updates.items():
            report.arrived += len(numbers)
            report.twice += len(numbers) - len(set(numbers))
            if numbers != sorted(numbers):
                report.problems.append(f"{witness.party} got {path} out of order: {numbers}")
        for tariff_id, numbers in witness.tariffs.items():
            if not _is_in_order(numbers):
                report.problems.append(f"{witness.party} got {tariff_id} in disorder: {numbers}")
        report.problems += _missing(parties, witness)
    arrived = parties.commanded.arrived
    if arrived != sorted(arrived):
        report.problems.append(f"commands overtook others: {arrived}")
    if arrived[-1:] != [parties.commander.last]:
        report.problems.append(f"the last command is {arrived[-1:]}, not {parties.commander.last}")
    at = {witness.party: witness for witness in parties.witnesses}
    for cdr_id, emsp in told.cdrs.items():
        if cdr_id not in at[emsp].cdrs:
            report.problems.append(f"{emsp} has not got {cdr_id}")
    stored = Counter(await teller.all_cdrs())
    report.problems += [f"the hub stores {i} {n} times" for i, n in stored.items() if n > 1]
    report.problems += [f"the hub has lost {i}" for i in told.cdrs if i not in stored]


def _is_in_order(numbers: list[int]) -> bool:
    """Of a Tariff, with 0 for DELETE: what comes after that is newer than all before it."""
    newest, is_deleted = 0, False
    for number in numbers:
        if number and (number < newest or (is_deleted and number == newest)):
            return False
        newest, is_deleted = max(newest, number), not number
    return True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be asked for."""
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--hang", type=float, default=60.0, help="seconds that Valkey hangs")


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 when nothing was lost."""
    with tempfile.TemporaryDirectory(prefix="flexhub-faults-", ignore_cleanup_errors=True) as name:
        report = asyncio.run(drive(Path(name), kills=options.kills, hangs=options.hang))
    sys.stdout.write(f"{report}\n" + "".join(f"  {problem}\n" for problem in report.problems[:50]))
    return 1 if report.problems else 0
