"""Credentials and version details as real platforms write them: taken, noted, told."""

import json
from typing import Any

import pytest
from aiohttp import web
from django.contrib.auth.models import User
from django.urls import reverse

from hub.deviations.models import DeviationCount
from hub.models import Party
from hub.ocpi.datatypes import InterfaceRole
from tests.hub.deviations.counts import counts_of
from tests.hub.newcomer import Newcomer, is_as_it_was, platform_of, role
from tests.hub.strangers import Reply

# --- Credentials ----------------------------------------------------------------------------------


def noted(newcomer: Newcomer) -> set[tuple[str, str]]:
    return set(counts_of(newcomer.party))


DETAILS = {
    "empty website": ({"name": "A", "website": ""}, "empty-value", "website"),
    "empty logo": ({"name": "A", "logo": {}}, "empty-value", "logo"),
    "logo that is an address": ({"name": "A", "logo": "https://a.example/"}, "wrong-kind", "logo"),
    "logo of another category": (
        {"name": "A", "logo": {"url": "https://a.example/", "category": "BIG", "type": "png"}},
        "unknown-enum-value",
        "logo.category",
    ),
    "width with a fraction": (
        {
            "name": "A",
            "logo": {"url": "u", "category": "OTHER", "type": "png", "width": 1.5},
        },
        "fraction",
        "logo.width",
    ),
    "name of 101": ({"name": "A" * 101}, "too-long", "name"),
    "name with a line break": ({"name": "A\nB"}, "unprintable", "name"),
    "name with NUL": ({"name": "A\x00B"}, "unprintable", "name"),
    "name of null": ({"name": None}, "null", "name"),
    "name missing": ({}, "missing", "name"),
    "website of 300": ({"name": "A", "website": "https://" + "a" * 300}, "too-long", "website"),
    "website of NUL": ({"name": "A", "website": "https://\x00"}, "unprintable", "website"),
}


@pytest.mark.parametrize(("details", "rule", "field"), DETAILS.values(), ids=DETAILS)
def test_odd_business_details_keep_nobody_out_and_are_noted(hub, details, rule, field):
    newcomer = Newcomer(hub)
    answer = newcomer.post(roles=[role(newcomer.party, business_details=details)])
    assert answer.said == (200, 1000)
    assert (rule, f"Credentials.roles[].business_details.{field}") in noted(newcomer)
    party = Party.objects.get(platform=platform_of(newcomer))
    assert party.status == "CONNECTED"
    assert "\x00" not in json.dumps(party.business_details)


@pytest.mark.parametrize("details", [None, "Newcomer", [], 5])
def test_business_details_that_are_none_keep_nobody_out(hub, details):
    newcomer = Newcomer(hub)
    odd = role(newcomer.party, business_details=details)
    assert newcomer.post(roles=[odd]).said == (200, 1000)
    missing = {key: value for key, value in odd.items() if key != "business_details"}
    assert newcomer.put(roles=[missing]).said == (200, 1000)
    assert ("missing", "Credentials.roles[].business_details") in noted(newcomer)


ROLES: dict[str, Any] = {
    "a role of 2.3.0": ({"role": "PTP"}, "role is 'PTP', OCPI 2.2.1 has CPO, EMSP"),
    "no role": ({"role": None}, "role is not a text"),
    "a country of three letters": ({"country_code": "NLD"}, "country_code 'NLD'"),
    "a party of four letters": ({"party_id": "ABCD"}, "party_id 'ABCD'"),
    "half a surrogate pair": ({"party_id": "A\ud800"}, "party_id 'A"),
}


@pytest.mark.parametrize(("changes", "words"), ROLES.values(), ids=ROLES)
def test_a_role_that_cannot_be_read_is_left_out_and_told(hub, changes, words):
    newcomer = Newcomer(hub)
    odd = role(newcomer.party) | changes
    if "\ud800" not in odd["party_id"]:
        alone = newcomer.post(roles=[odd])
        assert alone.said == (200, 2001)
        assert words in alone.envelope["status_message"]
        assert is_as_it_was(newcomer)
        answer = newcomer.post(roles=[odd, role(newcomer.party)])
        assert answer.said == (200, 1000)
        message = answer.envelope["status_message"]
        assert message.startswith("roles[0] is left out: ")
        assert words in message
        assert words in platform_of(newcomer).remarks
    else:
        assert newcomer.post(roles=[odd, role(newcomer.party)]).status in {200, 400}


def test_what_is_left_out_and_told_is_on_the_platforms_page(hub, client):
    newcomer = Newcomer(hub)
    newcomer.post(roles=[role(newcomer.party), role(newcomer.party, "PTP")])
    operator = User.objects.get_or_create(
        username="reader", defaults={"is_staff": True, "is_superuser": True}
    )[0]
    client.force_login(operator)
    page = reverse("admin:hub_platform_change", args=[platform_of(newcomer).pk])
    assert "roles[1] is left out: role is" in client.get(page).content.decode()
    newcomer.put()
    assert "is left out" not in client.get(page).content.decode()


def test_other_spellings_of_what_is_needed_are_read(hub):
    newcomer = Newcomer(hub)
    platform = platform_of(newcomer)
    odd = role(newcomer.party, " cpo ") | {"party_id": newcomer.party.party_id.lower()}
    assert newcomer.post(roles=odd).said == (200, 1000)
    assert (platform.parties.get().role, platform.parties.get().status) == ("CPO", "CONNECTED")
    twice = [role(newcomer.party), role(newcomer.party), odd]
    assert newcomer.put(roles=twice).said == (200, 1000)
    assert platform.parties.count() == 1


def test_a_token_of_more_than_64_characters_is_taken_and_noted_without_a_word_of_it(hub):
    newcomer = Newcomer(hub)
    token = newcomer.accepts("t" * 300)
    assert newcomer.post(token=token).said == (200, 1000)
    assert ("too-long", "Credentials.token") in noted(newcomer)
    assert not DeviationCount.objects.filter(example__contains="ttt").exists()


# --- Version details ------------------------------------------------------------------------------


def endpoint(identifier: Any, as_role: Any = "SENDER") -> dict[str, Any]:
    url = f"http://127.0.0.1/{len(str(identifier))}"
    return {"identifier": identifier, "role": as_role, "url": url}


CREDENTIALS = endpoint("credentials")


def registers(hub, *endpoints: Any) -> tuple[Newcomer, Reply]:
    """Whose version details list these."""
    newcomer = Newcomer(hub)
    before = newcomer.stranger._versions

    def versions(message):
        reply = before(message)
        if message.parts:
            reply.data = {"version": "2.2.1", "endpoints": [*endpoints]}
        return reply

    newcomer.stranger._versions = versions  # type: ignore[method-assign]
    return newcomer, newcomer.post()


def stored(newcomer: Newcomer) -> set[tuple[str, str]]:
    return set(platform_of(newcomer).endpoints.values_list("identifier", "role"))


MISSPELT = {
    "charging_profiles": "chargingprofiles",
    "charging-profiles": "chargingprofiles",
    "ChargingProfiles": "chargingprofiles",
    "Locations": "locations",
    "LOCATIONS": "locations",
    "location": "locations",
    "Charging Profile": "chargingprofiles",
    "CDRs": "cdrs",
    "cdr": "cdrs",
    "hubClientInfo": "hubclientinfo",
    "hub_client_info": "hubclientinfo",
    "clientinfo": "hubclientinfo",
}


@pytest.mark.parametrize(("written", "meant"), MISSPELT.items())
def test_a_misspelt_module_is_taken_for_what_it_means_and_told(hub, written, meant):
    newcomer, answer = registers(hub, CREDENTIALS, endpoint("tokens"), endpoint(written))
    assert answer.said == (200, 1000)
    message = answer.envelope["status_message"]
    assert f"have '{written}': OCPI 2.2.1 writes '{meant}'" in message
    assert (meant, "SENDER") in stored(newcomer)
    assert message in platform_of(newcomer).remarks
    assert ("misspelt-module", "VersionDetails.endpoints[].identifier") in noted(newcomer)


def test_the_right_spelling_goes_before_a_misspelt_one(hub):
    right, wrong = endpoint("locations"), endpoint("Locations") | {"url": "http://127.0.0.1/w"}
    for both in ((right, wrong), (wrong, right)):
        newcomer, answer = registers(hub, CREDENTIALS, *both)
        assert answer.said == (200, 1000)
        (row,) = platform_of(newcomer).endpoints.filter(identifier="locations")
        assert row.url == right["url"]


@pytest.mark.parametrize(("written", "close"), [("sesions", "sessions"), ("tarrifs", "tariffs")])
def test_what_is_close_to_a_module_is_a_custom_module_with_a_word(hub, written, close):
    newcomer, answer = registers(hub, CREDENTIALS, endpoint("tokens"), endpoint(written))
    assert f"write '{close}'" in answer.envelope["status_message"]
    assert (written, "SENDER") in stored(newcomer)


@pytest.mark.parametrize("custom", ["nltnm-tokens", "bookings", "payments", "x-tariff-2"])
def test_a_custom_module_needs_no_word(hub, custom):
    newcomer, answer = registers(hub, CREDENTIALS, endpoint("tokens"), endpoint(custom))
    assert "status_message" not in answer.envelope
    assert (custom, "SENDER") in stored(newcomer)


def test_version_details_without_credentials_are_taken_with_a_word(hub):
    newcomer, answer = registers(hub, endpoint("tokens"))
    assert answer.said == (200, 1000)
    assert "have no 'credentials'" in answer.envelope["status_message"]
    assert platform_of(newcomer).remarks


ODD = {
    "a role that is none": (endpoint("sessions", "KING"), "role is 'KING', not SENDER"),
    "no role": ({"identifier": "sessions", "url": "http://127.0.0.1/"}, "has no role"),
    "an empty role": (endpoint("sessions", ""), "has no role"),
    "no identifier": ({"role": "SENDER", "url": "http://127.0.0.1/"}, "without an identifier"),
    "an identifier of 65": (endpoint("x" * 65), "without an identifier"),
    "an identifier with NUL": (endpoint("cust\x00om"), "without an identifier"),
    "a number": (endpoint(5), "without an identifier"),
    "no url": ({"identifier": "sessions", "role": "SENDER"}, "has no url"),
    "no object": ("sessions", "without an identifier"),
}


@pytest.mark.parametrize(("odd", "words"), ODD.values(), ids=ODD)
def test_an_endpoint_that_cannot_be_read_is_left_out_and_told(hub, odd, words):
    newcomer, answer = registers(hub, CREDENTIALS, endpoint("tokens"), odd)
    assert answer.said == (200, 1000)
    assert words in answer.envelope["status_message"]
    assert stored(newcomer) == {("credentials", "SENDER"), ("tokens", "SENDER")}


def test_the_role_of_an_interface_is_read_in_any_case(hub):
    newcomer, answer = registers(hub, CREDENTIALS, endpoint("tokens", "receiver"))
    assert answer.said == (200, 1000)
    assert ("tokens", InterfaceRole.RECEIVER) in stored(newcomer)


def test_a_thousand_odd_endpoints_are_told_in_a_few_lines(hub):
    odd = [endpoint("sessions", f"KING{number}") for number in range(1000)]
    _, answer = registers(hub, CREDENTIALS, endpoint("tokens"), *odd)
    assert answer.said == (200, 1000)
    assert len(answer.envelope["status_message"]) < 2000


# --- What is no OCPI at all -----------------------------------------------------------------------

NO_OCPI = {
    "html": (b"<!DOCTYPE html><html><body>Login</body></html>", "text/html", "an HTML page"),
    "html as json": (b"\n <html></html>", "application/json", "an HTML page"),
    "xml": (b"<?xml version='1.0'?><a/>", "application/xml", "XML"),
    "nothing": (b"", "application/json", "without a body"),
    "text": (b"Hello", "text/plain", "something that is not JSON"),
    "a bare list": (b'[{"version":"2.2.1","url":"http://x"}]', "application/json", "a bare JSON"),
    "a bare object": (b'{"versions":[]}', "application/json", "without status_code"),
}


@pytest.mark.parametrize(("body", "kind", "words"), NO_OCPI.values(), ids=NO_OCPI)
def test_what_comes_instead_of_versions_is_named(hub, body, kind, words):
    newcomer = Newcomer(hub)

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type=kind)

    newcomer.stranger.listening.handler = answer
    refused = newcomer.post()
    assert refused.said == (200, 3001)
    message = refused.envelope["status_message"]
    assert f"GET versions at {newcomer.stranger.versions_url} was answered with HTTP 200" in message
    assert words in message


def test_one_version_that_cannot_be_read_does_not_spoil_the_others(hub):
    newcomer = Newcomer(hub)
    before = newcomer.stranger._versions

    def versions(message):
        reply = before(message)
        if not message.parts:
            reply.data = [{"version": 2.1}, {"url": "x"}, *reply.data]
        return reply

    newcomer.stranger._versions = versions
    assert newcomer.post().said == (200, 1000)
