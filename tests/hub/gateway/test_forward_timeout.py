"""A receiver that does not answer in time: 4002, and what it costs (status_codes, 4xxx)."""

import asyncio
import threading

import pytest

from hub.ocpi.datatypes import Role
from hub.parties import handshake
from simulators.testing import PATIENCE
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import Stranger, ask, raw, send, token_of, until
from tests.running_hub import changed_setting

TARIFF = "receiver/tariffs/{own}/T1"


@pytest.fixture(scope="module", autouse=True)
def _impatient():
    """The limit is read when the hub starts, which it does after this."""
    with changed_setting("FORWARD_TIMEOUT", 0.5):
        yield


async def _never(message):
    await asyncio.sleep(PATIENCE)
    return raw()


@pytest.fixture
def slow(hub):
    """An eMSP that takes messages and never answers."""
    running = hub.join(Stranger(Role.EMSP, listens=False))
    running.simulator.says = _never
    return running


def test_a_slow_receiver_is_4002_with_http_200_after_the_limit(hub, cpo, slow):
    ids = {"X-Request-ID": "r", "X-Correlation-ID": "c"}
    answer = ask(hub, cpo, "PUT", TARIFF, to=slow, body=b"{}", headers=ids)
    assert answer.said == (200, 4002)
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r", "c")
    assert answer.headers["ocpi-from-party-id"] == slow.simulator.party.party_id
    slow.wait_for(lambda: slow.simulator.got)


def test_a_message_that_may_have_arrived_is_not_sent_again(hub, cpo, slow):
    for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        body = b"{}" if method in {"POST", "PUT", "PATCH"} else None
        ask(hub, cpo, method, "receiver/nltnm-tokens/1", to=slow, body=body)
    methods = ["POST", "PUT", "PATCH", "DELETE", "GET"]
    slow.wait_for(lambda: len(slow.simulator.got) >= len(methods))
    assert [m.method for m in slow.simulator.got] == methods


def test_a_slow_owner_of_a_response_url_is_4002(hub, cpo, slow):
    url = f"{slow.url}/api/ocpi/2.2.1/sender/commands/START_SESSION/1"
    body = b'{"response_url":"%s"}' % url.encode()
    start = "receiver/commands/START_SESSION"
    until(lambda: ask(hub, slow, "POST", start, to=cpo, body=body).code == 1000)
    rewritten = cpo.simulator.got[-1].json()["response_url"]
    assert send(hub, "POST", rewritten, token_of(cpo), body=b"{}").said == (200, 4002)


def test_handshakes_that_hang_leave_the_other_views_alone(hub, cpo, monkeypatch):
    """Registration calls the other side back; slow ones must not take everybody's threads."""
    monkeypatch.setattr(handshake, "SECONDS", 60)
    newcomers = [Newcomer(hub) for _ in range(10)]
    for newcomer in newcomers:
        newcomer.running.set_faults(slow=60)
    threads = [threading.Thread(target=newcomer.post) for newcomer in newcomers]
    for thread in threads:
        thread.start()
    newcomers[0].running.wait_for(
        lambda: sum(len(n.running.received(module="versions")) for n in newcomers) >= 1
    )
    for _ in range(10):
        assert ask(hub, cpo, "GET", "/ocpi/versions").said == (200, 1000)
        assert ask(hub, cpo, "GET", "/ocpi/2.2.1/hubclientinfo").said == (200, 1000)
    assert all(thread.is_alive() for thread in threads)
    for newcomer in newcomers:
        newcomer.running.stop()
    for thread in threads:
        thread.join(PATIENCE)
