"""The response format, written and read (transport_and_format, Response format)."""

import json
from datetime import datetime

import pytest

from hub.ocpi.configuration import Version
from hub.ocpi.envelope import (
    LONG,
    failure,
    is_accepted,
    is_object,
    read_answer,
    read_ends,
    read_own,
    success,
    success_of_document,
    success_of_list,
)
from hub.ocpi.errors import UnknownReceiver

pytestmark = pytest.mark.measured


def test_success_has_1000_and_a_timestamp_of_at_most_25_characters_in_utc():
    envelope = json.loads(success())
    assert set(envelope) == {"status_code", "timestamp"}
    assert envelope["status_code"] == 1000
    assert len(envelope["timestamp"]) <= 25
    assert envelope["timestamp"].endswith("Z")
    datetime.fromisoformat(envelope["timestamp"])


@pytest.mark.parametrize("data", [[], {}, "x", 0, None, [1]])
def test_data_is_there_when_given_whatever_it_is(data):
    assert json.loads(success(data))["data"] == data


def test_a_message_is_there_when_given():
    assert json.loads(success(message="taken"))["status_message"] == "taken"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"status_code":1000}', 1000),
        (b'{"x":[1.50],"status_code":2001,"data":{"a":1}}', 2001),
        (b'{"status_code":"1000"}', 1000),
        (b'{"status_code":" 2001 ","data":[]}', 2001),
        (b'{"status_code":1000.0}', 1000),
        (b'{"status_code":1e3}', 1000),
        (b'{"status_code":1000,"status_message":["a"]}', 1000),
        (b'{"status_code":"OK"}', None),
        (b'{"status_code":"-1"}', None),
        (b'{"status_code":"10\xd9\xa0\xd9\xa0"}', None),
        (b'{"status_code":"' + b"9" * 5000 + b'"}', None),
        (b'{"status_code":1e300}', None),
        (b'{"status_code":true}', None),
        (b'{"status_code":[1000]}', None),
        (b'{"status_code":"1000"', None),
        (b'{"status_code":null}', None),
        (b'{"status_code":1000.5}', None),
        (b"{}", None),
        (b"[]", None),
        (b"", None),
        (b"<html>", None),
        (b"\xff", None),
        (b'{"status_code":1000,"status_message":"\xff"}', None),
        (b"[" * 5000, None),
        (b'{"a":' * 5000, None),
    ],
)
def test_the_code_of_an_answer_is_read_and_none_where_there_is_no_envelope(body, code):
    assert read_answer(body).status_code == code


def test_an_odd_code_or_message_costs_neither_data_nor_message():
    answer = read_answer(b'{"data":{"a":1.50},"status_code":"1000","status_message":{"x":[5]}}')
    assert (bytes(answer.data), answer.status_message) == (b'{"a":1.50}', '{"x":[5]}')
    assert answer.is_success


def test_a_nul_in_a_message_is_left_out_since_no_database_takes_it():
    answer = read_answer(b'{"status_code":2001,"status_message":"no\\u0000t you"}')
    assert (answer.status_code, answer.status_message) == (2001, "not you")


@pytest.mark.parametrize(
    ("code", "is_success"),
    [(999, False), (1000, True), (1900, True), (1999, True), (2000, False), (4003, False)],
)
def test_1xxx_is_success(code, is_success):
    assert read_answer(b'{"status_code":%d}' % code).is_success is is_success
    assert is_accepted(200, b'{"status_code":%d}' % code) is is_success


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (200, b"", True),
        (204, b" \n", True),
        (200, b"<html>", False),
        (400, b'{"status_code":1000}', False),
        (500, b"", False),
        (302, b"", False),
        (199, b"", False),
    ],
)
def test_2xx_with_nothing_said_counts_as_taken(status, body, accepted):
    assert is_accepted(status, body) is accepted


def test_data_stays_as_it_was_sent():
    assert bytes(read_answer(b'{"data": [1.50 ,1e3],"status_code":1000}').data) == b"[1.50 ,1e3]"


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b" \n{}", True),
        (b'{"detail":"x"}', True),
        (b"[]", False),
        (b"", False),
        (b'{"a":"\xff"}', False),
        (b'{"a"', False),
        (b"{}<html>", False),
    ],
)
def test_a_json_object_is_told_from_everything_else(body, is_one):
    assert is_object(body) is is_one


ONE = '{"version":"2.2.1","url":"https://a.example"}'


@pytest.mark.parametrize(
    ("data", "url"),
    [
        (ONE, "https://a.example"),
        (f"[{ONE}]", "https://a.example"),
        (f"[{ONE},{ONE}]", None),
        ("[]", None),
        ('"2.2.1"', None),
        ("null", None),
    ],
)
def test_data_is_read_also_out_of_a_list_of_one(data, url):
    found = read_answer(f'{{"status_code":1000,"data":{data}}}'.encode()).data_as(Version)
    assert (found and found.url) == url


def test_an_absent_data_is_nothing():
    assert read_answer(b'{"status_code":1000}').data_as(Version) is None


FILLING = b'"' + b"x" * LONG + b'"'


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"status_code":1000,"status_message":"fine","data":[%s]}', 1000, "fine"),
        (b'{"status_code" : 1000 , "data":[%s]}', 1000, None),
        (b'{"data":[%s],"status_code":2001,"status_message":"no"}', 2001, "no"),
        (b'{"data":[%s]}', None, None),
        (b"[%s]", None, None),
    ],
)
def test_of_a_long_answer_code_and_message_are_read_before_or_behind_data(body, code, message):
    answer = read_ends(body % FILLING)
    assert (answer.status_code, answer.status_message) == (code, message)


def test_an_answer_of_the_hub_itself_is_read_but_a_long_success_is_not_read_through():
    assert read_own(failure(UnknownReceiver("nobody"))).status_message == "nobody"
    assert read_own(success([1], "so")).status_message == "so"
    long = success_of_list(FILLING)
    assert read_own(long).status_code == 1000
    assert bytes(read_own(long).data) == b""


@pytest.mark.parametrize(
    ("body", "is_one"), [(b' {"a":%s} ', True), (b"[%s]", False), (b'{"a":%s', False)]
)
def test_a_long_object_is_told_by_its_two_ends(body, is_one):
    assert is_object(body % FILLING) is is_one


def test_stored_documents_keep_their_bytes_in_an_envelope():
    documents = b'{"a": 1.50},{"b":1e3}'
    assert success_of_list(documents).endswith(b',"data":[' + documents + b"]}")
    one = success_of_document(b'{"a": 1.50}', "older")
    assert one.endswith(b',"data":{"a": 1.50}}')
    assert read_answer(one).status_message == "older"


def test_a_failure_has_the_code_and_the_reason_and_no_data():
    envelope = json.loads(failure(UnknownReceiver("nobody is NL-XXX")))
    assert envelope.keys() == {"status_code", "status_message", "timestamp"}
    assert (envelope["status_code"], envelope["status_message"]) == (4001, "nobody is NL-XXX")
