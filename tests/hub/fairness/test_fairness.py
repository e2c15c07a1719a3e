"""No party can harm another: what one asks too much of waits or is refused, the others are served.

A table that is locked stands for a database that is slow: no clock decides what is seen here.
"""

import asyncio
import json
import threading
from collections import Counter

import pytest
from django.conf import settings

from hub.models import Platform
from hub.ocpi.datatypes import Role
from hub.parties import handshake
from hub.record.models import Tally
from hub.record.recorder import recorder
from hub.record.stream_to_table import copy_to_table
from simulators.testing import PATIENCE
from tests.hub.flood import Flood, locked, request_of, waiting_for_locks
from tests.hub.newcomer import CREDENTIALS, Newcomer
from tests.hub.pushing import HUB, location_of, tariff_of
from tests.hub.strangers import CUSTOM, Stranger, ask, raw, send, token_of, until
from tests.running_hub import changed_setting

LOCATIONS = "ocpi_locations_location"
SESSIONS = "ocpi_sessions_session"


@pytest.fixture
def greedy(hub):
    """A CPO that asks for too much."""
    return hub.join(Stranger(Role.CPO))


def path_of(module, sender, object_id):
    party = sender.simulator.party
    return f"receiver/{module}/{party.country_code}/{party.party_id}/{object_id}"


def pair_is_served(hub, cpo, emsp):
    """An honest pair: a forwarded message, a push, a list, and what has a lane of its own."""
    sent = ask(hub, cpo, "PUT", f"receiver/{CUSTOM}/1", to=emsp, body=b"{}")
    assert sent.said == (200, 1000)
    tariff = json.dumps(tariff_of(cpo.simulator.party, "T1")).encode()
    assert ask(hub, cpo, "PUT", path_of("tariffs", cpo, "T1"), body=tariff).code == 1000
    assert ask(hub, emsp, "GET", "sender/tariffs", to=HUB).said == (200, 1000)
    own_lanes_are_open(hub, cpo)


def own_lanes_are_open(hub, party):
    for path in ("/ocpi/versions", "/ocpi/2.2.1", CREDENTIALS, "/ocpi/2.2.1/hubclientinfo"):
        assert send(hub, "GET", path, token_of(party)).said == (200, 1000)
    for path in ("via/unknown", "profile-result/unknown"):
        assert ask(hub, party, "POST", path, body=b'{"result":"ACCEPTED"}').status == 404


def refusals(platform, limit):
    """How often it was refused for that reason, as /metrics tells it."""
    recorder.flush()
    copy_to_table()
    found = Tally.objects.filter(name="refused", labels=f"{platform}|{limit}").first()
    return found.number if found else 0


def platform_of(running):
    return Platform.objects.get(parties__party_id=running.simulator.party.party_id)


def test_the_101st_get_is_429_while_the_others_are_answered(hub, cpo, emsp, greedy):
    get = request_of(hub, greedy, "GET", "sender/locations", to=HUB)
    with locked(LOCATIONS):
        flood = Flood(hub, [get] * 101)
        [refused] = flood.first(1)
        assert refused.said == (429, 2000)
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-request-id"]
        pair_is_served(hub, cpo, emsp)
        own_lanes_are_open(hub, greedy)
        # Its pushes are another lane, and what it forwards goes on.
        pair_is_served(hub, greedy, emsp)
        assert len(flood.answers) == 1
    assert Counter(answer.status for answer in flood.all()) == {200: 100, 429: 1}
    until(lambda: refusals(platform_of(greedy).pk, "in hand") == 1)


def test_one_push_more_than_may_wait_is_429_and_the_others_are_kept(hub, cpo, emsp, greedy):
    def push(number):
        location = location_of(greedy.simulator.party, f"L{number}")
        path = path_of("locations", greedy, f"L{number}")
        return request_of(hub, greedy, "PUT", path, body=json.dumps(location).encode())

    most = settings.IN_HAND_PER_PLATFORM + 200
    with changed_setting("WAITING_SECONDS", 100.0), changed_setting("WAITING_PER_PLATFORM", 200):
        with locked(LOCATIONS):
            flood = Flood(hub, [push(number) for number in range(most + 1)])
            [refused] = flood.first(1)
            assert refused.said == (429, 2000)
            pair_is_served(hub, cpo, emsp)
            own_lanes_are_open(hub, greedy)
            assert len(flood.answers) == 1
        answers = flood.all()
    assert Counter(answer.status for answer in answers) == {201: most, 429: 1}


def test_a_push_that_has_waited_for_long_is_429(hub, greedy):
    location = json.dumps(location_of(greedy.simulator.party, "L")).encode()
    path = path_of("locations", greedy, "L")
    push = request_of(hub, greedy, "PUT", path, body=location)
    with (
        changed_setting("IN_HAND_PER_PLATFORM", 2),
        changed_setting("WAITING_SECONDS", 0.05),
        locked(LOCATIONS),
    ):
        flood = Flood(hub, [push] * 5)
        assert {answer.said for answer in flood.first(3)} == {(429, 2000)}
        # Those who gave up do not take the places of those who wait now.
        assert ask(hub, greedy, "PUT", path, body=location).said == (429, 2000)
    assert sorted(answer.status for answer in flood.all()[3:]) == [200, 201]
    assert ask(hub, greedy, "PUT", path, body=location).said == (200, 1000)


def test_what_is_kept_of_forwarded_messages_takes_no_thread_of_another(hub, cpo, emsp, greedy):
    party = greedy.simulator.party
    session = json.dumps(
        {
            "country_code": party.country_code,
            "party_id": party.party_id,
            "id": "S1",
            "start_date_time": "2026-01-01T00:00:00Z",
            "kwh": 0,
            "cdr_token": {
                "country_code": emsp.simulator.party.country_code,
                "party_id": emsp.simulator.party.party_id,
                "uid": "U1",
                "type": "RFID",
                "contract_id": "C1",
            },
            "auth_method": "WHITELIST",
            "location_id": "L1",
            "evse_uid": "E1",
            "connector_id": "1",
            "currency": "EUR",
            "status": "ACTIVE",
            "last_updated": "2026-01-01T00:00:00Z",
        }
    ).encode()
    put = request_of(hub, greedy, "PUT", path_of("sessions", greedy, "S1"), to=emsp, body=session)
    with locked(SESSIONS):
        flood = Flood(hub, [put] * 40)
        until(lambda: waiting_for_locks() >= 5)
        pair_is_served(hub, cpo, emsp)
        own_lanes_are_open(hub, greedy)
        assert not flood.answers
    assert {answer.said for answer in flood.all()} == {(200, 1000)}


def test_one_sender_leaves_places_at_a_receiver_to_the_others(hub, cpo, emsp, greedy):
    may_answer = threading.Event()

    async def hangs(_message):
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return raw()

    emsp.simulator.says = hangs
    get = request_of(hub, greedy, "GET", f"sender/{CUSTOM}", to=emsp)
    other = request_of(hub, cpo, "GET", f"sender/{CUSTOM}", to=emsp)
    with changed_setting("FORWARDS_PER_RECEIVER", 4):
        try:
            flood = Flood(hub, [get] * 4)
            [refused] = flood.first(1)
            assert refused.said == (200, 4003)
            assert "3 of them from this sender" in refused.envelope["status_message"]
            honest = Flood(hub, [other] * 2)
            [one_too_many] = honest.first(1)
            assert one_too_many.said == (200, 4003)
            assert len(flood.answers) == 1
        finally:
            may_answer.set()
        assert {answer.said for answer in [*flood.all()[1:], *honest.all()[1:]]} == {(200, 1000)}
        assert ask(hub, greedy, "GET", f"sender/{CUSTOM}", to=emsp).said == (200, 1000)


def test_handshakes_that_hang_take_no_slot_of_another(hub, monkeypatch):
    monkeypatch.setattr(handshake, "SECONDS", PATIENCE)
    stalled, honest = Newcomer(hub), Newcomer(hub)
    may_answer, usual = threading.Event(), stalled.stranger.respond

    async def hangs(request, message):
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return await usual(request, message)

    stalled.stranger.respond = hangs
    body = json.dumps(stalled.credentials()).encode()
    lines = [
        f"POST {CREDENTIALS} HTTP/1.1",
        "Host: hub",
        f"Authorization: Token {stalled.token_a}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    flood = Flood(hub, ["\r\n".join([*lines, "", ""]).encode() + body] * 40)
    stalled.running.wait_for(lambda: stalled.running.received(module="versions"))
    assert honest.post().said == (200, 1000)
    assert honest.put().said == (200, 1000)
    assert honest.ask(CREDENTIALS).said == (200, 1000)
    assert stalled.ask(CREDENTIALS).said == (200, 1000)
    may_answer.set()
    assert sum(answer.said == (200, 1000) for answer in flood.all()) <= 1


def test_an_operators_rate_is_kept_and_the_default_is_none(hub, cpo, emsp, greedy):
    ids = [f"receiver/{CUSTOM}/{number}" for number in range(10)]
    assert {ask(hub, greedy, "GET", path, to=emsp).status for path in ids} == {200}
    Platform.objects.filter(pk=platform_of(greedy).pk).update(requests_per_second=0.001)
    until(lambda: ask(hub, greedy, "GET", ids[0], to=emsp).status == 429)
    refused = ask(hub, greedy, "GET", ids[0], to=emsp)
    assert refused.said == (429, 2000)
    assert "0.001" in refused.envelope["status_message"]
    own_lanes_are_open(hub, greedy)
    pair_is_served(hub, cpo, emsp)
    with changed_setting("REQUESTS_PER_SECOND", 0.01):
        answers = [ask(hub, cpo, "GET", path, to=emsp).status for path in ids]
        assert 429 in answers
        assert answers[0] == 200
        Platform.objects.filter(pk=platform_of(cpo).pk).update(requests_per_second=0)
        until(lambda: {ask(hub, cpo, "GET", path, to=emsp).status for path in ids} == {200})


def test_a_refusal_is_told_once_a_minute_and_not_recorded_each_time(hub, emsp, greedy, caplog):
    Platform.objects.filter(pk=platform_of(greedy).pk).update(requests_per_second=0.001)
    until(lambda: ask(hub, greedy, "GET", f"receiver/{CUSTOM}/1", to=emsp).status == 429)
    for _ in range(5):
        ask(hub, greedy, "GET", f"receiver/{CUSTOM}/1", to=emsp)
    told = [
        r for r in caplog.records if r.name == "hub.gateway.in_hand" and r.levelname == "WARNING"
    ]
    assert len(told) == 1
    until(lambda: refusals(platform_of(greedy).pk, "rate") >= 6)
