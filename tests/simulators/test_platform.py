"""transport_and_format: what every simulator does with every message."""

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.party import PartyId
from party.messages import Reply
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.listener import Listener
from simulators.testing import Running

CPO, EMSP = PartyId("NL", "CPO"), PartyId("DE", "MSP")


def get(url: str, path: str, method: str = "GET", body: str | None = None) -> tuple[int, str]:
    """A request without any of OCPI's headers."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def listener() -> Iterator[Running[Listener]]:
    roles = [(PartyId("BE", "NSP"), Role.NSP), (PartyId("BE", "TWO"), Role.OTHER)]
    with Running(Listener(roles, modules=["locations", "nltnm-tokens"])) as running:
        yield running


def test_no_token_is_401_with_an_envelope(cpo: Running[Cpo]) -> None:
    status, text = get(cpo.url, "/api/ocpi/versions")
    assert status == 401
    assert json.loads(text)["status_code"] == 2000


def test_the_version_details_name_what_is_answered(connected: None, emsp: Running[Emsp]) -> None:
    (connection,) = emsp.simulator.connections
    offered = {(endpoint.identifier, endpoint.role) for endpoint in connection.endpoints}
    assert offered == {
        ("credentials", "SENDER"),
        ("hubclientinfo", "RECEIVER"),
        ("locations", "SENDER"),
        ("tariffs", "SENDER"),
        ("sessions", "SENDER"),
        ("cdrs", "SENDER"),
        ("chargingprofiles", "RECEIVER"),
        ("tokens", "RECEIVER"),
        ("commands", "RECEIVER"),
    }


def test_message_ids_are_echoed_and_routing_headers_swapped(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    ids = {"X-Request-ID": "r-1", "X-Correlation-ID": "c-1"}
    answer = emsp.call("locations", "SENDER", "GET", to=CPO, headers=ids)
    assert (answer.headers["X-Request-ID"], answer.headers["X-Correlation-ID"]) == ("r-1", "c-1")
    assert answer.headers["OCPI-from-country-code"] + answer.headers["OCPI-from-party-id"] == (
        "NLCPO"
    )
    assert answer.headers["OCPI-to-country-code"] + answer.headers["OCPI-to-party-id"] == "DEMSP"
    (message,) = cpo.received(module="locations")
    assert (message.from_party, message.to_party) == (EMSP, CPO)


def test_configuration_modules_carry_no_routing_headers(
    connected: None, emsp: Running[Emsp], cpo: Running[Cpo]
) -> None:
    answer = emsp.call("credentials", "SENDER", "GET")
    assert not [name for name in answer.headers if name.lower().startswith("ocpi-")]
    (message,) = cpo.received(module="credentials", method="GET")
    assert message.from_party is None


def test_a_party_that_is_not_here_is_refused(connected: None, emsp: Running[Emsp]) -> None:
    (connection,) = emsp.simulator.connections
    answer = emsp.call("locations", "SENDER", "GET", to=PartyId("NL", "XXX"), connection=connection)
    assert (answer.http_status, answer.status_code) == (200, 2001)


def test_what_is_not_json_is_400(connected: None, emsp: Running[Emsp]) -> None:
    answer = emsp.call("sessions", "SENDER", "PUT", "1/charging_preferences", body=b"{no")
    assert (answer.http_status, answer.status_code) == (400, 2001)


def test_an_unknown_method_is_405(connected: None, emsp: Running[Emsp]) -> None:
    answer = emsp.call("locations", "SENDER", "DELETE")
    assert (answer.http_status, answer.headers["Allow"]) == (405, "GET")


def test_hub_client_info_is_kept(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    info = {
        "country_code": "FR", "party_id": "ABC", "role": "CPO", "status": "OFFLINE",
        "last_updated": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert cpo.call("hubclientinfo", "RECEIVER", "GET", "FR/ABC").http_status == 404
    assert cpo.call("hubclientinfo", "RECEIVER", "PUT", "FR/ABC", body=info).is_success
    assert cpo.call("hubclientinfo", "RECEIVER", "PUT", "FR/XYZ", body=info).status_code == 2001
    assert cpo.call("hubclientinfo", "RECEIVER", "GET", "fr/abc").data == info
    status = emsp.simulator.clients.status(PartyId("FR", "ABC"))
    assert status is ConnectionStatus.OFFLINE


def test_a_listener_takes_everything_for_all_its_parties(
    cpo: Running[Cpo], listener: Running[Listener]
) -> None:
    cpo.register(listener.versions_url, listener.simulator.invite())
    for party in (PartyId("BE", "NSP"), PartyId("BE", "TWO")):
        answer = cpo.call("nltnm-tokens", "RECEIVER", "PATCH", "1/2", to=party, body={"a": 1})
        assert answer.is_success
        assert answer.data is None
    listener.simulator.answers["locations", "GET"] = Reply({"id": "L"}, headers={"X-Limit": "7"})
    answer = cpo.call("locations", "SENDER", "GET")
    assert (answer.data, answer.headers["X-Limit"]) == ({"id": "L"}, "7")
    assert [message.body for message in listener.received(module="nltnm-tokens")] == [
        b'{"a":1}',
        b'{"a":1}',
    ]


def test_received_messages_are_shown_without_the_credentials_token(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    emsp.call("locations", "SENDER", "GET", query={"limit": "1"})
    status, text = get(cpo.url, "/received?module=locations&method=GET")
    (shown,) = json.loads(text)
    assert (status, shown["query"]) == (200, {"limit": "1"})
    assert emsp.simulator.connections[0].sends not in text
    assert "authorization" not in text.lower()


def test_only_the_newest_messages_are_kept(connected: None, cpo: Running[Cpo]) -> None:
    assert cpo.simulator.received.maxlen == 5000


def test_wait_for_gives_up_in_time(cpo: Running[Cpo]) -> None:
    begun = datetime.now(UTC)
    with pytest.raises(AssertionError, match="nothing of the kind"):
        cpo.wait_for_message(module="sessions", timeout=0.2)
    assert (datetime.now(UTC) - begun).total_seconds() < 8


def test_who_is_connected_to_nobody_cannot_call(cpo: Running[Cpo]) -> None:
    with pytest.raises(LookupError, match="connected to nobody"):
        cpo.call("sessions", "RECEIVER", "GET", to=EMSP)
