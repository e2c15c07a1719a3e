"""Every wrong thing that a stranger may try (transport_and_format, status_codes).

Below /ocpi/ there is never an HTML page and never a 500.
"""

import asyncio
import base64
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from hub import onboarding
from hub.ocpi.datatypes import Role
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from simulators.testing import Running
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, routing, send, token_of
from tests.running_hub import changed_setting, new_party

PUT_TARIFF = "receiver/tariffs/XX/AAA/T1"
MODULE = "/ocpi/2.2.1/sender/tokens"
IDS = {"X-Request-ID": "my-request", "X-Correlation-ID": "my-correlation"}


def _echoes(answer) -> bool:
    found = (answer.headers["x-request-id"], answer.headers["x-correlation-id"])
    return found == ("my-request", "my-correlation")


# --- 401 ------------------------------------------------------------------------------------------

PATHS = ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials", "/ocpi/2.2.1/hubclientinfo"]
PATHS += [MODULE, "/ocpi/2.2.1/via/key", "/ocpi/nothing", "/ocpi/2.2.1/profile-result/key"]


@pytest.mark.parametrize("path", PATHS)
def test_no_token_is_401_with_an_envelope_and_the_ids(hub, path):
    answer = send(hub, "GET", path, headers=IDS)
    assert answer.status == 401
    assert 2000 <= answer.code < 3000
    assert _echoes(answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_token_is_401_with_an_envelope_and_the_ids(hub, path):
    answer = send(hub, "GET", path, "no-such-token", headers=IDS)
    assert answer.status == 401
    assert 2000 <= answer.code < 3000
    assert _echoes(answer)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Token",
        "Token ",
        "Bearer {}",
        "Basic {}",
        "{}",
        "Token {}x",
        "Token {} {}",
        "Token ====",
        "Token é€".encode(),
        b"Token \xff\xfe",
        b"Token \xe9",
        "Token " + "A" * 8000,
        "Token " + base64.b64encode(b"\xff\xff").decode(),
        "Token " + base64.b64encode(b"\x00").decode(),
    ],
)
def test_an_absurd_authorization_header_is_401(hub, cpo, header):
    if isinstance(header, str):
        header = header.replace("{}", base64.b64encode(token_of(cpo).encode()).decode())
    answer = send(hub, "GET", "/ocpi/versions", headers=IDS | {"Authorization": header})
    assert answer.status == 401
    assert _echoes(answer)


@pytest.mark.parametrize("form", ["Token {}", "token {}", "TOKEN   {} "])
def test_a_token_is_taken_encoded_or_plain_with_any_spelling_of_the_scheme(hub, cpo, form):
    token = token_of(cpo)
    encoded = base64.b64encode(token.encode()).decode()
    with_newline = base64.b64encode(f"{token}\n".encode()).decode()
    for value in (token, encoded, with_newline):
        headers = {"Authorization": form.format(value)}
        assert send(hub, "GET", "/ocpi/versions", headers=headers).said == (200, 1000)


# --- TOKEN_A --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "hubclientinfo"),
        ("GET", "sender/tokens"),
        ("PUT", PUT_TARIFF),
        ("POST", "receiver/commands/START_SESSION"),
        ("PUT", "receiver/chargingprofiles/S1"),
        ("GET", f"sender/{CUSTOM}"),
        ("GET", "via/key"),
        ("POST", "profile-result/key"),
        ("GET", "receiver/tariffs"),
        ("DELETE", "sender/tokens"),
        ("GET", "sender/credentials"),
    ],
)
def test_token_a_opens_versions_and_credentials_alone(hub, method, path):
    token_a = onboarding.invite(new_party(), [Role.CPO], "").token
    body = b"{}" if method in {"PUT", "POST"} else None
    answer = send(hub, method, f"/ocpi/2.2.1/{path}", token_a, body=body, headers=IDS)
    assert answer.status == 401
    assert _echoes(answer)
    for open_path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials/"):
        assert send(hub, "GET", open_path, token_a).said == (200, 1000)


# --- Receivers ------------------------------------------------------------------------------------


def test_an_unknown_receiver_is_4001_with_http_200(hub, cpo):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=PartyId("XX", "ZZZ"), headers=IDS)
    assert answer.said == (200, 4001)
    assert "XX-ZZZ" in answer.envelope["status_message"]
    assert _echoes(answer)


def test_an_answer_of_the_hub_itself_has_routing_headers_too(hub, cpo):
    """Direct response, Hub to requesting platform: TO is the requesting party."""
    answer = ask(hub, cpo, "GET", "sender/tokens", to=PartyId("XX", "ZZZ"))
    own = cpo.simulator.party
    assert answer.headers["ocpi-to-country-code"] == own.country_code
    assert answer.headers["ocpi-to-party-id"] == own.party_id
    assert answer.headers["ocpi-from-country-code"]
    assert answer.headers["ocpi-from-party-id"]


def test_a_dead_receiver_is_4003_with_http_200(hub, cpo):
    dead = hub.join(Stranger(Role.EMSP))
    dead.set_faults(gone=True)
    answer = ask(hub, cpo, "PUT", PUT_TARIFF, to=dead, body=b"{}", headers=IDS)
    assert answer.said == (200, 4003)
    assert _echoes(answer)
    dead.clear_faults()
    assert ask(hub, cpo, "PUT", PUT_TARIFF, to=dead, body=b"{}").said == (200, 1000)


def test_a_receiver_that_hangs_up_is_4003(hub, cpo, emsp):
    async def hangs_up(message):
        for transport in list(emsp.simulator._protocol.connections):
            transport.transport.close()
        return raw()

    emsp.simulator.says = hangs_up
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp)
    assert answer.said == (200, 4003)


def test_an_invited_party_that_has_not_come_is_4003(hub, cpo):
    party = new_party()
    onboarding.invite(party, [Role.EMSP], "")
    answer = ask(hub, cpo, "GET", "sender/tokens", to=party)
    assert answer.said == (200, 4003)
    assert "PLANNED" in answer.envelope["status_message"]


def test_a_receiver_without_the_module_is_4000_with_the_module_named(hub, cpo):
    small = hub.join(Stranger(Role.EMSP, offers=[("tokens", "SENDER")]))
    answer = ask(hub, cpo, "PUT", PUT_TARIFF, to=small, body=b"{}")
    assert answer.said == (200, 4000)
    assert "tariffs" in answer.envelope["status_message"]
    assert ask(hub, cpo, "GET", "sender/tokens", to=small).said == (200, 1000)


def test_an_answer_beyond_the_limit_is_4000(hub, cpo, emsp):
    emsp.simulator.says = lambda message: raw(b'{"status_code":1000,"x":"' + b"x" * 5000 + b'"}')
    with changed_setting("MAX_ANSWER_BYTES", 4000):
        assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 4000)


def test_a_suspended_party_sends_nothing_and_gets_nothing_until_it_is_resumed(hub, cpo):
    emsp = hub.join(Stranger(Role.EMSP))
    onboarding.suspend(emsp.simulator.party)
    answer = cpo.wait_for(
        lambda: (found := ask(hub, cpo, "GET", "sender/tokens", to=emsp)).code == 4003 and found
    )
    assert answer.status == 200
    assert "SUSPENDED" in answer.envelope["status_message"]
    assert ask(hub, emsp, "GET", "sender/locations", to=cpo).status == 403
    assert not cpo.simulator.got
    onboarding.resume(emsp.simulator.party)
    cpo.wait_for(lambda: ask(hub, cpo, "GET", "sender/tokens", to=emsp).code == 1000)
    assert ask(hub, emsp, "GET", "sender/locations", to=cpo).said == (200, 1000)


# --- Senders --------------------------------------------------------------------------------------


def test_a_from_that_is_somebody_else_is_2001(hub, cpo, emsp):
    for forged in (emsp.simulator.party, PartyId("XX", "ZZZ"), PartyId("NL", "HUB")):
        headers = routing(emsp.simulator.party, forged)
        answer = send(hub, "GET", MODULE, token_of(cpo), headers=headers)
        assert answer.said == (200, 2001)
        assert str(forged) in answer.envelope["status_message"]
    assert not emsp.simulator.got


@pytest.mark.parametrize(
    "headers",
    [
        {"OCPI-to-country-code": "XX"},
        {"OCPI-to-party-id": "AAA"},
        {"OCPI-to-country-code": "XXX", "OCPI-to-party-id": "AAA"},
        {"OCPI-to-country-code": "XX", "OCPI-to-party-id": "AAAA"},
        {"OCPI-to-country-code": b"\xc3\xa9", "OCPI-to-party-id": "AAA"},
        {"OCPI-to-country-code": "X\tX", "OCPI-to-party-id": "' --"},
        {"OCPI-from-country-code": "XX", "OCPI-from-party-id": ""},
        {"OCPI-from-country-code": "XX" * 2000, "OCPI-from-party-id": "AAA"},
    ],
)
def test_half_or_absurd_routing_headers_are_2001(hub, cpo, headers):
    answer = send(hub, "GET", MODULE, token_of(cpo), headers=headers)
    assert answer.said == (200, 2001)


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Correlation-ID"])
@pytest.mark.parametrize("value", ["x" * 256, "x" * 5000, b"\xe9", b"\xc3\xa9\xff"])
def test_absurd_message_ids_are_refused(hub, cpo, emsp, name, value):
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers={name: value})
    assert answer.said == (200, 2001)
    assert not emsp.simulator.got


def test_a_message_id_of_255_characters_is_kept(hub, cpo, emsp):
    headers = {"X-Correlation-ID": "c" * 255, "X-Request-ID": "r" * 255}
    answer = ask(hub, cpo, "GET", "sender/tokens", to=emsp, headers=headers)
    assert answer.said == (200, 1000)
    assert answer.headers["x-request-id"] == "r" * 255
    assert emsp.simulator.got[0].headers["X-Correlation-ID"] == "c" * 255


# --- Bodies ---------------------------------------------------------------------------------------

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
    assert _echoes(answer)
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
        assert _echoes(answer)
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
    assert _echoes(answer)
    assert not emsp.simulator.got
    one = b'"' + b"x" * 999_998 + b'"'
    assert ask(hub, cpo, "PUT", PUT_TARIFF, to=emsp, body=one).said == (200, 1000)
    assert emsp.simulator.got[0].body == one


def test_two_megabytes_in_chunks_without_a_length_are_413(hub, cpo, emsp):
    head = (
        f"PUT /ocpi/2.2.1/{PUT_TARIFF} HTTP/1.1\r\nHost: hub\r\n"
        f"Authorization: {authorization(token_of(cpo))}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with socket.create_connection(_address(hub), timeout=20) as connection:
        connection.sendall(head.encode() + chunk * 32 + b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_token_is_refused_before_it_is_judged(hub):
    answer = send(hub, "PUT", f"/ocpi/2.2.1/{PUT_TARIFF}", "wrong", body=b"{", headers=IDS)
    assert answer.status == 401


# --- URLs and methods -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/ocpi/",
        "/ocpi/x",
        "/ocpi/2.2",
        "/ocpi/2.1.1/credentials",
        "/ocpi/2.2.1/nothing",
        "/ocpi/2.2.1/sender",
        "/ocpi/2.2.1/sender/",
        "/ocpi/2.2.1/sender/sessions/a/b/c/d/e/f/g/h",
        "/ocpi/2.2.1/receiver/tariffs",
        "/ocpi/2.2.1/receiver/locations/XX/AAA/1/2/3/4",
        "/ocpi/2.2.1/credentials/x",
        "/ocpi/2.2.1/hubclientinfo/XX/AAA",
        "/ocpi/2.2.1/via",
        "/ocpi/2.2.1/via/",
        "/ocpi/2.2.1/via/unknown",
        "/ocpi/2.2.1/via/%00",
        "/ocpi/2.2.1/via/" + "x" * 500,
        "/ocpi/2.2.1/via/a/b",
        "/ocpi/x%0Ay",
        "/ocpi/2.2.1/sender%0A/tokens",
        "/ocpi/%00",
        "/ocpi/%ff%fe",
        "/ocpi/%E2%82%AC/ünï".encode().decode("latin-1"),
        "/ocpi/../admin/",
        "/ocpi//versions",
        "/ocpi/versions/x",
        "/ocpi/Versions",
        "/ocpi/" + "x" * 10_000,
    ],
)
def test_what_is_no_endpoint_is_404_with_an_envelope(hub, cpo, path):
    path = path.encode("latin-1").decode("ascii", "ignore")
    answer = send(hub, "GET", path, token_of(cpo), headers=IDS)
    assert answer.status == 404
    assert 2000 <= answer.code < 3000
    assert _echoes(answer)


@pytest.mark.parametrize(
    "path",
    [
        "receiver/sessions/XX/AAA/%00",
        "receiver/chargingprofiles/%00",
        "receiver/chargingprofiles/a%0Ab",
        "receiver/chargingprofiles/a%2Fb",
        "sender/sessions/%00/charging_preferences",
        "sender/sessions/a%0Ab/charging_preferences",
        "sender/chargingprofiles/%00",
        "sender/chargingprofiles/%ff",
        "receiver/sessions/%00/AAA/S1",
        "profile-result/%00",
        "profile-result/" + "x" * 500,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "POST", "DELETE"])
@pytest.mark.parametrize("is_named", [True, False])
def test_odd_ids_never_break_the_hub(hub, cpo, emsp, path, method, is_named):
    body = (
        b'{"last_updated":"2026-01-01T00:00:00Z"}' if method in {"PUT", "PATCH", "POST"} else None
    )
    to = emsp if is_named else None
    answer = ask(hub, cpo, method, path, to=to, body=body, headers=IDS)
    assert answer.status < 500
    assert answer.code != 3000
    assert _echoes(answer)


@pytest.mark.parametrize("path", ["/ocpi/nothing", "/ocpi/2.2.1/nothing", "/ocpi/2.2.1/sender/x"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writing_to_what_is_no_endpoint_is_an_envelope_too(hub, cpo, path, method):
    body = None if method == "DELETE" else b"{}"
    answer = ask(hub, cpo, method, path, to=PartyId("NL", "HUB"), body=body)
    assert answer.status in {200, 404, 405}
    assert answer.code >= 2000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "receiver/locations/XX/AAA/L1"),
        ("PATCH", "receiver/tokens/XX/AAA/T1"),
        ("PUT", "receiver/tariffs/XX/AAA/T1"),
        ("DELETE", "receiver/tariffs/XX/AAA/T1"),
        ("GET", "sender/locations"),
        ("GET", "sender/cdrs"),
        ("POST", "receiver/commands/START_SESSION"),
        ("PUT", "receiver/sessions/XX/AAA/S1"),
        ("POST", "receiver/cdrs"),
        ("GET", "receiver/tariffs/XX/AAA/T1"),
        ("POST", "sender/tokens/T1/authorize"),
        ("PUT", f"receiver/{CUSTOM}/1"),
    ],
)
def test_what_the_hub_itself_does_not_offer_is_a_hub_error(hub, cpo, method, path):
    """As long as the hub stores nothing: HTTP 200 with 400x, and never HTML."""
    body = None if method in {"GET", "DELETE"} else b"{}"
    answer = ask(hub, cpo, method, path, to=PartyId("nl", "hub"), body=body)
    assert answer.status == 200
    assert 4000 <= answer.code <= 4001


@pytest.mark.parametrize(
    "path", ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/hubclientinfo", MODULE, "/ocpi/nothing"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_ocpi_does_not_have_is_refused_with_an_envelope(hub, cpo, path, method):
    answer = ask(hub, cpo, method, path, headers=IDS)
    assert answer.status in {404, 405}
    assert 2000 <= answer.code < 3000
    assert _echoes(answer)


@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/nothing", MODULE])
def test_head_has_no_body_and_breaks_nothing(hub, cpo, path):
    answer = ask(hub, cpo, "HEAD", path)
    assert answer.status in {200, 404, 405}
    assert answer.body == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "receiver/locations/XX/AAA/L1", {"GET", "PUT", "PATCH"}),
        ("PUT", "receiver/cdrs", {"POST"}),
        ("PATCH", PUT_TARIFF, {"GET", "PUT", "DELETE"}),
        ("POST", "sender/tokens", {"GET"}),
        ("PATCH", "sender/sessions/S1/charging_preferences", {"PUT"}),
        ("PATCH", "receiver/chargingprofiles/S1", {"GET", "PUT", "DELETE"}),
    ],
)
def test_a_method_that_a_module_does_not_have_is_405_with_allow(
    hub, cpo, emsp, method, path, allowed
):
    answer = ask(hub, cpo, method, path, to=emsp, body=b"{}", headers=IDS)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert _echoes(answer)
    assert not emsp.simulator.got


# --- Headers that are none of OCPI's business -----------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/xml;q=1, */*;q=0"},
        {"Accept": "nonsense"},
        {"Host": "my_hub:8000"},
        {"Host": "a b"},
        {"Host": "evil.example"},
        {"Host": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Cookie": "sessionid=x; csrftoken=y; a=\xe9"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a_b"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Accept-Language": "xx-" * 500},
        {"If-None-Match": '"x"', "If-Modified-Since": "x", "Range": "bytes=0-1"},
        {"Expect": "nonsense"},
        {"Accept-Encoding": "gzip, br"},
    ],
)
@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1/hubclientinfo", "/ocpi/nothing"])
def test_absurd_headers_change_nothing(hub, cpo, path, headers):
    with changed_setting("ALLOWED_HOSTS", ["hub.example", "127.0.0.1"]):
        answer = ask(hub, cpo, "GET", path, headers=headers)
    assert answer.status == (404 if path == "/ocpi/nothing" else 200)
    assert answer.code in {1000, 2000}


@pytest.mark.parametrize("query", ["format=xml", "format=api", "%00=%ff", "&&=&"])
@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1/hubclientinfo"])
def test_absurd_queries_change_nothing(hub, cpo, path, query):
    assert ask(hub, cpo, "GET", f"{path}?{query}").said == (200, 1000)


def test_a_query_of_thousands_of_fields_is_2001(hub, cpo):
    query = "&".join(["x=1"] * 1500)
    answer = ask(hub, cpo, "GET", f"/ocpi/2.2.1/hubclientinfo?{query}")
    assert answer.said == (200, 2001)


# --- Time -----------------------------------------------------------------------------------------


def _address(hub) -> tuple[str, int]:
    parts = urlsplit(hub.url)
    return str(parts.hostname), int(parts.port or 0)


def test_a_sender_that_leaves_in_mid_body_costs_nothing(hub, cpo, emsp):
    head = (
        f"PUT /ocpi/2.2.1/{PUT_TARIFF} HTTP/1.1\r\nHost: hub\r\n"
        f"Authorization: {authorization(token_of(cpo))}\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(_address(hub), timeout=20) as connection:
        connection.sendall(head.encode() + b'{"a":')
    assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
    assert [message.method for message in emsp.simulator.got] == ["GET"]


def test_a_hanging_receiver_takes_no_capacity_from_others(hub, cpo, emsp):
    """More of its messages wait than the hub has threads; the others are as quick as ever."""
    hanging: Running[Stranger] = hub.join(Stranger(Role.EMSP))
    freed = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(freed.wait, 20)
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
        began = time.monotonic()
        for _ in range(20):
            assert ask(hub, cpo, "GET", "sender/tokens", to=emsp).said == (200, 1000)
            assert ask(hub, cpo, "GET", "/ocpi/versions").said == (200, 1000)
        assert time.monotonic() - began < 5
        assert not answers
    finally:
        freed.set()
        for thread in waiting:
            thread.join(20)
    assert [answer.said for answer in answers] == [(200, 1000)] * 40


def test_beyond_the_bulkhead_a_receiver_gets_no_more_and_others_do(hub, cpo, emsp):
    hanging = hub.join(Stranger(Role.EMSP))
    freed = threading.Event()

    async def hangs(message):
        await asyncio.to_thread(freed.wait, 20)
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
                thread.join(20)
        assert ask(hub, cpo, "GET", "sender/tokens", to=hanging).said == (200, 1000)
