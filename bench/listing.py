"""What pages of a long GET All cost, beside one query and one write to a socket."""

import argparse
import re
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.forwarding import location
from bench.ingest import EVSES, HUB
from bench.measurements import Measurement, Ratio
from bench.programs import MEASURED_CORE, Program, served
from bench.report import report
from bench.setting import CPO, joined, services
from hub.ocpi import headers
from hub.ocpi.v2_2_1 import BASE_PATH

PAGE = 100
_FILL = """
    INSERT INTO ocpi_locations_location
        (owner, object_id, audience, last_updated, document, received_at)
    SELECT %s, 'M' || n, '', now(), %s, now() FROM generate_series(1, %s) AS n
"""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LINK = re.compile(rb"\r\nlink: *<([^>]+)>", re.IGNORECASE)


class Reader:
    """One kept-alive connection that reads pages."""

    def __init__(self, port: int, token: str = "") -> None:
        self._http = socket.create_connection(("127.0.0.1", port))
        sent = {
            "Host": "127.0.0.1",
            "Authorization": headers.authorization(token),
            headers.FROM_COUNTRY_CODE: CPO.country_code,
            headers.FROM_PARTY_ID: CPO.party_id,
            headers.TO_COUNTRY_CODE: HUB[0],
            headers.TO_PARTY_ID: HUB[1],
        }
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self._buffer = bytearray(4_000_000)

    def read(self, path: str) -> tuple[int, str]:
        """The size of a page, and the path of the next one."""
        self._http.sendall(f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode())
        size, whole, link = 0, 0, ""
        view = memoryview(self._buffer)
        while not whole or size < whole:
            got = self._http.recv_into(view[size:])
            if not got:
                raise RuntimeError("the connection was closed")
            size += got
            if not whole and (end := self._buffer.find(b"\r\n\r\n", 0, size)) >= 0:
                head = bytes(self._buffer[: end + 2])
                if not head.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(head.decode())
                found, following = _LENGTH.search(head), _LINK.search(head)
                whole = end + 4 + int(found[1] if found else 0)
                link = following[1].decode() if following else ""
        url = urlsplit(link)
        return size, f"{url.path}?{url.query}" if link else ""

    def close(self) -> None:
        """Hang up."""
        self._http.close()


@dataclass
class Server:
    """Who answers, and how much a second, round by round."""

    program: Program
    port: int
    token: str = ""
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def crawl(self, seconds: float, first: str) -> None:
        """Read pages, each the one that the last named, and note bytes a second."""
        reader, path, size = Reader(self.port, self.token), first, 0
        before, begun = self.program.cpu_seconds(), time.monotonic()
        while time.monotonic() < begun + seconds:
            got, path = reader.read(path or first)
            size += got
        self.rate.append(size / (time.monotonic() - begun))
        self.cpu.append(size / max(self.program.cpu_seconds() - before, 0.01))
        reader.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `script/bench list` takes."""
    parser.add_argument("--quick", action="store_true", help="a look: few and short rounds")
    parser.add_argument("--out", type=Path, help="file for the figures; in FLEXHUB_DATA otherwise")


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    return report(
        "list",
        options.out,
        lambda folder: measure(folder, *((20_000, 2, 1.0) if options.quick else (200_000, 6, 2.0))),
    )


def measure(folder: Path, rows: int, rounds: int, seconds: float) -> tuple[list[Measurement], Any]:
    """Crawl hub and bare server in turn; then deep pages, then all of them."""
    first = f"{BASE_PATH}/sender/locations?limit={PAGE}"
    with ExitStack() as stack:
        env = stack.enter_context(services(folder))
        tokens = joined(env, [{"party": str(CPO), "role": "CPO", "url": "http://127.0.0.1:9"}])
        with psycopg.connect(env["DATABASE_URL"], autocommit=True) as database:
            database.execute(_FILL, [str(CPO), location(evses=EVSES), rows])
            database.execute("VACUUM ANALYZE ocpi_locations_location")
        program, port = stack.enter_context(served("hub.asgi:application", folder, env))
        hub = Server(program, port, tokens[str(CPO)])
        bare = _bare(stack, folder, env)
        for one in (hub, bare):
            one.crawl(seconds / 2, first)
            one.rate.clear()
            one.cpu.clear()
        for _ in range(rounds):
            for one in (hub, bare):
                one.crawl(seconds, first)
        shallow, deep = _latencies(hub, first, rows)
        before, after = _read_all(hub, first)
    share, depth = Ratio.of(hub.rate, bare.rate), deep / shallow
    figures = [
        Measurement(
            f"bytes a second: pages of {PAGE} out of {rows:,}, hub / bare query",
            share.told(100, " %"),
            "at least 60 %",
            share.median >= 0.6,
        ),
        Measurement("the same for each second of CPU", Ratio.of(hub.cpu, bare.cpu).told(100, " %")),
        Measurement("last page / first page, by offset", f"{depth:.2f}", "under 2", depth < 2),
        Measurement(
            "memory of the worker: all pages read / one round",
            f"{before:.0f} MB, then {after:.0f} MB",
            "flat",
            after < before + 20,
        ),
    ]
    raw = {
        name: {"megabytes_per_second": [round(rate / 1e6, 1) for rate in one.rate]}
        for name, one in (("hub", hub), ("bare", bare))
    }
    return figures, raw | {"first_ms": 1000 * shallow, "last_ms": 1000 * deep}


def _bare(stack: ExitStack, folder: Path, env: dict[str, str]) -> Server:
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    command = [sys.executable, "-m", "bench.bare_list", str(listening.fileno())]
    program = Program(
        "bare_list", command, folder, env=env, core=MEASURED_CORE, listening=listening
    )
    stack.enter_context(program)
    return Server(program, listening.getsockname()[1])


def _latencies(hub: Server, first: str, rows: int) -> tuple[float, float]:
    """The median time of the first and of the last page, both by their offset."""
    reader = Reader(hub.port, hub.token)
    found: dict[int, list[float]] = {0: [], rows - PAGE: []}
    for _ in range(30):
        for offset, times in found.items():
            begun = time.monotonic()
            reader.read(f"{first}&offset={offset}")
            times.append(time.monotonic() - begun)
    reader.close()
    return statistics.median(found[0]), statistics.median(found[rows - PAGE])


def _read_all(hub: Server, first: str) -> tuple[float, float]:
    """The worker's greatest memory before and after a crawl over everything."""
    before, reader, path = hub.program.peak_megabytes(), Reader(hub.port, hub.token), first
    while path:
        _, path = reader.read(path)
    reader.close()
    return before, hub.program.peak_megabytes()
