"""Calls to other platforms: time, size and address limits of both ways to call."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, HubError
from hub.outbound.platform_calls import AsyncCaller, NotArrived, Response
from simulators.testing import PATIENCE
from tests.hub.raw_servers import ANSWER, HEARD, Serve, server


def test_the_answer_has_status_lower_case_headers_and_the_bytes(call):
    said = b"HTTP/1.1 201 Created\r\nX-ToTal-Count: 7\r\nContent-Length: 4\r\n\r\n{ }\n"
    with server(lambda connection: connection.sendall(said)) as url:
        response = call(url, "POST", b"{}")
    assert (response.status, response.body) == (201, b"{ }\n")
    assert response.headers["x-total-count"] == "7"


def test_a_closed_port_is_4003_and_certainly_not_arrived(call):
    with server(lambda connection: None) as url:
        pass
    with pytest.raises(NotArrived) as caught:
        call(url)
    assert caught.value.code == 4003
    assert "refused" in caught.value.message


def test_a_name_that_does_not_exist_is_4003_and_certainly_not_arrived(call):
    with pytest.raises(NotArrived) as caught:
        call("http://nobody.invalid/x")
    assert "nobody.invalid" in caught.value.message


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_connection_that_breaks_is_4003_and_may_have_arrived(call, said):
    with (
        server(lambda connection: connection.sendall(said)) as url,
        pytest.raises(ConnectionProblem) as caught,
    ):
        call(url)
    assert not isinstance(caught.value, NotArrived)


@pytest.mark.parametrize(
    "said", [b"GARBAGE\r\n\r\n", b"\x00\xff\x00\xff\r\n\r\n", b"HTTP/9.9 xyz\r\n\r\n"]
)
def test_an_answer_that_is_no_http_is_4003(call, said):
    with (
        server(lambda connection: connection.sendall(said)) as url,
        pytest.raises(HubError) as caught,
    ):
        call(url)
    assert caught.value.code == 4003


def _silent(connection: socket.socket) -> None:
    connection.recv(1)


def _trickle(head: bytes, drop: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(400):
            connection.sendall(drop)
            time.sleep(0.05)  # What is tested: a server that says a little at a time.

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        _silent,
        _trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        _trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        _trickle(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        _trickle(b"HTTP/1.1 200 O", b"K"),
    ],
    ids=["silent", "body", "chunks", "headers", "status line"],
)
def test_an_answer_that_does_not_end_in_time_is_4002_in_time(call, settings, serve):
    """Without a limit it would end as a broken connection, after twenty seconds or more."""
    settings.FORWARD_TIMEOUT = 0.6
    with server(serve) as url, pytest.raises(ForwardTimeout) as caught:
        call(url)
    assert caught.value.code == 4002


def test_an_answer_larger_than_the_limit_is_4000(call, settings):
    settings.MAX_ANSWER_BYTES = 1000
    body = b"x" * 1001
    declared = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + body
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + body + b"\r\n0\r\n\r\n"
    )
    for said in (declared, chunked):
        with (
            server(lambda connection, said=said: connection.sendall(said)) as url,
            pytest.raises(HubError) as caught,
        ):
            call(url)
        assert caught.value.code == 4000
    exact = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    with server(lambda connection: connection.sendall(exact)) as url:
        assert len(call(url).body) == 1000


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]"]
)
def test_a_private_address_is_not_connected_to_when_that_is_not_allowed(call, settings, host):
    settings.ALLOW_PRIVATE_URLS = False
    asked = []
    with server(lambda connection: asked.append(connection)) as url:
        port = url.rpartition(":")[2]
        with pytest.raises(ConnectionProblem) as caught:
            call(f"http://{host}:{port}/")
    assert not asked
    assert caught.value.code == 4003


def test_a_redirect_to_another_port_is_another_host(call):
    asked = []
    with server(lambda connection: asked.append(1)) as other:
        said = f"HTTP/1.1 307 x\r\nLocation: {other}/\r\nContent-Length: 0\r\n\r\n".encode()
        with (
            server(lambda connection: connection.sendall(said)) as url,
            pytest.raises(HubError) as caught,
        ):
            call(url)
    assert caught.value.code == 4000
    assert not asked


@pytest.mark.parametrize("url", ["http://", "http://[", "http://127.0.0.1:99999/", "x", ""])
def test_what_is_no_url_is_a_hub_error(call, url):
    with pytest.raises(HubError):
        call(url)


def test_no_proxy_of_the_environment_is_used(call, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server(lambda connection: connection.sendall(ANSWER)) as url:
        assert call(url).status == 200


def test_cookies_are_not_kept(call):
    answer = ANSWER.replace(b"OK\r\n", b"OK\r\nSet-Cookie: a=b\r\nConnection: close\r\n")
    with server(lambda connection: connection.sendall(answer)) as url:
        call(url)
        assert call(url).status == 200
        assert all(b"cookie" not in request.lower() for request in HEARD[-2:])


def test_the_bulkhead_counts_each_receiver_for_itself(settings):
    settings.FORWARDS_PER_RECEIVER, settings.FORWARD_TIMEOUT = 1, PATIENCE
    settings.ALLOW_PRIVATE_URLS = True

    async def calls(url: str) -> list[object]:
        caller = AsyncCaller()
        try:
            return await asyncio.gather(
                *(caller.call(receiver, "GET", url, {}, b"") for receiver in (1, 1, 2)),
                return_exceptions=True,
            )
        finally:
            caller.close()

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.3)  # Both allowed ones are open at the same time.
        connection.sendall(ANSWER)

    with server(slowly) as url:
        first, refused, other = asyncio.run(calls(url))
    assert isinstance(first, Response)
    assert isinstance(other, Response)
    assert isinstance(refused, ConnectionProblem)


def test_a_second_attempt_that_takes_too_long_leaves_no_connection_open(settings):
    settings.ALLOW_PRIVATE_URLS = True
    is_closed = threading.Event()
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        if len(connections) == 1:
            connection.sendall(ANSWER)
            connection.recv(65536)  # The next request: the connection is closed instead.
        elif not connection.recv(1):
            is_closed.set()  # The hub has hung up.

    async def twice(url: str) -> None:
        caller = AsyncCaller()
        assert (await caller.call(1, "GET", url, {}, b"")).status == 200
        settings.FORWARD_TIMEOUT = 1.5
        with pytest.raises(ForwardTimeout):
            await caller.call(1, "GET", url, {}, b"")
        # While the loop lives: its end would close every connection.
        assert await asyncio.to_thread(is_closed.wait, PATIENCE)
        caller.close()

    with server(serve) as url:
        asyncio.run(twice(url))
    assert len(connections) == 2


def test_who_sends_more_than_was_asked_for_is_asked_over_another_connection():
    """What came first on the old one would be taken for the next request's answer."""
    connections = []
    other = ANSWER.replace(b"{}", b"[]")

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        if len(connections) == 1:
            connection.sendall(ANSWER + other[:20])
            connection.recv(65536)
        connection.sendall(ANSWER)

    async def twice(url: str) -> list[bytes]:
        caller = AsyncCaller()
        answers = [await caller.call(1, "GET", url, {}, b"") for _ in range(2)]
        caller.close()
        return [answer.body for answer in answers]

    with server(serve) as url:
        assert asyncio.run(twice(url)) == [b"{}", b"{}"]
    assert len(connections) == 2


def _answers_the_second(when: threading.Event, seconds: float) -> Serve:
    """The first request at once, the second when it may, or after so long."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(ANSWER)
        if connection.recv(65536):
            when.wait(seconds)
            connection.sendall(ANSWER)

    return serve


def test_the_time_of_a_request_ends_no_later_one_of_its_connection():
    async def twice(url: str) -> int:
        caller = AsyncCaller()
        first = None
        while first is None:
            with contextlib.suppress(ForwardTimeout):  # On a machine that is busy: once more.
                first = await caller.call(1, "GET", url, {}, b"", seconds=0.3)
        second = await caller.call(1, "GET", url, {}, b"", seconds=30)
        caller.close()
        return second.status

    # What is tested: the second answer comes when the first one's time has ended.
    with server(_answers_the_second(threading.Event(), 0.4)) as url:
        assert asyncio.run(twice(url)) == 200


def test_a_later_request_of_a_connection_may_have_less_time():
    ends = threading.Event()

    async def twice(url: str) -> None:
        caller = AsyncCaller()
        await caller.call(1, "GET", url, {}, b"", seconds=30)
        with pytest.raises(ForwardTimeout):
            await caller.call(1, "GET", url, {}, b"", seconds=0.3)
        ends.set()
        caller.close()

    with server(_answers_the_second(ends, 20)) as url:
        asyncio.run(twice(url))


def test_a_call_that_outlives_its_client_leaves_no_connection_open():
    """Closed while an answer is on its way: the connection closes with the answer."""
    has_come, may_answer, ended = (threading.Event() for _ in range(3))

    def answer_late(connection: socket.socket) -> None:
        has_come.set()
        may_answer.wait(PATIENCE)
        connection.sendall(ANSWER)
        connection.settimeout(PATIENCE)
        if connection.recv(1) == b"":
            ended.set()

    async def work(url: str) -> None:
        caller = AsyncCaller()
        call = asyncio.create_task(caller.call(1, "GET", url, {}, b""))
        await asyncio.to_thread(has_come.wait, PATIENCE)
        caller.close()
        may_answer.set()
        assert (await call).status == 200
        assert await asyncio.to_thread(ended.wait, PATIENCE)

    with server(answer_late) as url:
        asyncio.run(work(url))
