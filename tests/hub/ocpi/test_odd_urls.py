"""Misspelt URLs of the hub are taken where they can mean one thing only."""

import pytest

from hub.ocpi.odd_urls import mended

BASE = "/ocpi/2.2.1"


@pytest.mark.parametrize(
    ("path", "meant", "rule"),
    [
        ("receiver/locationsNL/ABC/L1", "receiver/locations/NL/ABC/L1", "missing-slash"),
        ("receiver/tokensde/MSP/U%2F1", "receiver/tokens/de/MSP/U%2F1", "missing-slash"),
        ("receiver/sessionsNL/ABC/S1", "receiver/sessions/NL/ABC/S1", "missing-slash"),
        ("receiver/locations//NL/ABC/L1", "receiver/locations/NL/ABC/L1", "doubled-slash"),
        ("receiver//locations/NL/ABC/L1", "receiver/locations/NL/ABC/L1", "doubled-slash"),
        ("Receiver/locations/NL/ABC/L1", "receiver/locations/NL/ABC/L1", "letter-case"),
        ("clientinfo", "hubclientinfo", "module-name"),
        ("ClientInfo/", "hubclientinfo/", "module-name"),
        ("Credentials", "credentials", "module-name"),
    ],
)
def test_what_can_mean_one_thing_is_that(path, meant, rule):
    assert mended(f"{BASE}/{path}") == (f"{BASE}/{meant}", rule)


@pytest.mark.parametrize(
    "path",
    [
        *("receiver/locations/NL/ABC/L1", "sender/locations", "sender/locationsNL/ABC/L1"),
        *("receiver/locations", "receiver/locationsplus/NL/ABC/L1", "receiver/locationsNL"),
        *("receiver/nltnm-tokens/NL/ABC/1", "receiver/commandsNL/ABC/1", "hubclientinfo", ""),
    ],
)
def test_all_else_stays_as_it_is(path):
    assert mended(f"{BASE}/{path}") == (f"{BASE}/{path}", "")
