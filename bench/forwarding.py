"""What forwarding one message costs, beside hops that do less (transport_and_format, routing)."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvloop

from bench import load, nginx_hop
from bench.measurements import Measurement, Ratio
from bench.programs import Program, served
from bench.setting import CPO, EMSP, FORWARDED, Setting, to_hop
from party.messages import to_json
from sessions.objects import CdrToken, TokenType
from simulators import documents
from simulators.charging import Ev, Evse, Meter, MeterPeriod, Plug
from simulators.clock import SessionClock
from simulators.documents import SimulatedSession, Site

CONNECTIONS = 64
EVSES = 8
PERIODS = 8


@dataclass
class Contestant:
    """A hop, what it is sent, and its figures round by round."""

    name: str
    program: Program
    port: int
    requests: list[bytes]
    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def compete(self, seconds: float) -> None:
        """One round: CPU time a message, and messages a second of its core."""
        before = self.program.cpu_seconds()
        outcome = uvloop.run(load.run(self.port, self.requests, seconds))
        used = self.program.cpu_seconds() - before
        if outcome.errors or not outcome.count:
            raise RuntimeError(f"{self.name} failed: {outcome.errors[:1]}")
        self.cpu.append(used / outcome.count)
        self.rate.append(outcome.rate)
        self.busy.append(used / outcome.seconds)

    def forget(self) -> None:
        """Start counting."""
        for figures in (self.cpu, self.rate, self.busy):
            figures.clear()


def location(location_id: str = "LOC1", evses: int = EVSES) -> bytes:
    """A Location of so many EVSEs."""
    site = Site(location_id, evses=tuple(Evse(f"EVSE{number}") for number in range(evses)))
    return to_json(documents.location(site, CPO, datetime.now(UTC), set()))


def session(number: int) -> bytes:
    """A Session with eight ChargingPeriods."""
    now = datetime.now(UTC)
    meter = Meter(now)
    meter.periods = [MeterPeriod(now, 11_000.0, 0.25, 2.75) for _ in range(PERIODS)]
    token = CdrToken(*EMSP, f"UID{number:05}", TokenType.APP_USER, "DE-MSP-C00000001")
    evse = Evse("EVSE1")
    clock = SessionClock(now, 1)
    plug = Plug(evse, Ev(), now)
    return to_json(
        documents.session(
            SimulatedSession(f"SESSION{number:03}", CPO, Site(), plug, meter, clock, token, now)
        )
    )


@contextmanager
def contestants(at: Setting) -> Iterator[dict[str, Contestant]]:
    """All hops, the same Locations for each."""
    document = location()
    ids = [f"LOC{number:03}" for number in range(CONNECTIONS)]
    plain = [to_hop(0, one, document) for one in ids]
    with ExitStack() as stack:
        fastapi = stack.enter_context(
            served("bench.fastapi_hop:application", at.folder, {"BENCH_TARGET": at.target})
        )
        nginx = stack.enter_context(nginx_hop.served(at.receiver_port, at.folder))
        routed = [at.to_hub(FORWARDED, EMSP, one, document) for one in ids]
        places = [at.to_hub("locations", EMSP, one, location(one)) for one in ids]
        kept = [
            at.to_hub("sessions", EMSP, f"SESSION{number:03}", session(number))
            for number in range(CONNECTIONS)
        ]
        found = [
            Contestant("bare ASGI + aiohttp", at.bare, at.bare_port, plain),
            Contestant("hub", at.hub, at.hub_port, routed),
            Contestant("FastAPI + aiohttp", *fastapi, plain),
            Contestant("hub, Sessions that it keeps", at.hub, at.hub_port, kept),
            Contestant("hub, Locations that it keeps", at.hub, at.hub_port, places),
        ]
        if nginx is not None:
            found.append(Contestant("nginx", *nginx, plain))
        yield {one.name: one for one in found}


def measure(at: Setting, rounds: int, seconds: float) -> tuple[list[Measurement], dict[str, Any]]:
    """All in turn, several times over; ratios round by round."""
    with contestants(at) as found:
        for one in found.values():
            one.compete(seconds / 2)  # connections, caches: not counted
            one.forget()
        for _ in range(rounds):
            for one in found.values():
                one.compete(seconds)
    hub, bare, fastapi = (
        found[name] for name in ("hub", "bare ASGI + aiohttp", "FastAPI + aiohttp")
    )
    nginx = found.get("nginx")
    to_bare, to_fastapi = Ratio.of(hub.cpu, bare.cpu), Ratio.of(hub.cpu, fastapi.cpu)
    figures = [
        Measurement(
            "CPU a message: hub / bare ASGI + aiohttp",
            to_bare.told(),
            "at most 1.40",
            to_bare.median <= 1.4,
        ),
        Measurement(
            "CPU a message: hub / FastAPI + aiohttp",
            to_fastapi.told(),
            "at most 0.67",
            to_fastapi.median <= 2 / 3,
        ),
    ]
    if nginx is None:
        figures.append(
            Measurement("throughput of one core: hub / nginx", "left out: nginx is not installed")
        )
    else:
        # Messages for each second that the core worked: what else runs here does not count.
        share = Ratio.of(nginx.cpu, hub.cpu)
        figures.append(
            Measurement(
                "throughput of one core: hub / nginx proxy_pass",
                share.told(100, " %"),
                "at least 7 %",
                share.median >= 0.07,
            )
        )
    figures += [
        Measurement(
            f"CPU a message: hub / bare, {what} that it keeps",
            Ratio.of(found[f"hub, {what} that it keeps"].cpu, bare.cpu).told(),
        )
        for what in ("Locations", "Sessions")
    ]
    raw = {
        one.name: {
            "cpu_microseconds": [round(1e6 * value, 1) for value in one.cpu],
            "messages_per_second": [round(value) for value in one.rate],
            "share_of_core": round(statistics.median(one.busy), 2),
        }
        for one in found.values()
    }
    return figures, raw
