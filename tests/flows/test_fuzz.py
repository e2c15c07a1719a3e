"""Spoiled requests of a registered party: whatever comes, the hub itself fails at none of them.

FUZZ_REQUESTS says how many (some thousand here; 30,000 before a release), FUZZ_SEED which.
"""

import os
import random
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.parse import quote, urlsplit

import pytest

from hub.ocpi.datatypes import Role
from tests.flows.fuzzing import Request, spoiled, valid
from tests.hub.strangers import Stranger, token_of
from tests.running_hub import new_party

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "3000"))
SEED = int(os.environ.get("FUZZ_SEED", "221"))
CONNECTIONS = 8


@dataclass
class Wire:
    """One connection, made anew when the hub has closed it."""

    address: tuple[str, int]
    connection: socket.socket | None = None

    def send(self, request: Request) -> int:
        """The HTTP status; 0 where the hub hangs up, as on what is not HTTP."""
        if self.connection is None:
            self.connection = socket.create_connection(self.address, timeout=60)
        try:
            self.connection.sendall(request.as_bytes())
            answer = HTTPResponse(self.connection, method=request.method)
            answer.begin()
            answer.read()
        except (HTTPException, ConnectionError):
            self.close()
            return 0
        if answer.will_close:
            self.close()
        return answer.status

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def share(address: tuple[str, int], base: list[Request], number: int) -> Counter[int]:
    """What one connection's requests were answered with."""
    rng, wire, found = random.Random(f"{SEED}-{number}"), Wire(address), Counter[int]()
    try:
        for _ in range(REQUESTS // CONNECTIONS):
            request = spoiled(rng, rng.choice(base))
            status = wire.send(request)
            assert status < 500, (status, request)
            found[status] += 1
    finally:
        wire.close()
    return found


def test_no_spoiled_request_makes_the_hub_fail(hub, caplog, record_property):
    cpo, emsp = new_party("NL"), new_party("DE")
    party = hub.join(Stranger(Role.CPO, party=cpo, more=[(emsp, Role.EMSP)]), invite_as=cpo)
    other = hub.join(Stranger(Role.CPO, Role.EMSP, listens=False))
    callback = quote(f"{other.simulator.url}/result", safe="")
    base = valid(cpo, emsp, token_of(party), callback)
    url = urlsplit(hub.url)
    address = (str(url.hostname), url.port or 80)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [threads.submit(share, address, base, number) for number in range(CONNECTIONS)]
        found = sum((one.result() for one in shares), Counter[int]())
    record_property("answers by HTTP status", dict(sorted(found.items())))
    assert found[200] > REQUESTS / 20
    unexpected = [
        record
        for record in caplog.records
        if record.exc_info or "unexpected" in record.getMessage()
    ]
    assert not unexpected, unexpected[0].getMessage()


@pytest.mark.parametrize("number", range(3))
def test_the_same_seed_spoils_the_same_way(number):
    base = valid(new_party("NL"), new_party("DE"), "token", "http%3A%2F%2F127.0.0.1%2F")
    one, two = random.Random(number), random.Random(number)
    assert [spoiled(one, base[number]) for _ in range(50)] == [
        spoiled(two, base[number]) for _ in range(50)
    ]
