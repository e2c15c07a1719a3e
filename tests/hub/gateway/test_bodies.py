"""Bodies that are not JSON, too large or too deep, and receivers that take their time.

status_codes: what is not JSON is 400. A hanging party takes no capacity from others.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from simulators.testing import PATIENCE, Running
from tests.hub.strangers import CUSTOM, IDS, Stranger, ask, echoes, raw, send, token_of
from tests.running_hub import changed_setting

PUT_TARIFF = "receiver/tariffs/{own}/T1"

NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"<x/>",
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":01}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":+1}',
    b'{"a":1,}',
    b"[1 2]",
    b"{'a':1}",
    b'{"a":1} {"b":2}',
    b'{"a":"\n"}',
    b'{"a":"\xff"}',
    b'{"a":"\xed\xa0\x80"}',
    b"\xef\xbb\xbf{}",
    '{"a":1}'.encode("utf-16"),
    b"a=1&b=2",
    b"nul",
]


@pytest.mark.parametrize("path", [PUT_TARIFF, f"receiver/{CUSTOM}/1", "credentials"])
@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_json_is_400(hub, cpo, emsp, path, body):
    answer = ask(hub, cpo, "PUT", path, to=emsp, body=body, headers=IDS)
    assert answer.status == 400
    assert answer.code == 2001
    assert echoes(answer)
    assert not emsp.simulator.got


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize("body", [b'{"response_url"', b'{"response_url":"\xff"}'])
def test_a_response_url_in_what_is_not_json_is_400_also_where_no_body_is_needed(
    hub, cpo, emsp, method, body
):
    answer = ask(hub, cpo, method, f"receiver/{CUSTOM}/1", to=emsp, body=body, headers=IDS)
    assert answer.status == 400
    assert answer.code == 2001
    assert echoes(answer)
    assert not emsp.simulator.got


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_body_that_is_missing_is_400(hub, cpo, emsp, method):
    answer = ask(hub, cpo, method, f"receiver/{CUSTOM}/1", to=emsp)
    assert answer.status == 400
    assert not emsp.simulator.got


@pytest.mark.parametrize("opens", [b"[", b'{"a":'])
def test_ten_thousand_nested_arrays_or_objects_are_400(hub, cpo, emsp, opens):
    closes = b"]" if opens == b"[" else b"}"
    body = opens * 10_000 + b"1" + closes * 10_000
    for path in (PUT_TARIFF, "credentials", "receiver/commands/START_SESSION"):
        method = "POST" if "commands" in path else "PUT"
        answer = ask(hub, cpo, method, path, to=emsp, body=body, headers=IDS)
        assert answer.status == 400
        assert echoes(answer)
    assert not emsp.simulator.got


def test_nesting_that_real_objects_have_is_passed_on(hub, cpo, emsp):
    body = b"[" * 50 + b"]" * 50
    assert ask(hub, cpo, "PUT", PUT_TARIFF, to=emsp, body=body).said == (200, 1000)
    assert emsp.simulator.got[0].body == body


def test_two_megabytes_of_json_are_413_and_one_is_passed_on(hub, cpo, emsp):
    two = b'"' + b"x" * 2_000_000 + b'"'
    answer = ask(hub, cpo, "PUT", PUT_TARIFF, to=emsp, body=two, headers=IDS)
    assert answer.status == 413
    assert 2000 <= answer.code < 3000
    assert echoes(answer)
    assert not emsp.simulator.got
    one = b'"' + b"x" * 999_998 + b'"'
    assert ask(hub, cpo, "PUT", PUT_TARIFF, to=emsp, body=one).said == (200, 1000)
    assert emsp.simulator.got[0].body == one


def test_two_megabytes_in_chunks_without_a_length_are_413(hub, cpo, emsp):
    head = (
        f"PUT /ocpi/2.2.1/receiver/tariffs/XX/AAA/T1 HTTP/1.1\r\nHost: hub\r\n"
        f"Authorization: {authorization(token_of(cpo))}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with socket.create_connection(_address(hub), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + chunk * 32 + b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_token_is_refused_before_it_is_judged(hub):
    answer = send(hub, "PUT", f"/ocpi/2.2.1/{PUT_TARIFF}", "wrong", body=b"{", headers=IDS)
    assert answer.status == 401


# --- Time -----------------------------------------------------------------------------------------


def _address(hub) -> tuple[str, int]:
    parts = urlsplit(hub.url)
    return str(parts.hostname), int(parts.port or 0)


def test_a_sender_that_leaves_in_mid_body_costs_nothing(hub, cpo, emsp):
    head = (
        f"PUT /ocpi/2.2.1/receiver/tariffs/XX/AAA/T1 HTTP/1.1\r\nHost: hub\r\n"
        f"Authorization: {authorization(token_of(cpo))}\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(_address(hub), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + b'{"a":')
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
    assert [message.method for message in emsp.simulator.got] == ["GET"]


@pytest.mark.parametrize("rest", [b"Content-Length: 100000\r\n", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("target", [f"/ocpi/2.2.1/receiver/{CUSTOM}/1", "/admin/login/"])
def test_a_body_that_dribbles_for_ever_is_408(hub, cpo, emsp, target, rest):
    head = (
        f"PUT {target} HTTP/1.1\r\nHost: hub\r\nAuthorization: {authorization(token_of(cpo))}\r\n"
    )
    ended = threading.Event()
    with (
        changed_setting("BODY_TIMEOUT", 0.5),
        socket.create_connection(_address(hub), timeout=PATIENCE) as connection,
    ):

        def dribble() -> None:
            with suppress(OSError):
                connection.sendall(head.encode() + rest + b"\r\n")
                while not ended.wait(0.05):
                    connection.sendall(b"1\r\n{\r\n")

        thread = threading.Thread(target=dribble)
        thread.start()
        answer = b""
        while part := connection.recv(10_000):
            answer += part
        ended.set()
        thread.join(PATIENCE)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 0.5 s" in answer
    assert not emsp.simulator.got


def test_a_hanging_receiver_takes_no_capacity_from_others(hub, cpo, emsp):
    """More of its messages wait than the hub has threads; the others are as quick as ever."""
    hanging: Running[Stranger] = hub.join(Stranger(Role.EMSP))
    freed = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(freed.wait, PATIENCE)
        return raw()

    hanging.simulator.says = hangs
    answers = []
    waiting = [
        threading.Thread(
            target=lambda: answers.append(ask(hub, cpo, "GET", "sender/tokens", to=hanging))
        )
        for _ in range(40)
    ]
    for thread in waiting:
        thread.start()
    try:
        hanging.wait_for(lambda: len(hanging.simulator.got) == 40)
        for _ in range(20):
            assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
            assert ask(hub, cpo, "GET", "/ocpi/versions").said == (200, 1000)
        assert not answers
    finally:
        freed.set()
        for thread in waiting:
            thread.join(PATIENCE)
    assert [answer.said for answer in answers] == [(200, 1000)] * 40


def test_beyond_the_bulkhead_a_receiver_gets_no_more_and_others_do(hub, cpo, emsp):
    hanging = hub.join(Stranger(Role.EMSP))
    freed = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(freed.wait, PATIENCE)
        return raw()

    hanging.simulator.says = hangs
    with changed_setting("FORWARDS_PER_RECEIVER", 3):
        waiting = [
            threading.Thread(target=lambda: ask(hub, cpo, "GET", "sender/tokens", to=hanging))
            for _ in range(3)
        ]
        for thread in waiting:
            thread.start()
        try:
            hanging.wait_for(lambda: len(hanging.simulator.got) == 3)
            answer = ask(hub, cpo, "GET", "sender/tokens", to=hanging)
            assert answer.said == (200, 4003)
            assert len(hanging.simulator.got) == 3
            assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
        finally:
            freed.set()
            for thread in waiting:
                thread.join(PATIENCE)
        assert ask(hub, cpo, "GET", "sender/tokens", to=hanging).said == (200, 1000)
