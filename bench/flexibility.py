"""A whole hub, as `script/server` starts it, and its share of the flexibility journey."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.journey import Parties, Step
from bench.measurements import Measurement
from bench.programs import PROJECT, Program, free_port
from simulators.faulty_platform import FaultyPlatform

LIMIT_SECONDS = 0.150
LOWER = (7.0, 5.0, 3.0, 2.0)


def measure(
    folder: Path, steps: Sequence[float], seconds: float
) -> tuple[list[Measurement], dict[str, Any]]:
    """The promised rate first, then higher ones until one does not hold, or lower ones."""
    data = folder / "whole"
    env = {"FLEXHUB_DATA": str(data), "PORT": str(free_port()), "WEB_WORKERS": "2"}
    with Program("hub", [sys.executable, "-m", "stack", "serve"], folder, env=env) as hub:
        hub.await_line("Flexhub is ready")
        done = uvloop.run(_measure(hub, env, steps, seconds))
    promised = done[0]
    held = [step.per_second for step in done if step.holds(LIMIT_SECONDS)]
    figures = [
        Measurement(
            f"preferences to profile at {promised.per_second:g} sessions/s: hub's share, p95",
            f"{1000 * promised.p95:.0f} ms, {len(promised.errors)} errors",
            f"under {1000 * LIMIT_SECONDS:.0f} ms",
            promised.holds(LIMIT_SECONDS),
        ),
        Measurement(
            "the same: highest rate that holds",
            f"{max(held):g} sessions/s" if held else "none",
        ),
        Measurement(
            "the same: CPU a session of all the hub's processes, whole life",
            f"{1000 * promised.cpu_seconds / max(1, len(promised.journeys)):.0f} ms",
        ),
    ]
    return figures, {"steps": [step.as_json() for step in done]}


async def _measure(
    hub: Program, env: dict[str, str], steps: Sequence[float], seconds: float
) -> list[Step]:
    parties = Parties()
    platforms = (parties.cpo, parties.emsp, parties.scsp)
    try:
        for platform in platforms:
            await platform.start()
        await join_hub(env, *platforms)
        cpo, scsp = parties.cpo.party, parties.scsp.party
        await asyncio.to_thread(
            manage, env, "grant_mandate", "--scsp", str(scsp), "--cpo", str(cpo)
        )
        await parties.step(steps[0] / 2, 3)  # connections, caches: not counted

        async def measured(per_second: float) -> Step:
            before = hub.family_cpu_seconds()
            step = await parties.step(per_second, seconds)
            step.cpu_seconds = hub.family_cpu_seconds() - before
            return step

        done = [await measured(steps[0])]
        # Upwards while it holds; downwards until it does, where the first one did not.
        is_up = done[0].holds(LIMIT_SECONDS)
        for per_second in steps[1:] if is_up else LOWER:
            done.append(await measured(per_second))
            if done[-1].holds(LIMIT_SECONDS) != is_up:
                break
        return done
    finally:
        for platform in platforms:
            await platform.stop()


async def join_hub(env: dict[str, str], *platforms: FaultyPlatform) -> None:
    """Invitation and handshake, as for everybody, one after the other."""
    invitations = await asyncio.to_thread(_invite, env, platforms)
    for platform, invitation in zip(platforms, invitations, strict=True):
        await platform.register(invitation["versions_url"], invitation["token"])


def _invite(env: dict[str, str], platforms: Sequence[FaultyPlatform]) -> list[dict[str, str]]:
    calls = [
        ["invite_party", *party, "--role", str(role), "--name", platform.name, "--json"]
        for platform in platforms
        for party, role in platform.roles[:1]
    ]
    return [json.loads(line) for line in manage_all(env, calls).splitlines()]


def manage_all(env: dict[str, str], calls: list[list[str]]) -> str:
    """What several commands print, run by one process: to start it takes longer than they do."""
    code = f"from django.core.management import call_command as call; [call(*_) for _ in {calls}]"
    return manage(env, "shell", "--no-imports", "-c", code)


def manage(env: dict[str, str], *arguments: str) -> str:
    """What one of the hub's own commands prints; RuntimeError where it fails."""
    done = subprocess.run(  # noqa: S603 - the hub's own commands, no shell
        [sys.executable, "manage.py", *arguments],
        env={**os.environ, **env},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"manage.py {arguments[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout
