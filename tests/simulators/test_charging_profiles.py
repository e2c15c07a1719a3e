"""mod_charging_profiles: commands, results and updates between an eMSP and the CPO."""

import time
from decimal import Decimal
from typing import Any

import pytest

from charging_profiles.objects import (
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingRateUnit,
    ProfileResult,
)
from hub.ocpi.party import PartyId
from party.callbacks import CommandRefused
from simulators.cpo import Cpo
from simulators.emsp import Emsp
from simulators.testing import Running
from tests.simulators.conftest import start

CPO = PartyId("NL", "CPO")


def profile(*limits: str) -> ChargingProfile:
    return ChargingProfile(
        charging_rate_unit=ChargingRateUnit.A,
        charging_profile_period=[
            ChargingProfilePeriod(number * 600, Decimal(limit))
            for number, limit in enumerate(limits)
        ],
    )


def put(emsp: Running[Emsp], session_id: str, wanted: ChargingProfile) -> ProfileResult:
    return emsp.run(emsp.simulator.profiles.put(session_id, CPO, wanted))


def active(emsp: Running[Emsp], session_id: str) -> list[str]:
    result = emsp.run(emsp.simulator.profiles.get_active(session_id, CPO, 3600))
    assert result.profile is not None
    periods = result.profile.charging_profile.charging_profile_period
    return [str(period.limit) for period in periods]


def raw(emsp: Running[Emsp], method: str, session_id: str, **more: Any) -> Any:
    return emsp.call("chargingprofiles", "RECEIVER", method, session_id, **more)


def test_put_get_and_delete(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    session = start(cpo)
    assert active(emsp, session.id) == ["16"]
    assert put(emsp, session.id, profile("0", "8", "32")).result == "ACCEPTED"
    assert active(emsp, session.id) == ["0", "8", "16"]
    cleared = emsp.run(emsp.simulator.profiles.delete(session.id, CPO))
    assert cleared.result == "ACCEPTED"
    assert active(emsp, session.id) == ["16"]


def test_there_is_nothing_to_delete(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    assert emsp.run(emsp.simulator.profiles.delete(session.id, CPO)).result == "UNKNOWN"


def test_too_many_periods_are_rejected_by_the_evse(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    assert put(emsp, session.id, profile(*["8", "9"] * 11)).result == "REJECTED"
    assert session.plug.set_profiles == []


def test_a_cpo_can_ignore_what_it_accepts_and_even_tell_it_as_active(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    for switch, told in (("ignores_profiles", ["16"]), ("claims_profiles", ["8"])):
        cpo.simulator.faults.set(module="chargingprofiles", **{switch: True})
        assert put(emsp, session.id, profile("8")).result == "ACCEPTED"
        assert active(emsp, session.id) == told
        assert session.plug.limit_at(session.clock.now()) == 16 * 3 * 230


def test_sessions_that_cannot_be_steered(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    query = {"duration": "60", "response_url": "http://127.0.0.1:1/x"}
    assert raw(emsp, "GET", "nobody", query=query).data["result"] == "UNKNOWN_SESSION"
    session = start(cpo)
    cpo.run(cpo.simulator.end_session(session.id))
    assert raw(emsp, "GET", session.id, query=query).data["result"] == "UNKNOWN_SESSION"


def test_ids_are_compared_without_case(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    start(cpo, session_id="AbC")
    assert active(emsp, "aBc") == ["16"]


def test_what_is_missing_is_refused(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    for query in ({"duration": "60"}, {"response_url": "http://x/"}, {}):
        assert raw(emsp, "GET", session.id, query=query).status_code == 2001
    assert raw(emsp, "DELETE", session.id).status_code == 2001
    assert raw(emsp, "PUT", session.id, body={}).status_code == 2001


def test_a_response_url_that_is_not_encoded_is_understood(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    url = emsp.simulator.endpoint_url("chargingprofiles", "SENDER") + "/results/1?request_id=5"
    path = f"{session.id}?duration=60&response_url={url}"
    assert raw(emsp, "GET", path).data["result"] == "ACCEPTED"
    (message,) = emsp.wait_for_message(module="chargingprofiles", method="POST")
    assert message.query == {"request_id": "5"}


def test_a_local_change_is_told_to_who_has_set_a_profile(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    steered, other = start(cpo, "EVSE1"), start(cpo, "EVSE2")
    put(emsp, steered.id, profile("16"))
    cpo.run(cpo.simulator.set_site_limit(20))
    (message,) = emsp.wait_for_message(module="chargingprofiles", method="PUT")
    assert message.parts == (steered.id,)
    (update,) = emsp.simulator.profiles.updates[steered.id.upper()]
    assert [str(p.limit) for p in update.charging_profile.charging_profile_period] == ["10"]
    assert update.charging_profile.duration == 3600
    # The other car leaves, and the whole site is free again.
    cpo.run(cpo.simulator.end_session(other.id))
    emsp.wait_for_message(module="chargingprofiles", method="PUT", count=2)


def test_after_a_delete_nobody_is_told(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    put(emsp, session.id, profile("16"))
    emsp.run(emsp.simulator.profiles.delete(session.id, CPO))
    assert session.profile_senders == {}


@pytest.mark.parametrize("answer", ["NOT_SUPPORTED", "REJECTED", "TOO_OFTEN"])
def test_answers_on_demand(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp], answer: str
) -> None:
    session = start(cpo)
    cpo.set_faults(profile_response=answer)
    with pytest.raises(CommandRefused, match=answer):
        put(emsp, session.id, profile("8"))
    assert session.plug.set_profiles == []


def test_results_on_demand(connected: None, cpo: Running[Cpo], emsp: Running[Emsp]) -> None:
    session = start(cpo)
    cpo.set_faults(profile_result="UNKNOWN")
    assert put(emsp, session.id, profile("8")).result == "UNKNOWN"
    assert session.plug.set_profiles == []


def test_a_result_comes_after_the_answer_unless_told_otherwise(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    emsp.set_faults(module="chargingprofiles", slow=0.6)
    url = emsp.simulator.endpoint_url("chargingprofiles", "SENDER") + "/results/1"
    body = {"charging_profile": profile("8"), "response_url": url}
    for early in (False, True):
        cpo.set_faults(result_before_answer=early)
        begun = time.monotonic()
        assert raw(emsp, "PUT", session.id, body=body).data["result"] == "ACCEPTED"
        # The eMSP takes 0.6 s to take a result, and a result before the answer waits for that.
        assert (time.monotonic() - begun >= 0.6) == early
    emsp.wait_for_message(module="chargingprofiles", count=2)


def test_results_twice_late_or_never(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    cpo.set_faults(duplicate_result=True)
    put(emsp, session.id, profile("8"))
    emsp.wait_for_message(module="chargingprofiles", method="POST", count=2)
    cpo.clear_faults()
    cpo.set_faults(late_result=0.2)
    put(emsp, session.id, profile("9"))
    first, second, third = emsp.received(module="chargingprofiles", method="POST")
    assert first.parts == second.parts != third.parts
    cpo.set_faults(late_result=0, silent_after_accepted=True)
    with pytest.raises(TimeoutError):
        emsp.run(emsp.simulator.profiles.put(session.id, CPO, profile("10")), timeout=0.3)
    assert len(emsp.received(module="chargingprofiles", method="POST")) == 3


def test_a_callback_may_lose_its_query(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    cpo.set_faults(drop_callback_query=True)
    url = emsp.simulator.endpoint_url("chargingprofiles", "SENDER") + "/results/1?id=7"
    raw(emsp, "DELETE", session.id, query={"response_url": url})
    (message,) = emsp.wait_for_message(module="chargingprofiles", method="POST")
    assert dict(message.query) == {}
