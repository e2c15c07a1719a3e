"""Which object a message is about (hub/record/objects.py)."""

import pytest

from hub.record.objects import LONGEST, object_in
from tests.cases import case


@pytest.mark.parametrize("method", ["PUT", "PATCH", "GET"])
def test_the_url_of_a_request_names_its_object(method):
    for path, named in (
        ("receiver/sessions/NL/CPO/s-1", "S-1"),
        ("receiver/locations/NL/CPO/LOC1/3256/1?x=1", "LOC1"),
        ("receiver/chargingprofiles/S1?duration=900", "S1" if method in {"GET", "PUT"} else ""),
        ("sender/sessions/S1/charging_preferences", "S1" if method == "PUT" else ""),
        ("sender/locations/LOC1", "LOC1" if method == "GET" else ""),
        (f"receiver/sessions/NL/CPO/{'x' * 99}", "X" * LONGEST),
    ):
        with case(path):
            assert object_in(path, method) == named


def test_what_is_hidden_is_no_object_and_what_is_odd_has_none():
    for path in (
        *("receiver/tokens/DE/MSP/012345678", "sender/tokens/•••001/authorize", "", "sender"),
        *("receiver/commands/START_SESSION", "profile-result/•••", "2.2.1/credentials", "x/y/z"),
        *("receiver/hubclientinfo/…", "receiver/sessions", "receiver/sessions/NL/CPO/••", "////"),
        *("receiver/custom/anything", "receiver/sessions/../../x"),
    ):
        for method in ("GET", "PUT", "POST", "BREW"):
            with case(path, method):
                assert object_in(path, method) == ""
