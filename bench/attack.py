"""`python -m bench.attack NAME`: what harms others, until the process is ended (bench/guards.py).

Reads where to as JSON from the environment (BENCH_ATTACK: an `At`), tells when it is under way, and
then what it was answered. The same load goes to the hub, and to a bare hop which passes it on to
the same platform.
"""

import asyncio
import itertools
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import uvloop

from hub.ocpi import headers
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import BASE_PATH

# The platform that harms, the accomplice that answers it, and one at names that nobody resolves.
EVIL, ACCOMPLICE, NAMELESS = PartyId("XX", "EVM"), PartyId("XX", "EVC"), PartyId("XX", "NIX")
HUB: Final = PartyId("NL", "HUB")
BIG: Final = "nltnm-big"
UNDER_WAY: Final = "under way"
GUESSES_PER_SECOND: Final = 12
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CODE: Final = re.compile(rb'"status_code": *(\d+)')
_COOKIE: Final = re.compile(rb"csrftoken=([^;]+)")
_FIELD: Final = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')
_PATIENCE: Final = 40.0


@dataclass(frozen=True)
class At:
    """Whom to attack: the hub or, with `is_bare`, the hop; tokens by party."""

    port: int
    greedy: str
    tokens: Mapping[str, str]
    is_bare: bool

    def told(self) -> str:
        """As the process reads it."""
        return json.dumps(asdict(self))

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        sender: PartyId = EVIL,
        to: PartyId | None = None,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """The bytes of a message of the greedy platform."""
        sent = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **(more or {})}
        if not self.is_bare and path.startswith("/ocpi"):
            sent["Authorization"] = headers.authorization(self.tokens[str(sender)])
        if to is not None and not self.is_bare:
            sent[headers.FROM_COUNTRY_CODE], sent[headers.FROM_PARTY_ID] = sender
            sent[headers.TO_COUNTRY_CODE], sent[headers.TO_PARTY_ID] = to
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Caller:
    """One connection after the other: who harms comes back at once."""

    answers: Final[Counter[str]] = Counter()

    def __init__(self, port: int, source: str = "") -> None:
        self._port = port
        self._source = (source, 0) if source else None
        self._writing: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes, seconds: float = _PATIENCE) -> tuple[bytes, bytes]:
        """Head and body of the answer; both empty when there is none."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(request)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self.answers["none"] += 1
            self.hang_up()
            return b"", b""

    async def ask_and_not_read(self, request: bytes) -> None:
        """Until it is cut off."""
        try:
            await self._send(request)
            assert self._writing is not None  # noqa: S101 - narrows for mypy
            self._writing.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(_PATIENCE)
        finally:
            self.hang_up()

    async def _send(self, request: bytes) -> None:
        if self._writing is None:
            self._reading, self._writing = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=self._source, limit=1 << 20
            )
        self._writing.write(request)

    async def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        await self._send(request)
        head = await self._reading.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        left = int(found[1]) if found else 0
        parts: list[bytes] = []
        while left:
            part = await self._reading.read(min(left, 1 << 20))
            if not part:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(part)
            if len(parts) < 4:  # More than the beginning is of no use here.
                parts.append(part)
        body = b"".join(parts)
        code = _CODE.search(body[:300])
        self.answers[f"{head[9:12].decode()} {code[1].decode() if code else ''}".strip()] += 1
        if b"connection: close" in head.lower():
            self.hang_up()
        return head, body

    def hang_up(self) -> None:
        """The next request has a connection of its own."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None


Attack = Callable[[At], Awaitable[None]]


async def _repeated(at: At, connections: int, request: bytes, seconds: float = _PATIENCE) -> None:
    async def repeat() -> None:
        caller = Caller(at.port)
        while True:
            await caller.ask(request, seconds)

    await asyncio.gather(*(repeat() for _ in range(connections)))


async def _at_rate(per_second: float, begin: Callable[[int], Coroutine[Any, Any, Any]]) -> None:
    """So many a second, whatever becomes of those before."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[Any]]()
    due = loop.time()
    for number in itertools.count():
        tasks.add(task := asyncio.create_task(begin(number)))
        task.add_done_callback(tasks.discard)
        due += 1 / per_second
        await asyncio.sleep(max(0.0, due - loop.time()))


async def floods_gets(at: At) -> None:
    """64 connections that read the list of Locations."""
    path = "/greedy/list" if at.is_bare else f"{BASE_PATH}/sender/locations?limit=100"
    await _repeated(at, 64, at.request("GET", path, to=HUB))


async def hangs_calls(at: At) -> None:
    """60 messages to a party whose name is not resolved."""
    if at.is_bare:
        await _repeated(at, 60, at.request("PUT", "/greedy/hang", b"{}"), 5.0)
    path = f"{BASE_PATH}/receiver/nltnm-places/{EVIL[0]}/{EVIL[1]}/1"
    await _repeated(at, 60, at.request("PUT", path, b"{}", to=NAMELESS))


async def sends_commands(at: At) -> None:
    """40 commands whose result goes to a name that is not resolved, and their results."""
    accomplice = urlsplit(at.greedy)

    async def command(number: int) -> None:
        caller = Caller(at.port)
        while True:
            target = f"http://nobody{number}.flexhub.example/result"
            body = json.dumps(_start_session(target)).encode()
            path = "/greedy/commands" if at.is_bare else _COMMANDS
            await caller.ask(at.request("POST", path, body, to=ACCOMPLICE))

    async def results() -> None:
        caller, posting = Caller(accomplice.port or 0), set[asyncio.Task[None]]()
        body = b'{"result":"ACCEPTED"}'

        async def post(url: str) -> None:
            if at.is_bare:
                await Caller(at.port).ask(at.request("POST", "/greedy/hang", body), 5.0)
                return
            path = urlsplit(url).path
            await Caller(at.port).ask(at.request("POST", path, body, sender=ACCOMPLICE, to=EVIL))

        while True:
            _, taken = await caller.ask(_TAKEN)
            for url in taken.decode().split():
                if len(posting) < 40:
                    posting.add(task := asyncio.create_task(post(url)))
                    task.add_done_callback(posting.discard)
            await asyncio.sleep(0.05)

    # Those that an earlier attack has left, through the other hop.
    await Caller(accomplice.port or 0).ask(_TAKEN)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(results())
        for number in range(40):
            tasks.create_task(command(number))


_TAKEN: Final = b"GET /taken HTTP/1.1\r\nHost: x\r\n\r\n"
_COMMANDS: Final = f"{BASE_PATH}/receiver/commands/START_SESSION"


def _start_session(target: str) -> dict[str, object]:
    token = {
        "country_code": EVIL[0],
        "party_id": EVIL[1],
        "uid": "U1",
        "type": "APP_USER",
        "contract_id": "XX-EVM-1",
        "issuer": "Evil",
        "valid": True,
        "whitelist": "NEVER",
        "last_updated": "2026-01-01T00:00:00Z",
    }
    return {"response_url": target, "token": token, "location_id": "LOC1"}


async def stalls_handshakes(at: At) -> None:
    """40 PUTs of credentials whose call back never ends, and 40 new ones each second."""
    role = {"role": "EMSP", "business_details": {"name": "Evil"}}
    body = {
        "token": "another-token-of-evil",
        "url": f"{at.greedy}/greedy/hang/versions",
        "roles": [role | {"country_code": EVIL[0], "party_id": EVIL[1]}],
    }
    path = "/greedy/hang" if at.is_bare else f"{BASE_PATH}/credentials"
    said = at.request("PUT", path, json.dumps(body).encode())
    await _at_rate(40, lambda _: Caller(at.port).ask(said, 10.0))


def _big(at: At) -> bytes:
    path = f"/greedy/{BIG}" if at.is_bare else f"{BASE_PATH}/sender/{BIG}"
    return at.request("GET", path, to=ACCOMPLICE)


async def answers_big(at: At) -> None:
    """40 times 19 MB at once, and again."""
    await _repeated(at, 40, _big(at))


async def answers_big_unread(at: At) -> None:
    """The same, and nobody reads it."""

    async def repeat() -> None:
        while True:
            await Caller(at.port).ask_and_not_read(_big(at))

    await asyncio.gather(*(repeat() for _ in range(40)))


async def guesses(at: At, addresses: int = 1) -> None:
    """12 passwords a second."""
    await _at_rate(GUESSES_PER_SECOND, lambda number: _guess(at, number, number % addresses))


async def guesses_from_everywhere(at: At) -> None:
    """12 passwords a second, each from an address of its own."""
    await guesses(at, 10_000)


async def _guess(at: At, number: int, address: int) -> None:
    caller = Caller(at.port, f"127.0.{1 + address // 200}.{1 + address % 200}")
    path = "/greedy/login" if at.is_bare else "/admin/login/"
    head, page = await caller.ask(at.request("GET", path))
    cookie, hidden = _COOKIE.search(head), _FIELD.search(page)
    form = {
        "username": f"operator{number % 50}",
        "password": f"guess-{number}",
        "csrfmiddlewaretoken": hidden[1].decode() if hidden else "",
    }
    sent = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"csrftoken={cookie[1].decode()}" if cookie else "none=1",
    }
    await caller.ask(at.request("POST", path, urlencode(form).encode(), more=sent))
    caller.hang_up()


ATTACKS: Final[Mapping[str, Attack]] = {
    "floods GETs with 64 connections": floods_gets,
    "hangs 60 calls on a name": hangs_calls,
    "sends 40 commands with such a response_url": sends_commands,
    "stalls 40 handshakes": stalls_handshakes,
    "answers 40 times 19 MB": answers_big,
    "the same, which nobody reads": answers_big_unread,
    "guesses 12 passwords a second": guesses,
    "the same, each from another address": guesses_from_everywhere,
}


async def main(name: str, at: At) -> None:
    """Attack, and tell once a second what was answered."""
    attack = asyncio.ensure_future(ATTACKS[name](at))
    await asyncio.sleep(1.0)
    sys.stdout.write(f"{UNDER_WAY}\n")
    while not attack.done():
        sys.stdout.write(f"{json.dumps(Caller.answers)}\n")
        sys.stdout.flush()
        await asyncio.wait([attack], timeout=0.5)
    await attack


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], At(**json.loads(os.environ["BENCH_ATTACK"]))))
