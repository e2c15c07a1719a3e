"""Documents as an operator sees them."""

from datetime import timedelta

import pytest

from hub.console.documents import LONGEST, address, pretty
from hub.console.tables import duration
from hub.ocpi.masking import masked


def test_a_token_is_masked_wherever_it_stands():
    token = {"uid": "0123456789", "contract_id": "DE-MSP-C1234", "type": "RFID"}
    assert masked([{"cdr_token": token}]) == [
        {"cdr_token": {"uid": "•••789", "contract_id": "•••234", "type": "RFID"}}
    ]
    assert masked({"token": "short", "visual_number": None}) == {
        "token": "•••",
        "visual_number": None,
    }


def test_an_evse_has_no_secret_uid():
    assert masked({"uid": "0123456789", "evse_id": "NL*CPO*E1"})["uid"] == "0123456789"


def test_what_is_no_json_is_shown_as_it_came():
    assert "&lt;html&gt;\ufffd" in str(pretty(b"<html>\xff"))
    assert pretty(b"") is None


def test_what_is_nested_too_deep_is_not_shown_unmasked():
    deep = b"[" * 900 + b'{"contract_id":"DE-MSP-C12345678-X"}' + b"]" * 900
    assert "C1234" not in str(pretty(deep))
    assert "nested too deep" in str(pretty(b"[" * 30_000))


def test_a_long_document_is_cut():
    assert "10 more characters" in str(pretty(b"x" * (LONGEST + 10)))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/r/1?key=2#3", "https://a.example/r/1"),
        (
            "https://hub.example/ocpi/2.2.1/via/abc-_9",
            "https://hub.example/ocpi/2.2.1/via/•••",
        ),
    ],
)
def test_an_address_opens_nothing(url, shown):
    assert address(url) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 ms"),
        (0.1804, "180 ms"),
        (2.04, "2.0 s"),
        (42.9, "42 s"),
        (60, "1 min"),
        (3725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_spans_read_as_people_say_them(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text
