"""The status codes, compared with the specification's tables (status_codes)."""

import json

import pytest

from hub.ocpi import errors
from hub.ocpi.envelope import failure

# status_codes, 1xxx to 4xxx, and what the text says each one is.
TABLE = {
    "ClientError": 2000,
    "InvalidParameters": 2001,
    "NotEnoughInformation": 2002,
    "UnknownLocation": 2003,
    "UnknownToken": 2004,
    "ServerError": 3000,
    "UnableToUseClientApi": 3001,
    "UnsupportedVersion": 3002,
    "NoMatchingEndpoints": 3003,
    "HubError": 4000,
    "UnknownReceiver": 4001,
    "ForwardTimeout": 4002,
    "ConnectionProblem": 4003,
    "NotTaken": 4003,
    "HeldBack": 4003,
    "QuotaReached": 2000,
}
HTTP = {
    "NotJson": 400,
    "NotAuthenticated": 401,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "TooLarge": 413,
    "TooManyRequests": 429,
}


@pytest.mark.parametrize(("name", "code"), TABLE.items())
def test_each_code_of_the_table_has_its_class_and_http_200(name, code):
    error = getattr(errors, name)("why")
    assert (error.code, error.http_status) == (code, 200)


@pytest.mark.parametrize(("name", "status"), HTTP.items())
def test_errors_of_the_http_layer_carry_their_status_and_a_client_code(name, status):
    more = {"limit": "rate"} if name == "TooManyRequests" else {}
    error = getattr(errors, name)("why", **more)
    assert error.http_status == status
    assert 2000 <= error.code < 3000


def test_every_class_of_the_file_is_in_one_of_the_tables():
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.OcpiError)
    }
    assert classes == {*TABLE, *HTTP, "OcpiError"}


def test_an_error_knows_its_message_another_status_and_headers():
    error = errors.ClientError("why", http_status=403, headers={"A": "b"})
    assert (str(error), error.message, error.http_status) == ("why", "why", 403)
    assert error.headers == {"A": "b"}
    assert errors.ClientError("x").http_status == 200


def test_the_envelope_of_an_error_has_code_message_and_time_and_no_data():
    envelope = json.loads(failure(errors.UnknownReceiver("Zoë?")))
    assert set(envelope) == {"status_code", "status_message", "timestamp"}
    assert (envelope["status_code"], envelope["status_message"]) == (4001, "Zoë?")
