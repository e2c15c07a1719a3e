"""What the forwarding benchmarks share: receiver, hub with its parties, and bare hop."""

import json
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import load
from bench.programs import OTHER_CORE, Program, run_to_end, served
from hub.ocpi import headers
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import BASE_PATH
from stack.postgres import Postgres
from stack.processes import keep_quiet
from stack.valkey import Valkey

CPO, EMSP, SLOW = PartyId("NL", "CPO"), PartyId("DE", "MSP"), PartyId("DE", "SLO")
SLOW_MILLISECONDS = 200
# A custom module is forwarded and no more; of OCPI's own, what an owner pushes is kept as well.
FORWARDED = "nltnm-places"
HANGING = [PartyId("XX", f"{number:03}") for number in range(100)]


@dataclass(frozen=True)
class Setting:
    """Everything that is started once for the forwarding benchmarks."""

    folder: Path
    receiver_port: int
    target: str
    hub: Program
    hub_port: int
    bare: Program
    bare_port: int
    token: str
    env: dict[str, str]

    def to_hub(self, module: str, to: PartyId, object_id: str, body: bytes) -> bytes:
        """A PUT of the CPO to a party through the hub."""
        return routed(self.token, module, to, object_id, body)


def routed(token: str, module: str, to: PartyId, object_id: str, body: bytes) -> bytes:
    """A PUT of the CPO, which presents this token, to a party."""
    sent = {
        "Authorization": headers.authorization(token),
        headers.REQUEST_ID: "0a7f3f6c-2e1b-4b52-9a0f-5b1e4f0a9c11",
        headers.CORRELATION_ID: "6d0f7a52-8f2c-4c39-8a63-1f6f0b7d2e90",
        headers.FROM_COUNTRY_CODE: CPO.country_code,
        headers.FROM_PARTY_ID: CPO.party_id,
        headers.TO_COUNTRY_CODE: to.country_code,
        headers.TO_PARTY_ID: to.party_id,
        "Content-Type": "application/json",
    }
    path = f"{BASE_PATH}/receiver/{module}/{CPO.country_code}/{CPO.party_id}/{object_id}"
    return load.put(path, sent, body)


def to_hop(milliseconds: int, object_id: str, body: bytes) -> bytes:
    """The same PUT through a hop that knows neither parties nor tokens."""
    path = f"/{milliseconds}/locations/{CPO.country_code}/{CPO.party_id}/{object_id}"
    return load.put(path, {"Content-Type": "application/json"}, body)


@contextmanager
def setting(folder: Path, hang_milliseconds: int) -> Iterator[Setting]:
    """Start it all; stopped in reverse order."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        receiver_port: int = listening.getsockname()[1]
        command = [sys.executable, "-m", "bench.receiver", str(listening.fileno())]
        stack.enter_context(
            Program("receiver", command, folder, core=OTHER_CORE, listening=listening)
        )
        env = stack.enter_context(services(folder))
        target = f"http://127.0.0.1:{receiver_port}"
        parties = {CPO: 0, EMSP: 0, SLOW: SLOW_MILLISECONDS} | dict.fromkeys(
            HANGING, hang_milliseconds
        )
        asked = [
            {
                "party": str(party),
                "role": "CPO" if party == CPO else "EMSP",
                "url": f"{target}/{milliseconds}",
            }
            for party, milliseconds in parties.items()
        ]
        tokens = joined(env, asked)
        hub, hub_port = stack.enter_context(served("hub.asgi:application", folder, env))
        bare, bare_port = stack.enter_context(
            served("bench.bare_hop:application", folder, {"BENCH_TARGET": target})
        )
        yield Setting(
            folder, receiver_port, target, hub, hub_port, bare, bare_port, tokens[str(CPO)], env
        )


@contextmanager
def services(folder: Path, *, durable: bool = True) -> Iterator[dict[str, str]]:
    """An empty database and a broker of its own; the environment that names them.

    Not `durable`: no commit waits for the disk.
    """
    with ExitStack() as stack:
        postgres = Postgres(folder / "postgres", durable=durable, sink=keep_quiet)
        stack.callback(postgres.stop)
        valkey = Valkey(folder / "valkey", sink=keep_quiet)
        stack.callback(valkey.stop)
        data = folder / "data"
        data.mkdir()
        env = {
            "DATABASE_URL": postgres.start(),
            "REDIS_URL": valkey.start(),
            "FLEXHUB_DATA": str(data),
        }
        run_to_end(env, "manage.py", "migrate", "--no-input")
        yield env


def joined(env: dict[str, str], asked: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Register parties, each a {party, role, url}; the token that each presents."""
    tokens: dict[str, str] = json.loads(run_to_end(env, "-m", "bench.join", told=json.dumps(asked)))
    return tokens
