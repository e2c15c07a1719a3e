"""mod_sessions and mod_cdrs: what the CPO pushes and offers, and what the eMSP keeps."""

import json
from datetime import timedelta

import msgspec
import pytest

from hub.ocpi.datatypes import decode
from hub.ocpi.party import PartyId
from sessions.objects import CdrToken, Session, TokenType
from simulators.charging import Ev
from simulators.cpo import Cpo
from simulators.documents import Site
from simulators.emsp import Emsp
from simulators.testing import Running
from tests.simulators.conftest import start
from tests.simulators.test_platform import get

SINCE_EVER = {"date_from": "2020-01-01T00:00:00Z"}


def test_a_session_is_put_and_then_patched(emsp: Running[Emsp]) -> None:
    fast = Cpo(speed_up=3600, push_every=timedelta(minutes=30))
    with Running(fast) as cpo:
        emsp.register(cpo.versions_url, cpo.simulator.invite())
        session = start(cpo)
        emsp.wait_for_message(module="sessions", method="PATCH", count=2)
        first, *patches = emsp.received(module="sessions")
        assert first.method == "PUT"
        assert first.read(Session).status == "ACTIVE"
        for patch in patches:
            assert {"kwh", "last_updated"} <= set(patch.json())
        cpo.run(fast.end_session(session.id))
        kept = emsp.simulator.kept.find(session.id)
        assert kept is not None
        # What PUT and PATCHes have added up to is what the CPO has.
        theirs = cpo.simulator.sessions[session.id]
        assert len(kept["charging_periods"]) == len(theirs.meter.periods)
        energy = [d["volume"] for p in kept["charging_periods"] for d in p["dimensions"][:1]]
        assert sum(energy) == pytest.approx(theirs.meter.kwh, abs=0.01)
        assert (kept["status"], kept["kwh"]) == ("COMPLETED", round(theirs.meter.kwh, 3))
        assert kept["end_date_time"] > kept["start_date_time"]


def test_a_push_that_failed_is_followed_by_a_put(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    emsp.set_faults(http_500=True)
    assert not cpo.run(cpo.simulator.push_session(session)).is_success  # type: ignore[union-attr]
    emsp.clear_faults()
    cpo.run(cpo.simulator.push_session(session))
    methods = [message.method for message in emsp.received(module="sessions")]
    assert methods == ["PUT", "PATCH", "PUT"]


def test_an_emsp_that_is_gone_does_not_stop_the_session(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    emsp.set_faults(gone=True)
    session = start(cpo)
    assert not session.is_in_sync
    assert session.is_active


def test_a_patch_of_an_unknown_session_or_without_a_time_is_refused(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    unknown = cpo.call("sessions", "RECEIVER", "PATCH", "NL/CPO/x", body={"kwh": 1})
    timeless = cpo.call("sessions", "RECEIVER", "PATCH", session.path, body={"kwh": 1})
    assert (unknown.status_code, timeless.status_code) == (2001, 2001)
    assert cpo.call("sessions", "RECEIVER", "GET", session.path).data["id"] == session.id
    assert cpo.call("sessions", "RECEIVER", "GET", "NL/CPO/x").http_status == 404
    other = cpo.call(
        "sessions", "RECEIVER", "PUT", "NL/CPO/other",
        body=emsp.simulator.kept.find(session.id),
    )  # fmt: skip
    assert other.status_code == 2001


def test_the_cdr_is_posted_and_can_be_fetched_where_it_says(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    cpo.run(cpo.simulator.end_session(session.id))
    (message,) = emsp.received(module="cdrs")
    cdr = message.json()
    assert (cdr["session_id"], cdr["cdr_location"]["evse_uid"]) == (session.id, "EVSE1")
    assert len(cdr["charging_periods"]) >= 1
    (connection,) = cpo.simulator.connections
    url = cpo.simulator.cdr_urls[session.id]
    fetched = cpo.run(cpo.simulator.send("GET", url, connection=connection))
    assert fetched.data == cdr
    assert cpo.call("cdrs", "RECEIVER", "POST", body={"no": "id"}).status_code == 2001


def test_lists_are_paged_with_a_link(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    for uid in ("EVSE1", "EVSE2", "EVSE3"):
        start(cpo, uid)
    page = emsp.call("sessions", "SENDER", "GET", query=SINCE_EVER | {"limit": "2"})
    assert (len(page.data), page.headers["X-Total-Count"]) == (2, "3")
    link = page.headers["Link"].removeprefix("<").split(">")[0]
    (connection,) = emsp.simulator.connections
    last = emsp.run(emsp.simulator.send("GET", link, connection=connection))
    assert len(last.data) == 1
    assert "Link" not in last.headers
    for item in page.data + last.data:
        decode(msgspec.json.encode(item), Session)


def test_lists_are_filtered_by_time(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    session = start(cpo)
    (shown,) = emsp.call("sessions", "SENDER", "GET", query=SINCE_EVER).data
    updated = shown["last_updated"]
    inclusive = emsp.call("sessions", "SENDER", "GET", query={"date_from": updated})
    exclusive = emsp.call("sessions", "SENDER", "GET", query=SINCE_EVER | {"date_to": updated})
    assert ([s["id"] for s in inclusive.data], exclusive.data) == ([session.id], [])
    for wrong in ({}, {"date_from": "yesterday"}, SINCE_EVER | {"limit": "-1"}):
        assert emsp.call("sessions", "SENDER", "GET", query=wrong).status_code == 2001


def test_locations_tariffs_cdrs_and_tokens_are_offered(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    start(cpo, "EVSE2")
    (location,) = emsp.call("locations", "SENDER", "GET").data
    assert [evse["status"] for evse in location["evses"]] == [
        "AVAILABLE", "CHARGING", "AVAILABLE", "AVAILABLE",
    ]  # fmt: skip
    assert "CHARGING_PREFERENCES_CAPABLE" not in location["evses"][3]["capabilities"]
    one = emsp.call("locations", "SENDER", "GET", "loc1/evse4/1").data
    assert one["max_electric_power"] == 22080
    assert emsp.call("locations", "SENDER", "GET", "LOC1/EVSE9").http_status == 404
    assert emsp.call("locations", "SENDER", "GET", "LOC9").http_status == 404
    (tariff,) = emsp.call("tariffs", "SENDER", "GET").data
    assert len(tariff["elements"]) == 24
    assert emsp.call("cdrs", "SENDER", "GET").data == []
    (token,) = cpo.call("tokens", "SENDER", "GET").data
    assert token["type"] == "APP_USER"


def test_an_emsp_sees_only_its_own_sessions(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    theirs = CdrToken("FR", "ZZZ", "1", TokenType.RFID, "FR-ZZZ-1")
    start(cpo, "EVSE1", token=theirs)
    ours = start(cpo, "EVSE2")
    shown = emsp.call("sessions", "SENDER", "GET", query=SINCE_EVER).data
    assert [session["id"] for session in shown] == [ours.id]


def test_a_car_leaves_by_itself(emsp: Running[Emsp]) -> None:
    with Running(Cpo(PartyId("BE", "BEC"), speed_up=36_000)) as cpo:
        emsp.register(cpo.versions_url, cpo.simulator.invite())
        session = start(cpo, stay=timedelta(hours=5), ev=Ev(battery_kwh=30, charged_kwh=20))
        emsp.wait_for_message(module="cdrs")
        assert emsp.simulator.cdrs[session.id]["total_energy"] == 10
        assert cpo.simulator.free_evse() is not None


def test_a_full_site_takes_no_car_more() -> None:
    with Running(Cpo(site=Site(evses=Site().evses[:1]))) as cpo:
        start(cpo)
        with pytest.raises(LookupError, match="occupied"):
            start(cpo)
        with pytest.raises(LookupError, match="no EVSE"):
            start(cpo, "EVSE9")


def test_cars_come_and_go_through_the_operators_page(
    connected: None, cpo: Running[Cpo], emsp: Running[Emsp]
) -> None:
    status, text = get(cpo.url, "/app/sessions", "POST", '{"evse_uid": "EVSE3", "stay_hours": 2}')
    session = json.loads(text)
    assert (status, session["evse_uid"]) == (200, "EVSE3")
    assert json.loads(get(cpo.url, "/app/sessions")[1])[0]["id"] == session["id"]
    status, text = get(cpo.url, f"/app/sessions/{session['id']}", "DELETE")
    assert (status, json.loads(text)["status"]) == (200, "COMPLETED")
    assert get(cpo.url, f"/app/sessions/{session['id']}", "DELETE")[0] == 400
    assert get(cpo.url, "/app/sessions", "POST", '{"evse": 1}')[0] == 400
    assert json.loads(get(cpo.url, "/app/site", "POST", '{"limit_amps": 20}')[1]) == {
        "limit_amps": 20
    }
    assert emsp.simulator.cdrs.keys() == {session["id"]}
