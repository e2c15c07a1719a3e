"""Reading JSON and times (types; status_codes: what is not JSON is 400)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hub.ocpi.configuration import Credentials
from hub.ocpi.datatypes import (
    ConnectionStatus,
    InterfaceRole,
    Role,
    check_json,
    decode,
    ocpi_now,
    utc,
)
from hub.ocpi.errors import InvalidParameters, NotJson


def test_enums_have_the_values_of_the_text():
    assert {role.value for role in Role} == {"CPO", "EMSP", "HUB", "NAP", "NSP", "OTHER", "SCSP"}
    assert {s.value for s in ConnectionStatus} == {"CONNECTED", "OFFLINE", "PLANNED", "SUSPENDED"}
    assert {role.value for role in InterfaceRole} == {"SENDER", "RECEIVER"}


def test_a_time_without_designator_is_utc():
    moment = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert utc(datetime(2020, 1, 1, 12)) == moment  # noqa: DTZ001 - a naive one is the case
    assert utc(datetime(2020, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == moment


def test_a_time_that_utc_does_not_have_is_2001():
    with pytest.raises(InvalidParameters):
        utc(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))


def test_now_has_at_most_25_characters():
    assert len(ocpi_now()) <= 25
    assert abs(datetime.fromisoformat(ocpi_now()) - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'"x"',
        b"1",
        b"null",
        b" true ",
        b'{"a":1e999}',
        b'"\\u00e9"',
        b"[" * 50 + b"]" * 50,
    ],
)
def test_json_is_json(body):
    check_json(body)


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"NaN", b"[Infinity]", b"'x'", b"\xff", b'"\xff"', b"{}{}", b"[" * 10_000],
)
def test_what_is_no_json_is_400(body):
    with pytest.raises(NotJson) as caught:
        check_json(body)
    assert (caught.value.http_status, caught.value.code) == (400, 2001)
    with pytest.raises(NotJson):
        decode(body, Credentials)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"token":5}', b'{"token":"x","url":"y","roles":[]}']
)
def test_json_that_is_not_the_object_is_2001_with_http_200(body):
    with pytest.raises(InvalidParameters) as caught:
        decode(body, Credentials)
    assert (caught.value.http_status, caught.value.code) == (200, 2001)


def test_the_field_at_fault_is_named():
    body = b'{"token":"x","url":"http://x/","roles":[{"role":"KING"}]}'
    with pytest.raises(InvalidParameters, match="role"):
        decode(body, Credentials)
