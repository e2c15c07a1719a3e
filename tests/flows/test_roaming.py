"""Roaming end to end: places are told to all, drivers are authorized, an app starts a session."""

import pytest

from cdrs.models import Cdr
from cdrs.objects import CdrToken
from hub.ocpi.datatypes import InterfaceRole, TokenType
from locations.models import Location
from tokens.models import Token

RECEIVER = InterfaceRole.RECEIVER


@pytest.fixture(scope="module")
def published(hub) -> None:
    """CPO and eMSP have told what they own to everybody."""
    assert all((hub.cpo, hub.emsp))  # Registered at their first use.
    hub.emsp.run(hub.emsp.simulator.publish())
    hub.cpo.run(hub.cpo.simulator.publish())


def places(hub) -> set[str]:
    return {place["evse"] for place in hub.emsp.simulator.free_places()}


def test_an_app_starts_and_stops_charging_at_a_place_that_it_was_told(hub, published):
    hub.emsp.wait_for(lambda: len(places(hub)) == 4)
    evse = min(places(hub))
    emsp = hub.emsp.simulator
    assert hub.emsp.run(emsp.start_charging("LOC1", evse)) == "ACCEPTED"
    hub.emsp.wait_for(lambda: evse not in places(hub))
    [[result]] = emsp.commands.results.values()
    assert result.result == "ACCEPTED"
    (session,) = emsp.sessions.values()
    assert session["cdr_token"]["uid"] == "SIM-TOKEN-1"
    assert hub.emsp.run(emsp.start_charging("LOC1", evse)) == "REJECTED"
    assert hub.emsp.run(emsp.stop_charging(session["id"])) == "ACCEPTED"
    hub.emsp.wait_for(lambda: evse in places(hub))
    assert list(emsp.cdrs) == [session["id"]]
    assert Cdr.objects.get().object_id == session["id"].upper()
    assert Location.objects.get().part([evse]) is not None


def test_a_driver_with_a_card_is_authorized_by_who_issued_it(hub, published):
    card = CdrToken("DE", "MSP", "CARD-7", TokenType.RFID, "DE-MSP-C00000007")
    assert hub.cpo.run(hub.cpo.simulator.authorize(card)) is None
    hub.emsp.simulator.issue("CARD-7", "RFID")
    assert hub.cpo.run(hub.cpo.simulator.authorize(card)) == ("DE", "MSP")


def test_a_cpo_is_told_the_tokens(hub, published):
    hub.cpo.wait_for(lambda: ("DE", "MSP", "SIM-TOKEN-1") in hub.cpo.simulator.tokens.objects)
    assert Token.objects.get(object_id="SIM-TOKEN-1").type == "APP_USER"
