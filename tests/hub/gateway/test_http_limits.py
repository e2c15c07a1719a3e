"""What strangers may do to a web process's connections (gateway/http_server.py), to the byte."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
import uvloop

from hub.gateway.http_server import MAX_HEAD_BYTES, MAX_HEADERS, Protocol
from simulators.testing import PATIENCE

GET = b"GET /ids HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


class Hurried(Protocol):
    """With little patience, so that a test need not have much."""

    HEAD_SECONDS = 0.3
    REST_SECONDS = 0.3
    LINGER_SECONDS = 5


class Crowded(Protocol):
    """With room for few."""

    MOST_CONNECTIONS = 20


async def application(scope, receive, send) -> None:
    """Answers with the headers that came, as JSON: /early before the body, all others after it."""
    if scope["path"] == "/late":
        await asyncio.sleep(0.05)
    more = scope["path"] != "/early"
    body = b""
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event["body"]
        more = event["more_body"]
    told = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    said = json.dumps({"headers": told, "body": body.decode("latin-1")}).encode()
    length = (b"content-length", str(len(said)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": said})


@contextmanager
def serving(protocol: type[Protocol], idle_seconds: int = 60) -> Iterator[int]:
    """The port of a server with these limits."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=protocol, lifespan="off", log_config=None, timeout_keep_alive=idle_seconds
    )
    server = uvicorn.Server(config)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # As stack/serve.py.
            runner.run(server.serve(sockets=[listening]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(Protocol) as found:
        yield found


@pytest.fixture(scope="module")
def hurried() -> Iterator[int]:
    with serving(Hurried, idle_seconds=1) as found:
        yield found


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    found = b""
    while part := connection.recv(65_536):
        found += part
    return found


def said(answer: bytes) -> tuple[int, dict]:
    """Status and JSON of the one answer that these bytes are."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert b"\r\ncontent-length: %d" % len(body) in head, answer
    return int(head.split(b" ")[1]), json.loads(body)


def exchange(port: int, *parts: bytes) -> tuple[int, dict]:
    """One request that the server ends the connection after."""
    with connect(port) as connection:
        for part in parts:
            connection.sendall(part)
        return said(rest(connection))


def refused(port: int, status: int, *parts: bytes) -> None:
    """It is answered with this status and an envelope, and the connection ends."""
    found, envelope = exchange(port, *parts)
    assert found == status
    assert envelope["status_code"] == 2000
    assert envelope["timestamp"].endswith("Z")


def one(connection: socket.socket) -> dict:
    """The next answer of a connection that stays open."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = connection.recv(65_536)
        assert part, found
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    assert len(body) == length
    assert head.startswith(b"HTTP/1.1 200"), head
    return dict(json.loads(body))


# --- Size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\nX: %s\r\n\r\n" % (b"a" * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\n%s: x\r\n\r\n" % (b"a" * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 1000) for i in range(40)),
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000,
        b"\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["path", "value", "name", "many-long", "many", "endless-value", "empty-lines"],
)
def test_a_head_that_is_too_large_is_431(port, head):
    refused(port, 431, head)


def test_a_head_of_almost_that_size_is_read(port):
    values = [b"X-%d: %s\r\n" % (number, b"a" * 10_000) for number in range(3)]
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"".join(values) + b"\r\n")
            assert len(one(connection)["headers"]) == 3


def test_heads_are_counted_one_by_one(port):
    """Not all of a connection together."""
    with connect(port) as connection:
        for _ in range(20):
            connection.sendall(b"GET / HTTP/1.1\r\nX: %s\r\n\r\n" % (b"a" * 5000))
            one(connection)


def test_a_large_body_is_no_large_head(port):
    body = b"x" * (4 * MAX_HEAD_BYTES)
    head = b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    chunks = b"".join(b"400\r\n" + body[:1024] + b"\r\n" for _ in range(128))
    with connect(port) as connection:
        connection.sendall(head + body)
        assert len(one(connection)["body"]) == len(body)
        connection.sendall(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(chunks + b"0\r\n\r\n")
        assert len(one(connection)["body"]) == len(body)


CHUNKED = b"PUT /ids HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "endless",
    [
        b"2;" + b"a" * 300_000,
        b"2\r\n{}\r\n0\r\nX: " + b"a" * 300_000,
        b"2\r\n{}\r\n0\r\n" + b"X: aaaaaaaaa\r\n" * 20_000,
    ],
    ids=["chunk-extension", "trailer", "trailers"],
)
def test_what_stands_around_the_body_is_limited_too(port, endless):
    refused(port, 400, CHUNKED, endless)


def test_trailers_are_not_headers(port):
    trailers = b"Authorization: Token x\r\nOCPI-to-party-id: ABC\r\nHost: other\r\n"
    with connect(port) as connection:
        # In one packet: the application has not looked at the headers yet when they are read.
        connection.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n" + trailers + b"\r\n")
        answer = one(connection)
        assert answer["headers"] == [["host", "x"], ["transfer-encoding", "chunked"]]
        assert answer["body"] == "{}"
        connection.sendall(GET)
        assert one(connection)["headers"] == [["host", "x"]]


# --- Time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [b"G", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n"],
)
def test_a_head_that_is_not_whole_in_time_is_408(hurried, begun):
    refused(hurried, 408, begun)


def test_a_head_that_dribbles_is_408(hurried):
    """Each byte is in time; the head is not."""
    with connect(hurried) as connection:
        ended = threading.Event()

        def dribble() -> None:
            try:
                connection.sendall(b"GET / HTTP/1.1\r\n")
                while not ended.wait(0.05):
                    connection.sendall(b"a")
            except OSError:
                return

        thread = threading.Thread(target=dribble)
        thread.start()
        answer = connection.recv(65_536)
        ended.set()
        thread.join(PATIENCE)
        assert said(answer)[0] == 408


def test_the_second_head_of_a_connection_has_to_come_in_time_as_well():
    with serving(Hurried) as port, connect(port) as connection:
        connection.sendall(GET)
        one(connection)
        connection.sendall(b"GET / HT")
        assert said(rest(connection))[0] == 408


def test_half_a_head_behind_a_request_is_408_once_that_is_answered(hurried):
    with connect(hurried) as connection:
        connection.sendall(CHUNKED + b"2\r\n")
        connection.sendall(b"{}\r\n0\r\n\r\n")
        connection.sendall(b"GET / HT")
        one(connection)
        assert b"HTTP/1.1 408" in rest(connection)


def test_who_connects_and_says_nothing_is_let_go(hurried):
    with connect(hurried) as connection:
        assert rest(connection) == b""


@pytest.mark.parametrize("said_between", [b"", b"\r\n"])
def test_an_idle_connection_ends(hurried, said_between):
    with connect(hurried) as connection:
        connection.sendall(GET)
        one(connection)
        connection.sendall(said_between)
        answer = rest(connection)
    assert not answer or said(answer)[0] == 408


def test_a_body_that_nobody_waited_for_has_to_end(hurried):
    """Also when it never stops to dribble."""
    with connect(hurried) as connection:
        connection.sendall(b"PUT /early HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
        one(connection)
        ended = threading.Event()

        def dribble() -> None:
            try:
                while not ended.wait(0.05):
                    connection.sendall(b"a")
            except OSError:
                return

        thread = threading.Thread(target=dribble)
        thread.start()
        with suppress(ConnectionResetError):  # Bytes of ours may be on their way.
            assert rest(connection) == b""
        ended.set()
        thread.join(PATIENCE)


def test_an_early_answer_is_read_to_its_end_though_the_connection_ends_with_it(port):
    """While bytes come in, a connection that is closed would be reset."""
    head = b"PUT /early HTTP/1.1\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\n"
    for _ in range(20):
        with connect(port) as connection:
            connection.sendall(head + b"x" * 1000)
            assert connection.recv(1)
            # The hub has closed its side; we have not seen it, and go on.
            connection.sendall(b"x" * 200_000)
            answer = b"H" + rest(connection)
            assert said(answer)[0] == 200


def test_a_body_that_ends_behind_its_answer_leaves_a_connection_that_works(port, hurried):
    early = b"PUT /early HTTP/1.1\r\nContent-Length: 4\r\n\r\n{}"
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(early)
            one(connection)
            connection.sendall(b"{}")
            connection.sendall(GET)
            one(connection)
    with connect(hurried) as connection:
        connection.sendall(early)
        one(connection)
        connection.sendall(b"{}")
        assert rest(connection) == b""  # And it ends as any idle one.


def test_beyond_the_most_connections_who_waits_longest_is_let_go():
    """Not who is being served, nor who has come last."""
    with serving(Crowded) as crowded, connect(crowded) as served:
        served.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert served.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        served.sendall(b"{")
        idle = [connect(crowded) for _ in range(Crowded.MOST_CONNECTIONS + 5)]
        idle[-1].sendall(GET)
        one(idle[-1])
        served.sendall(b"}")
        assert one(served)["body"] == "{}"
        assert rest(idle[0]) == b""
        for connection in idle:
            connection.close()


# --- What is no request --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
        b"GET / HTTP/1.1\nX: a\n\n",
        b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT other:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_400_with_an_envelope(port, nonsense):
    refused(port, 400, nonsense)


def test_nonsense_behind_a_request_does_not_take_the_place_of_its_answer(port):
    with connect(port) as connection:
        connection.sendall(GET + b"nonsense\r\n\r\n")
        assert said(rest(connection))[0] == 200


def test_nonsense_behind_an_answered_request_is_400(port):
    with connect(port) as connection:
        connection.sendall(GET)
        one(connection)
        connection.sendall(b"nonsense\r\n\r\n")
        assert said(rest(connection))[0] == 400


def test_nonsense_in_a_body_that_was_answered_ends_the_connection(port):
    with connect(port) as connection:
        connection.sendall(b"PUT /early HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        one(connection)
        connection.sendall(b"zz\r\n")
        assert rest(connection) == b""


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_an_upgrade_is_not_made_and_the_connection_ends_with_the_answer(port, protocol):
    upgrade = b"GET / HTTP/1.1\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n" % protocol
    status, answer = exchange(port, upgrade + GET)
    assert status == 200
    assert answer["headers"][0] == ["upgrade", protocol.decode()]


def test_a_few_requests_at_once_are_answered_in_order_and_very_many_are_not(port):
    with connect(port) as connection:
        connection.sendall(
            b"".join(b"GET / HTTP/1.1\r\nX: %d\r\n\r\n" % number for number in range(5))
            + b"GET / HTTP/1.1\r\nX: 5\r\nConnection: close\r\n\r\n"
        )
        answers = rest(connection)
    places = [answers.index(b'["x", "%d"]' % number) for number in range(6)]
    assert places == sorted(places)
    with connect(port) as connection:
        connection.sendall(GET * 1000)
        with suppress(ConnectionResetError):  # What was not read is not waited for.
            assert rest(connection).count(OK) < 100


def test_who_asks_for_more_at_once_and_leaves_fills_no_log(port, caplog):
    for _ in range(3):
        with connect(port) as connection:
            connection.sendall(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    exchange(port, b"GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    exchange(port, b"GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
