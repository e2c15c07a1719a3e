"""Parties that answer late or never, and what the others notice."""

import asyncio
from collections.abc import Sequence
from typing import Any

import uvloop

from bench import load
from bench.forwarding import location
from bench.measurements import Measurement, Ratio, percentile
from bench.setting import EMSP, FORWARDED, HANGING, SLOW, SLOW_MILLISECONDS, Setting, to_hop

IN_FLIGHT = 1000
SERVED_CONNECTIONS = 32
SERVED_PER_SECOND = 300.0


def in_flight(at: Setting, rounds: int, seconds: float) -> tuple[list[Measurement], dict[str, Any]]:
    """A thousand messages open at once to a party that takes 200 ms."""
    document = location()
    routed = [at.to_hub(FORWARDED, SLOW, f"LOC{n:04}", document) for n in range(IN_FLIGHT)]
    plain = [to_hop(SLOW_MILLISECONDS, f"LOC{n:04}", document) for n in range(IN_FLIGHT)]
    hub_rates, bare_rates, errors = [], [], 0
    for number in range(rounds + 1):
        through_hub = uvloop.run(load.run(at.hub_port, routed, seconds))
        through_bare = uvloop.run(load.run(at.bare_port, plain, seconds))
        if number:  # the first round opens the connections
            hub_rates.append(through_hub.rate)
            bare_rates.append(through_bare.rate)
        errors += len(through_hub.errors)
    memory = at.hub.peak_megabytes()
    rate = Ratio.of(hub_rates, bare_rates)
    figures = [
        Measurement(
            "1,000 in flight to a 200 ms party: rate, hub / bare",
            rate.told(),
            "at least 0.75",
            rate.median >= 0.75,
        ),
        Measurement("the same: errors", str(errors), "none", errors == 0),
        Measurement(
            "the same: memory of the worker", f"{memory:.0f} MB", "under 250 MB", memory < 250
        ),
    ]
    raw = {
        "hub_per_second": [round(value) for value in hub_rates],
        "bare_per_second": [round(value) for value in bare_rates],
        "errors": errors,
        "megabytes": round(memory),
    }
    return figures, raw


def hanging(at: Setting, seconds: float) -> tuple[list[Measurement], dict[str, Any]]:
    """The others' latency before, while, and after a hundred parties hang."""
    document = location()
    served = [at.to_hub(FORWARDED, EMSP, f"LOC{n:03}", document) for n in range(SERVED_CONNECTIONS)]
    hung = [at.to_hub(FORWARDED, party, "LOC1", document) for party in HANGING]
    quiet, disturbed = uvloop.run(_hanging(at, served, hung, seconds))
    without = percentile(quiet.latencies, 0.99)
    during = percentile(disturbed.latencies, 0.99)
    figures = [
        Measurement(
            "100 parties hang: p99 of the others, with / without",
            f"{during / without:.2f}",
            "under 2",
            during < 2 * without,
        ),
        Measurement(
            "the same: errors of the others",
            str(len(disturbed.errors)),
            "none",
            not disturbed.errors,
        ),
    ]
    raw = {
        name: {
            "p50_ms": round(1000 * percentile(one.latencies, 0.5), 2),
            "p99_ms": round(1000 * percentile(one.latencies, 0.99), 2),
            "messages": one.count,
        }
        for name, one in (("without", quiet), ("with", disturbed))
    }
    return figures, raw


async def _hanging(
    at: Setting, served: Sequence[bytes], hung: Sequence[bytes], seconds: float
) -> tuple[load.Outcome, load.Outcome]:
    async def serve(into: load.Outcome) -> None:
        done = await load.run(at.hub_port, served, seconds, per_second=SERVED_PER_SECOND)
        into.latencies += done.latencies
        into.errors += done.errors

    quiet, disturbed = load.Outcome(), load.Outcome()
    await serve(load.Outcome())  # connections, caches: not counted
    await serve(quiet)
    waiting = asyncio.create_task(load.run(at.hub_port, hung, 0))
    await serve(disturbed)
    await serve(disturbed)
    if waiting.done():
        raise RuntimeError("the hanging parties answered before the others were measured")
    await waiting
    await serve(quiet)
    return quiet, disturbed
