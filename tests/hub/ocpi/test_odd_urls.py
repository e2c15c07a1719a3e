"""Misspelt URLs of the hub are taken where they can mean one thing only."""

import pytest

from hub.ocpi.odd_urls import example, is_ocpi, mended

BASE = "/ocpi/2.2.1"


@pytest.mark.parametrize(
    ("path", "meant", "rule"),
    [
        ("receiver/locationsNL/ABC/L1", "receiver/locations/NL/ABC/L1", "missing-slash"),
        ("receiver/tokensde/MSP/U%2F1", "receiver/tokens/de/MSP/U%2F1", "missing-slash"),
        ("receiver/sessionsNL/ABC/S1", "receiver/sessions/NL/ABC/S1", "missing-slash"),
        ("receiver/locations//NL/ABC/L1", "receiver/locations/NL/ABC/L1", "doubled-slash"),
        ("receiver//locations/NL/ABC/L1", "receiver/locations/NL/ABC/L1", "doubled-slash"),
        ("receiver/locations/NL//ABC/L1//", "receiver/locations/NL/ABC/L1/", "doubled-slash"),
        ("receiver//nltnm-tokens/a//b", "receiver/nltnm-tokens/a//b", "doubled-slash"),
        ("hubclientinfo//", "hubclientinfo/", "doubled-slash"),
        ("via//KeyOf", "via/KeyOf", "doubled-slash"),
        ("Receiver/locations/NL/ABC/L1", "receiver/locations/NL/ABC/L1", "letter-case"),
        ("SENDER/Tokens", "sender/tokens", "letter-case"),
        ("RECEIVER/nltnm-Tokens/A/b", "receiver/nltnm-Tokens/A/b", "letter-case"),
        ("Via/KeyOf", "via/KeyOf", "letter-case"),
        # The text's own definitions of these have no slash.
        ("receiver/chargingprofiles1234", "receiver/chargingprofiles/1234", "missing-slash"),
        ("sender/chargingprofiles1234", "sender/chargingprofiles/1234", "missing-slash"),
        ("receiver/commandsSTART_SESSION", "receiver/commands/START_SESSION", "missing-slash"),
        ("sender/tokens0123/authorize", "sender/tokens/0123/authorize", "missing-slash"),
        ("clientinfo", "hubclientinfo", "module-name"),
        ("ClientInfo/", "hubclientinfo/", "module-name"),
        ("Credentials", "credentials", "letter-case"),
    ],
)
def test_what_can_mean_one_thing_is_that(path, meant, rule):
    assert mended(f"{BASE}/{path}") == (f"{BASE}/{meant}", rule)


@pytest.mark.parametrize(
    "path",
    [
        *("receiver/locations/NL/ABC/L1", "sender/locations", "sender/locationsNL/ABC/L1"),
        *("receiver/locations", "receiver/locationsplus/NL/ABC/L1", "receiver/locationsNL"),
        *("receiver/commandsplus", "sender/commandsSTART_SESSION", "receiver/tokens01/authorize"),
        *("receiver/chargingprofiles1234/5", "sender/sessions1/charging_preferences"),
        *("receiver/nltnm-tokens/a//b", "receiver/nltnm-tokens/", "via/KeyOf", "sender/tokens/"),
        *("receiver/nltnm-tokens/NL/ABC/1", "receiver/commandsNL/ABC/1", "hubclientinfo", ""),
    ],
)
def test_all_else_stays_as_it_is(path):
    assert mended(f"{BASE}/{path}") == (f"{BASE}/{path}", "")


@pytest.mark.parametrize(
    ("path", "meant", "rule"),
    [
        ("//ocpi/2.2.1/sender/tokens", "/ocpi/2.2.1/sender/tokens", "doubled-slash"),
        ("/OCPI/2.2.1/Sender/tokens/", "/ocpi/2.2.1/sender/tokens/", "letter-case"),
        ("/ocpi/Versions", "/ocpi/Versions", ""),
        ("/ocpi//versions", "/ocpi//versions", ""),
        ("/ocpi/2.2.1//", "/ocpi/2.2.1/", "doubled-slash"),
        ("/ocpi/versions/", "/ocpi/versions/", ""),
        ("/ocpi/", "/ocpi/", ""),
        ("/", "/", ""),
        ("//admin/", "//admin/", ""),
        ("/admin/ocpi/2.2.1", "/admin/ocpi/2.2.1", ""),
    ],
)
def test_the_same_holds_for_the_beginning(path, meant, rule):
    assert mended(path) == (meant, rule)
    assert is_ocpi(path) == ("admin" not in path and path != "/")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"{BASE}/sender/tokens0123/authorize", f"{BASE}/sender/tokens"),
        (f"{BASE}/receiver/tokensNL/ABC/0123", f"{BASE}/receiver/tokens"),
        (f"{BASE}/receiver//Tokens/NL/ABC/0123", f"{BASE}/receiver//Tokens"),
        (f"{BASE}/Receiver/tokens/NL//ABC/0123", f"{BASE}/Receiver/tokens"),
        (f"{BASE}/SENDER/nltnm-uids/0123", f"{BASE}/SENDER"),
        (f"{BASE}//via/Key", f"{BASE}//via"),
        (f"{BASE}/VIA/Key", f"{BASE}/VIA"),
        (f"{BASE}/ClientInfo/?", f"{BASE}/ClientInfo"),
        ("//OCPI//2.2.1/Sender/tokens", "//OCPI//2.2.1/Sender/tokens"),
        ("//ocpi/2.2.1", "//ocpi/2.2.1"),
        ("/OCPI/2.2.1/", "/OCPI/2.2.1"),
        ("//ocpi/2.2.1/SeCrEt", "//ocpi/2.2.1"),
    ],
)
def test_an_example_ends_before_what_may_be_secret(path, shown):
    meant, rule = mended(path)
    assert rule
    assert example(path, meant) == shown


def test_a_custom_module_that_somebody_offers_keeps_its_url():
    path = f"{BASE}/receiver/locationsNL/ABC/L1"
    assert mended(path, {"locationsnl"}.__contains__) == (path, "")
