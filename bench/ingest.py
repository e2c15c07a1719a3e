"""What a Location costs that is kept and owed to ten receivers, beside the least that it could."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import load
from bench.forwarding import CONNECTIONS, Contestant, location
from bench.measurements import Measurement, Ratio
from bench.programs import served
from bench.report import report
from bench.setting import CPO, joined, services
from hub.ocpi import headers
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import BASE_PATH

EVSES = 12
HUB = ("NL", "HUB")
# Nobody drains meanwhile: each PUT marks what each of these holds.
RECEIVERS = [PartyId("DE", f"M{number:02}") for number in range(10)]


def pushes(token: str, body: bytes) -> list[bytes]:
    """A PUT for each connection, to the hub itself."""
    sent = {
        "Authorization": headers.authorization(token),
        headers.REQUEST_ID: "0a7f3f6c-2e1b-4b52-9a0f-5b1e4f0a9c11",
        headers.CORRELATION_ID: "6d0f7a52-8f2c-4c39-8a63-1f6f0b7d2e90",
        headers.FROM_COUNTRY_CODE: CPO.country_code,
        headers.FROM_PARTY_ID: CPO.party_id,
        headers.TO_COUNTRY_CODE: HUB[0],
        headers.TO_PARTY_ID: HUB[1],
        "Content-Type": "application/json",
    }
    found = []
    for number in range(CONNECTIONS):
        location_id = f"LOC{number:03}"
        path = f"{BASE_PATH}/receiver/locations/{CPO.country_code}/{CPO.party_id}/{location_id}"
        own = body.replace(b'"LOC1"', f'"{location_id}"'.encode(), 1)
        found.append(load.put(path, sent, own))
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `script/bench ingest` takes."""
    parser.add_argument("--quick", action="store_true", help="a look: few and short rounds")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return report(
        "ingest",
        options.out,
        lambda folder: measure(folder, *((2, 1.0) if options.quick else (6, 2.0))),
    )


def measure(folder: Path, rounds: int, seconds: float) -> tuple[list[Measurement], dict[str, Any]]:
    """Both in turn, several times over."""
    body = location(evses=EVSES)
    with ExitStack() as stack:
        env = stack.enter_context(services(folder)) | {"BACKLOG_MAX_SECONDS": "3600"}
        roles = {CPO: "CPO"} | dict.fromkeys(RECEIVERS, "EMSP")
        asked = [
            {"party": str(party), "role": role, "url": "http://127.0.0.1:9"}
            for party, role in roles.items()
        ]
        tokens = joined(env, asked)
        requests = pushes(tokens[str(CPO)], body)
        hub, bare = (
            Contestant(name, *stack.enter_context(served(application, folder, env)), requests)
            for name, application in (
                ("hub", "hub.asgi:application"),
                ("bare", "bench.bare_store:application"),
            )
        )
        for one in (hub, bare):
            one.compete(seconds / 2)
            one.forget()
        for _ in range(rounds):
            for one in (hub, bare):
                one.compete(seconds)
    share = Ratio.of(bare.cpu, hub.cpu)
    figures = [
        Measurement(
            f"rate of one core: PUT of a Location ({len(body)} bytes), hub / bare upsert",
            share.told(100, " %"),
            "at least 80 %",
            share.median >= 0.8,
        ),
        Measurement("the same by the clock", Ratio.of(hub.rate, bare.rate).told(100, " %")),
    ]
    raw = {
        one.name: {
            "cpu_microseconds": [round(1e6 * value, 1) for value in one.cpu],
            "messages_per_second": [round(value) for value in one.rate],
        }
        for one in (hub, bare)
    }
    return figures, raw
