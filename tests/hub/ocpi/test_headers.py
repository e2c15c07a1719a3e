"""The Authorization header (transport_and_format, Authorization header)."""

import base64

import pytest

from hub.ocpi.headers import authorization, presented_tokens


def test_the_token_is_written_in_base64_or_plain():
    assert authorization("example-token") == "Token ZXhhbXBsZS10b2tlbg=="
    assert authorization("example-token", base64_encoded=False) == "Token example-token"


def test_the_specifications_own_example_is_read():
    """Its encoded token ends in a newline."""
    assert ("example-token", True) in presented_tokens("Token ZXhhbXBsZS10b2tlbgo=")


@pytest.mark.parametrize("token", ["example-token", "abcd", "!~-/+=", "ebf3b399-779f-4497-9b9d"])
@pytest.mark.parametrize("base64_encoded", [True, False])
def test_what_is_written_is_read(token, base64_encoded):
    header = authorization(token, base64_encoded=base64_encoded)
    assert (token, base64_encoded) in presented_tokens(header)


def test_a_plain_token_that_is_base64_by_chance_is_tried_both_ways():
    token = base64.b64encode(b"hidden").decode()
    assert presented_tokens(f"Token {token}") == [("hidden", True), (token, False)]


@pytest.mark.parametrize("header", ["", "Token", "Token ", "Bearer abc", "Tokenabc", "abc"])
def test_what_is_no_token_header_presents_nothing(header):
    assert presented_tokens(header) == []


@pytest.mark.parametrize("value", ["é", "\xff\xfe", "=", "a", "====", "//79"])
def test_what_cannot_be_base64_is_plain_alone(value):
    assert presented_tokens(f"token  {value} ") == [(value, False)]
