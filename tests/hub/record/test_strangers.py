"""Requests of nobody's: one row for each address and minute, whatever they send and how often."""

import base64
import http.client
import logging
from ipaddress import ip_network
from itertools import count
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.conf import settings
from django.db.models import Sum

from hub.db.secret_box import token_hash
from hub.ocpi.headers import authorization
from hub.ocpi.party import PartyId
from hub.record.models import Message, Tally
from hub.record.note import Kind
from hub.record.recorder import Recorder
from hub.record.strangers import Stranger
from hub.record.stream_to_table import copy_to_table
from hub.routing.directory import Directory, KnownToken, PlatformEntry
from simulators.testing import PATIENCE
from tests.hub.recording import empty, recorded
from tests.hub.strangers import IDS, Reply, ask, echoes, send, token_of, until
from tests.running_hub import changed_setting

LIST = "/ocpi/2.2.1/sender/tokens"
WRONG = "nobody's token"
MINUTE = 1_790_000_040
_numbers = count(1)


@pytest.fixture
def from_address(hub):
    """Sends as if through a proxy from an address that no other test has."""
    address = f"198.51.100.{next(_numbers)}"

    def from_it(method: str, path: str, token: str = "", **headers: str) -> Reply:
        return send(hub, method, path, token, headers={"X-Forwarded-For": address, **headers})

    with changed_setting("TRUSTED_PROXIES", [ip_network("127.0.0.1")]):
        from_it.address = address
        yield from_it


def rows_of(address: str, times: int) -> list[Message]:
    """The rows of the address once they stand for so many requests: one, or two at full minute."""

    def whole() -> list[Message]:
        rows = recorded(address=address)
        return rows if sum(row.times for row in rows) >= times else []

    rows = until(whole)
    assert sum(row.times for row in rows) == times
    assert len(rows) <= 2
    return rows


def test_any_number_of_wrong_tokens_is_one_row_and_one_line(from_address, caplog):
    with caplog.at_level(logging.INFO, "hub.messages"):
        for number in range(20):
            assert from_address("GET", LIST, f"{WRONG} {number}").status == 401
        rows = rows_of(from_address.address, 20)
    row = rows[0]
    assert (row.kind, row.direction, row.method) == (Kind.STRANGER, "IN", "GET")
    assert (row.http_status, row.ocpi_code, row.is_failed) == (401, 2000, True)
    assert (row.sender, row.platform_id) == ("", None)
    assert row.receiver == f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"
    assert (row.at.second, row.at.microsecond) == (0, 0)
    assert "credentials token" in row.problem
    lines = [line for line in caplog.messages if from_address.address in line]
    assert len(lines) == len(rows)
    assert "HTTP 401" in lines[0]


def test_all_reasons_of_the_minute_are_told(from_address):
    from_address("GET", LIST, WRONG)
    from_address("GET", LIST)
    from_address("GET", "/ocpi/2.2.1/via/secret-key", WRONG)
    rows = rows_of(from_address.address, 3)
    told = "; ".join(row.problem for row in rows)
    assert "Nobody at this hub" in told
    assert "is missing" in told
    assert "secret-key" not in str([row.path for row in rows])


def test_it_is_found_by_the_ids_of_its_first_request(from_address):
    ids = {"X-Request-ID": f"r-{uuid4()}", "X-Correlation-ID": f"c-{uuid4()}"}
    from_address("GET", LIST, WRONG, **ids)
    (row,) = recorded(1, correlation_id=ids["X-Correlation-ID"])
    assert row.request_id == ids["X-Request-ID"]
    assert row.address == from_address.address


def test_what_carries_a_known_token_is_recorded_as_ever(hub, cpo, emsp):
    """Whatever else is wrong with it."""
    recorded()
    before = Message.objects.filter(kind=Kind.STRANGER).aggregate(n=Sum("times"))["n"]
    correlation_id = f"c-{uuid4()}"
    ids = {"X-Correlation-ID": correlation_id}
    for headers in (ids, ids | {"X-Request-ID": "x" * 300}):
        for path in ("sender/tokens", "sender/nothing/of/this/kind", "/ocpi/nothing"):
            ask(hub, cpo, "GET", path, to=emsp, headers=headers)
    rows = recorded(6, correlation_id=correlation_id)
    platforms = {row.platform_id for row in rows if row.direction == "IN"}
    assert len(platforms) == 1
    assert None not in platforms
    assert {row.times for row in rows} == {1}
    assert {row.address for row in rows} == {""}
    assert Message.objects.filter(kind=Kind.STRANGER).aggregate(n=Sum("times"))["n"] == before


def test_an_address_that_a_stranger_writes_itself_is_not_believed(hub):
    send(hub, "GET", LIST, WRONG, headers={"X-Forwarded-For": "203.0.113.99"})
    until(lambda: recorded(address="127.0.0.1"))
    assert not recorded(address="203.0.113.99")


# --- Several processes, several batches ----------------------------------------------------------


def stranger(address: str, times: int = 1, reason: str = "why") -> Stranger:
    return Stranger(MINUTE, address, "GET", "…", "r", "c", 401, 2000, [reason], times)


@pytest.mark.django_db
def test_what_two_processes_have_counted_is_one_row():
    empty()
    for reason in ("one", "two"):
        process = Recorder(settings.CELERY_BROKER_URL)
        for _ in range(5):
            process.stranger(stranger("203.0.113.1", 2, reason))
        process.stranger(stranger("203.0.113.2"))
        process.flush()
    before = Tally.objects.filter(name="strangers").aggregate(n=Sum("number"))["n"] or 0
    copy_to_table()
    copy_to_table()
    row = Message.objects.get(address="203.0.113.1")
    assert (row.times, row.problem) == (20, "one; two")
    assert Message.objects.get(address="203.0.113.2").times == 2
    assert Tally.objects.filter(name="strangers").aggregate(n=Sum("number"))["n"] == before + 22


@pytest.mark.django_db
def test_while_valkey_is_away_strangers_cost_a_bounded_memory_and_are_counted():
    away = Recorder("redis://127.0.0.1:9/0")
    for number in range(20_000):
        away._strangers.append(stranger(f"203.0.113.{number % 100}"))
    away.stranger(stranger("203.0.113.1"))
    assert len(away._strangers) == 100
    away.flush()
    assert away._counts["unrecorded", ()] == 20_001


# --- Headers that come twice ---------------------------------------------------------------------


def twice(hub, method: str, path: str, headers: list[tuple[str, str]]) -> Reply:
    """One request whose header fields may have the same name."""
    connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=PATIENCE)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found, answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("second", ["", "wrong", "mine"])
@pytest.mark.parametrize("order", [1, -1])
def test_two_authorizations_are_400_whichever_of_them_is_right(hub, cpo, second, order):
    mine = authorization(token_of(cpo))
    other = {"": "", "wrong": authorization(WRONG), "mine": mine}[second]
    pair = [("Authorization", value) for value in (mine, other)][::order]
    answer = twice(hub, "GET", "/ocpi/versions", [*pair, *IDS.items()])
    assert (answer.status, answer.code) == (400, 2001)
    assert echoes(answer)


ROUTED = ("OCPI-to-country-code", "OCPI-to-party-id", "OCPI-from-country-code")


@pytest.mark.parametrize("name", [*ROUTED, "OCPI-from-party-id", *IDS])
def test_a_header_that_says_two_things_is_refused_and_one_that_says_it_twice_is_not(
    hub, cpo, emsp, name
):
    sender, receiver = cpo.simulator.party, emsp.simulator.party
    values = {
        "OCPI-from-country-code": sender.country_code,
        "OCPI-from-party-id": sender.party_id,
        "OCPI-to-country-code": receiver.country_code,
        "OCPI-to-party-id": receiver.party_id,
        **IDS,
    }
    headers = [("Authorization", authorization(token_of(cpo))), *values.items()]
    same = twice(hub, "GET", LIST, [*headers, (name, f" {values[name].lower()} ")])
    assert same.said == (200, 1000)
    assert len(emsp.simulator.got) == 1
    for pair in ([*headers, (name, "ZZ")], [(name, "ZZ"), *headers]):
        answer = twice(hub, "GET", LIST, pair)
        assert answer.said == (200, 2001)
        assert name in answer.envelope["status_message"]
    assert len(emsp.simulator.got) == 1


# --- Spellings that are remembered ---------------------------------------------------------------


def directory(*tokens: str) -> Directory:
    presented = {}
    for number, token in enumerate(tokens):
        entry = PlatformEntry(number, token, True, "", "", {}, ())
        presented[token_hash(token)] = KnownToken(entry, is_token_a=False)
    return Directory(1, PartyId("NL", "HUB"), True, {}, {}, presented, {})


def test_what_is_remembered_of_authorizations_is_bounded_in_number_and_length():
    token = "t" * 64
    known = directory(token, "other")
    plain = [f"Token {' ' * spaces}{token}" for spaces in range(1000)]
    scheme = [f"{word} {token}" for word in ("token", "TOKEN", "tOKEN", "toKEN", "tokEN", "tokeN")]
    encoded = base64.b64encode(f"{token}\n".encode()).decode()
    for header in [*plain, *scheme, f"Token {encoded}"] * 2:
        found = known.authenticate(header)
        assert found is not None
        assert found.platform.name == token
    assert len(known._presented) <= 4
    assert max(map(len, known._presented)) <= 128
    # Others are remembered all the same.
    assert known.authenticate("Token other") is known.authenticate("Token other")
    assert "Token other" in known._presented
