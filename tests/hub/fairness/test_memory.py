"""Bytes under way: one platform's large bodies do not fill the memory (hub/fairness/memory.py)."""

import asyncio
import gzip
import json
import os
from collections import Counter

import pytest

from hub.fairness.memory import SMALL, UnderWay
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import TooManyRequests
from simulators.testing import PATIENCE
from tests.hub.flood import Flood, NotRead, locked, request_of
from tests.hub.pushing import HUB, location_of
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, until
from tests.running_hub import changed_setting

LARGE = 8_000_000
LIST = f"sender/{CUSTOM}"


def long_answer(size, code=1000):
    """An envelope with so much in `data`."""
    head = b'{"status_code":%d,"timestamp":"2026-01-01T00:00:00Z","data":["' % code
    return head + b"x" * (size - len(head) - 3) + b'"]}'


@pytest.fixture
def greedy(hub):
    return hub.join(Stranger(Role.CPO))


@pytest.fixture
def room_for_two():
    """Two large answers for a platform, one of them between two platforms."""
    with changed_setting("BYTES_PER_PLATFORM", 20_000_000):
        yield


def large(_message):
    return raw(long_answer(LARGE))


def test_what_does_not_fit_waits_then_gets_429_and_nobody_else_does(
    hub, cpo, emsp, greedy, room_for_two
):
    cpo.simulator.says = emsp.simulator.says = large
    get = request_of(hub, greedy, "GET", LIST, to=emsp)
    with changed_setting("WAITING_SECONDS", 0.1), NotRead(hub, get) as first:
        first.began()
        refused = ask(hub, greedy, "GET", LIST, to=emsp)
        assert refused.said == (429, 2000)
        assert int(refused.headers["retry-after"]) >= 1
        # The others get theirs of the same party, and what is small needs no room.
        assert len(ask(hub, cpo, "GET", LIST, to=emsp).body) == LARGE
        assert len(ask(hub, greedy, "GET", LIST, to=cpo).body) == LARGE
        emsp.simulator.says = Stranger.says_yes
        assert ask(hub, greedy, "GET", LIST, to=emsp).said == (200, 1000)
        assert ask(hub, greedy, "PUT", "receiver/tariffs/{own}/1", to=emsp, body=b"{}").code == 1000
        emsp.simulator.says = large
        assert first.read().endswith(b'"]}')
        # It has been read: there is room again, without waiting for it.
        until(lambda: ask(hub, greedy, "GET", LIST, to=emsp).status == 200)


def test_forty_answers_at_once_come_one_after_the_other(hub, emsp, greedy, room_for_two):
    emsp.simulator.says = lambda _message: raw(long_answer(2_000_000))
    with changed_setting("WAITING_SECONDS", PATIENCE):
        flood = Flood(hub, [request_of(hub, greedy, "GET", LIST, to=emsp)] * 40)
        assert Counter((one.status, len(one.body)) for one in flood.all()) == {(200, 2_000_000): 40}


def test_who_does_not_read_is_let_go_and_who_reads_is_not(hub, emsp, greedy, caplog):
    emsp.simulator.says = large
    get = request_of(hub, greedy, "GET", LIST, to=emsp)
    with changed_setting("WRITE_TIMEOUT", 0.2), NotRead(hub, get) as caller:
        caller.began()
        until(lambda: "does not read its answer" in caplog.text)
        assert not caller.read().endswith(b'"]}')
    with changed_setting("WRITE_TIMEOUT", PATIENCE), NotRead(hub, get) as caller:
        caller.began()
        assert caller.read().endswith(b'"]}')


def test_a_list_of_the_hubs_own_is_counted_too(hub, cpo, emsp):
    for number in range(40):
        location = location_of(cpo.simulator.party, f"L{number}")
        path = f"receiver/locations/{{own}}/L{number}"
        assert ask(hub, cpo, "PUT", path, body=json.dumps(location).encode()).code == 1000
    whole = ask(hub, emsp, "GET", "sender/locations", to=HUB)
    assert len(whole.body) > SMALL
    with changed_setting("BYTES_PER_PLATFORM", SMALL), changed_setting("WAITING_SECONDS", 0.05):
        assert ask(hub, emsp, "GET", "sender/locations", to=HUB).said == (429, 2000)
        assert ask(hub, emsp, "GET", "sender/locations?limit=1", to=HUB).said == (200, 1000)


def test_bodies_that_wait_are_counted(hub, emsp, greedy):
    """Forty bodies of 100 KB in a budget of 1 MB: the others wait outside, and are told so."""
    body = b'{"x":"' + b"x" * 100_000 + b'"}'
    put = request_of(hub, greedy, "PUT", "receiver/sessions/{own}/S", to=emsp, body=body)
    put = put.replace(b"{own}", "/".join(greedy.simulator.party).encode())
    with (
        changed_setting("BYTES_PER_PLATFORM", 1_000_000),
        changed_setting("WAITING_SECONDS", 0.1),
        locked("ocpi_sessions_session"),
    ):
        flood = Flood(hub, [put] * 40)
        assert {one.status for one in flood.first(20)} == {429}
    assert Counter(one.status for one in flood.all())[429] < 40


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE"])
def test_an_answer_to_a_push_is_short_and_a_list_may_be_long(hub, cpo, emsp, method):
    emsp.simulator.says = lambda _message: raw(long_answer(50_000))
    path = f"receiver/{CUSTOM}/1"
    body = None if method == "DELETE" else b"{}"
    with changed_setting("MAX_PUSH_ANSWER_BYTES", 40_000):
        refused = ask(hub, cpo, method, path, to=emsp, body=body)
        assert refused.code == 4000
        assert "larger than 40000 bytes" in refused.envelope["status_message"]
        assert len(ask(hub, cpo, "GET", LIST, to=emsp).body) == 50_000
    assert ask(hub, cpo, method, path, to=emsp, body=body).said == (200, 1000)


def test_an_answer_to_a_push_that_has_no_room_is_4000_not_429(hub, emsp, greedy, room_for_two):
    """429 would say that the receiver has not heard of it."""
    emsp.simulator.says = large
    get = request_of(hub, greedy, "GET", LIST, to=emsp)
    with changed_setting("WAITING_SECONDS", 0.1), NotRead(hub, get) as first:
        first.began()
        emsp.simulator.says = lambda _message: raw(long_answer(900_000))
        with changed_setting("BYTES_PER_PLATFORM", 16_500_000):
            answer = ask(hub, greedy, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=b"{}")
            assert answer.code == 4000
            assert [message.method for message in emsp.simulator.got] == ["GET", "PUT"]


@pytest.mark.parametrize("says", ["chunked", "gzip", "pretty", "status_code behind data"])
def test_long_answers_in_every_form_are_passed_on_and_the_code_is_seen(
    hub, cpo, emsp, says, caplog
):
    plain = long_answer(3_000_000, 2003)
    if says == "pretty":
        plain = plain.replace(b",", b" ,\n  ").replace(b":", b" : ")
    elif says == "status_code behind data":
        plain = b'{"data":[{"data":[1]},"%s"],\n"status_code":2003}' % (b"x" * 3_000_000)

    async def chunked(message):
        return raw_in_chunks(plain)

    if says == "gzip":
        emsp.simulator.says = lambda _: raw(gzip.compress(plain), Content_Encoding="gzip")
    elif says == "chunked":
        emsp.simulator.says = chunked
    else:
        emsp.simulator.says = lambda _: raw(plain)
    caplog.set_level("INFO", "hub.messages")
    assert ask(hub, cpo, "GET", LIST, to=emsp).body == plain
    until(lambda: "OCPI 2003" in caplog.text)


def raw_in_chunks(body):
    answer = raw(body)
    answer.enable_chunked_encoding()
    return answer


def test_a_long_answer_that_is_no_envelope_is_told_as_such(hub, cpo, emsp):
    page = b"<html>" + os.urandom(200_000).hex().encode()
    emsp.simulator.says = lambda _message: raw(page, Content_Type="text/html")
    assert ask(hub, cpo, "GET", LIST, to=emsp).code == 4000


def test_accounts_are_exact_whoever_waits_grows_shrinks_or_leaves(settings):
    settings.BYTES_PER_PLATFORM, settings.WAITING_SECONDS = 1_000_000, 20

    async def work() -> None:
        accounts = UnderWay()
        first, second, third = (accounts.of_answer(1, 2) for _ in range(3))
        await first.grow(400_000)
        waits = asyncio.ensure_future(second.grow(300_000))
        behind = asyncio.ensure_future(third.grow(90_000))
        await asyncio.sleep(0)
        # What is small, what is another pair's, and what fewer wait for, all go on.
        await accounts.of_answer(1, 2).grow(SMALL)
        others = accounts.of_answer(1, 3)
        await others.grow(500_000)
        # The first leaves the line: who is behind it does not wait for nothing.
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        await behind
        first.settle(100_000)
        await second.grow(100_000)
        # Their own half would do, but all that this platform has is full.
        full = asyncio.ensure_future(accounts.of_answer(1, 4).grow(300_000))
        await asyncio.sleep(0)
        assert not full.done()
        others.give_back()
        others.give_back()
        await full
        settings.WAITING_SECONDS = 0
        with pytest.raises(TooManyRequests):
            await accounts.of_sender(1).grow(900_000)
        assert accounts.full(((1, 2),), 210_000) is None
        assert accounts.full(((1, 2),), 210_001) == (1, 2)

    asyncio.run(work())


def test_only_so_many_wait(settings):
    settings.BYTES_PER_PLATFORM, settings.WAITING_SECONDS = 1_000_000, 20

    async def work() -> None:
        accounts = UnderWay()
        rooms = [accounts.of_sender(1) for _ in range(102)]
        await rooms[0].grow(1_000_000)
        waiting = [asyncio.ensure_future(room.grow(20_000)) for room in rooms[1:]]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [isinstance(one.exception(), TooManyRequests) for one in waiting if one.done()]
        rooms[0].give_back()
        await asyncio.gather(*waiting[:50])

    asyncio.run(work())
