"""What real counterparts do wrong, on demand."""

import json
from typing import Any

import aiohttp
import msgspec
import pytest

from hub.ocpi.errors import NoMatchingEndpoints
from hub.ocpi.party import PartyId
from party.registration import RegistrationFailed
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running
from tests.simulators.conftest import start
from tests.simulators.test_platform import get

CPO = PartyId("NL", "CPO")


def locations(emsp: Running[Emsp], **more: Any) -> Any:
    return emsp.call("locations", "SENDER", "GET", to=CPO, **more)


def test_an_error_that_is_no_envelope(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    cpo.set_faults(http_500=True)
    assert (locations(emsp).http_status, locations(emsp).envelope) == (500, None)
    cpo.set_faults(http_500=False, not_an_envelope=True)
    assert (locations(emsp).http_status, locations(emsp).status_code) == (422, None)
    cpo.clear_faults()
    assert locations(emsp).is_success


def test_wrong_json(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(wrong_json=True)
    assert (locations(emsp).http_status, locations(emsp).envelope) == (200, None)


def test_slow(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(slow=30)
    with pytest.raises(TimeoutError):
        locations(emsp, within=0.2)


def test_hang_up(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(hang_up=True)
    with pytest.raises(aiohttp.ClientError):
        locations(emsp)


def test_a_big_answer(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(big_answer=2_000_000)
    assert len(locations(emsp).envelope["status_message"]) == 2_000_000


def test_gone_and_back_at_the_same_address(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    assert locations(emsp).is_success
    cpo.set_faults(gone=True)
    with pytest.raises(aiohttp.ClientConnectorError):
        locations(emsp)
    cpo.set_faults(gone=False)
    assert locations(emsp).is_success


def test_gone_for_a_while(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(gone=0.1)
    cpo.wait_for(lambda: not cpo.simulator.faults.general.gone)
    assert locations(emsp).is_success


def test_no_headers_in_answers_and_calls(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    cpo.set_faults(no_routing_headers=True, no_message_ids=True)
    names = {name.lower() for name in locations(emsp).headers}
    assert not [name for name in names if name.startswith(("ocpi-", "x-request", "x-corr"))]
    start(cpo)
    (message,) = emsp.received(module="sessions")
    assert message.from_party is None
    assert "X-Request-ID" not in message.headers


def test_data_as_a_list_of_one(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(data_as_list=True)
    assert isinstance(emsp.call("locations", "SENDER", "GET", "LOC1").data, list)
    # The simulators themselves tolerate it.
    emsp.update_credentials()


def test_lower_case_ids(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(lowercase_ids=True)
    assert locations(emsp).headers["OCPI-from-party-id"] == "cpo"
    session = start(cpo, session_id="ABC")
    (message,) = emsp.received(module="sessions")
    assert message.parts == ("nl", "cpo", "abc")
    assert message.headers["OCPI-to-party-id"] == "msp"
    assert session.is_in_sync


def test_a_redirect_for_the_missing_slash(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    cpo.set_faults(redirect_missing_slash=True)
    answer = locations(emsp, query={"limit": "1"})
    assert answer.http_status == 307
    assert answer.headers["Location"].endswith("/locations/?limit=1")


def test_hub_client_info_at_another_path(cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    emsp.set_faults(clientinfo_path=True)
    cpo.register(emsp.versions_url, emsp.simulator.invite())
    answer = cpo.call("hubclientinfo", "RECEIVER", "GET", "FR/ABC")
    assert answer.http_status == 404
    assert emsp.received(module="hubclientinfo")[0].path.endswith("/clientinfo/FR/ABC")


def test_https_where_there_is_none(cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(hard_coded_https=True)
    with pytest.raises((RegistrationFailed, aiohttp.ClientError)):
        emsp.register(cpo.versions_url, cpo.simulator.invite())


def test_an_enum_in_the_link(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(enum_repr_in_link=True)
    for uid in ("EVSE1", "EVSE2"):
        start(cpo, uid)
    query = {"date_from": "2020-01-01T00:00:00Z", "limit": "1"}
    answer = emsp.call("sessions", "SENDER", "GET", query=query)
    assert "/ModuleID.sessions?" in answer.headers["Link"]


def test_one_module_alone(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    cpo.set_faults(module="tariffs", http_500=True)
    assert emsp.call("tariffs", "SENDER", "GET").http_status == 500
    assert locations(emsp).is_success


def test_the_control_path(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    status, text = get(cpo.url, "/faults", "POST", '{"module": "tariffs", "slow": 1.5}')
    assert (status, json.loads(text)["modules"]) == (200, {"tariffs": {"slow": 1.5}})
    status, text = get(cpo.url, "/faults", "POST", '{"sloow": 1}')
    assert status == 400
    assert "sloow" in text
    assert json.loads(get(cpo.url, "/faults", "DELETE")[1]) == {"all": {}, "modules": {}}
    assert get(cpo.url, "/nothing")[0] == 404


def test_an_unknown_switch_is_an_error(cpo: Running[Cpo]) -> None:
    with pytest.raises(msgspec.ValidationError, match="sloow"):
        cpo.set_faults(sloow=1)


def test_an_interface_that_is_not_offered(connected: None, emsp: Running[Emsp]) -> None:
    with pytest.raises(NoMatchingEndpoints):
        emsp.call("locations", "RECEIVER", "PUT", "NL/CPO/L1", body={})
