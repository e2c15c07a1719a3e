"""Sessions that their receiver accepts, however they are spelled: kept, listed, found."""

import json
from typing import Any

import pytest

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from sessions.models import Session
from tests.hub.deviations.counts import counts_of
from tests.hub.strangers import until
from tests.running_hub import new_party
from tests.scripted import Actor, code

HUB = PartyId("NL", "HUB")
PERIOD = {"start_date_time": "2026-03-01T10:00:00Z", "dimensions": [{"type": "TIME", "volume": 1}]}
ODD: dict[str, dict[str, Any]] = {
    "offset": {"last_updated": "2026-03-01T10:00:00+00:00"},
    "blank": {
        "last_updated": "2026-03-01 10:00:00+00:00",
        "start_date_time": "2026-03-01 10:00:00",
    },
    "no time": {"last_updated": "yesterday"},
    "no such time": {"last_updated": "0001-01-01T00:00:00+14:00"},
    "seconds": {"last_updated": 1772359200},
    "time null": {"last_updated": None},
    "dimension": {"charging_periods": [PERIOD | {"dimensions": [{"type": "SPEED", "volume": 1}]}]},
    "no dimensions": {"charging_periods": [PERIOD | {"dimensions": []}]},
    "soc": {
        "charging_periods": [PERIOD | {"dimensions": [{"type": "STATE_OF_CHARGE", "volume": 101}]}]
    },
    "periods object": {"charging_periods": {}},
    "cost": {"total_cost": 8.5},
    "cost null": {"total_cost": None},
    "kwh text": {"kwh": "1.5"},
    "kwh word": {"kwh": "a lot"},
    "kwh nan": {"kwh": "NaN"},
    "kwh huge": {"kwh": 1e30},
    "status": {"status": "RESERVED"},
    "status lower": {"status": "active"},
    "status null": {"status": None},
    "status object": {"status": {}},
    "evse nul": {"evse_uid": "E\u0000"},
    "evse number": {"evse_uid": 3256},
    "location long": {"location_id": "x" * 300},
    "location empty": {"location_id": ""},
    "auth method": {"auth_method": "GUESSED"},
    "currency": {"currency": "Euro"},
    "id number": {"id": None},
    "owner missing": {"country_code": None, "party_id": ""},
    "token uid number": {"cdr_token": {"uid": 5}},
    "token uid long": {"cdr_token": {"uid": "x" * 300}},
    "token type": {"cdr_token": {"type": "CAR"}},
    "token contract": {"cdr_token": {"contract_id": None}},
    "token party": {"cdr_token": {"party_id": "TOO LONG"}},
    "token country": {"cdr_token": {"country_code": None}},
}


def sent(cast, name: str) -> tuple[str, dict[str, Any]]:
    session_id = f"ODD-{name}".replace(" ", "-").upper()
    changes = {
        key: dict(value) if isinstance(value, dict) else value for key, value in ODD[name].items()
    }
    return session_id, cast.cpo.session(session_id, cast.emsp, **changes)


def listed(viewer) -> list[dict[str, Any]]:
    response = viewer.send("GET", "sender/sessions?limit=500", to=HUB)
    assert code(response) == 1000
    return response.json()["data"]


@pytest.mark.parametrize("name", ODD)
def test_what_its_receiver_takes_is_kept_to_the_byte_listed_and_found(cast, name):
    session_id, document = sent(cast, name)
    body = f" {json.dumps(document)}\n".encode()
    response = cast.cpo.send("PUT", cast.cpo.session_path(session_id), body, to=cast.emsp)
    assert (response.status_code, code(response)) == (200, 1000)
    [session] = Session.objects.named(session_id)
    assert bytes(session.document) == body
    assert session.is_accepted
    assert (session.owner, session.emsp) == (cast.cpo.party, cast.emsp.party)
    for viewer in (cast.cpo, cast.emsp):
        assert document in listed(viewer)
    assert cast.emsp.put_profile(session_id).json()["data"]["result"] == "ACCEPTED"
    path = f"sender/sessions/{session_id}/charging_preferences"
    assert cast.emsp.send("PUT", path, {"profile_type": "FAST"}).json()["data"] == "ACCEPTED"


@pytest.mark.parametrize("name", ODD)
def test_a_patch_of_it_is_kept_too(cast, name):
    session_id, document = sent(cast, name)
    session_id = document["id"] = f"P{session_id}"
    cast.cpo.send("PUT", cast.cpo.session_path(session_id), document, to=cast.emsp)
    patch = {"kwh": 9, "charging_periods": [PERIOD], "last_updated": "2099-03-01T11:00:00+00:00"}
    assert code(cast.cpo.send("PATCH", cast.cpo.session_path(session_id), patch)) == 1000
    [session] = Session.objects.named(session_id)
    assert session.kwh == 9
    assert PERIOD in json.loads(bytes(session.document))["charging_periods"]


def test_what_a_list_of_one_holds_is_the_session(cast):
    document = cast.cpo.session("LIST-1", cast.emsp)
    body = json.dumps([document]).encode()
    assert code(cast.cpo.send("PUT", cast.cpo.session_path("LIST-1"), body, to=cast.emsp)) == 1000
    assert cast.emsp.got("LIST-1")[-1].body == body
    assert document in listed(cast.emsp)
    patch = json.dumps([{"kwh": 3, "last_updated": "2026-03-01T11:00:00Z"}]).encode()
    cast.cpo.send("PATCH", cast.cpo.session_path("LIST-1"), patch, to=cast.emsp)
    assert Session.objects.named("LIST-1").get().kwh == 3


def test_an_id_longer_than_the_text_allows_is_found(cast):
    session_id = "L" * 60
    assert code(cast.cpo.put_session(session_id, cast.emsp)) == 1000
    assert Session.objects.named(session_id).get().is_accepted
    assert cast.emsp.put_profile(session_id).json()["data"]["result"] == "ACCEPTED"


def test_an_id_that_no_column_takes_is_refused_before_anybody_accepts_it(cast):
    session_id = "L" * 256
    response = cast.cpo.put_session(session_id, cast.emsp)
    assert (response.status_code, code(response)) == (200, 2001)
    assert "256" in response.json()["status_message"]
    assert cast.emsp.got(session_id) == []


def test_what_a_later_document_does_not_say_stays_as_it_was_known(cast):
    cast.cpo.put_session("STAYS-1", cast.emsp)
    changes = {"location_id": None, "status": None, "cdr_token": {"party_id": None, "uid": None}}
    cast.cpo.put_session("STAYS-1", cast.emsp, to=cast.scsp, **changes)
    [session] = Session.objects.named("STAYS-1")
    assert session.emsp == cast.emsp.party
    assert (session.location_id, session.token_uid, session.status) == ("LOC1", "TOKEN-1", "ACTIVE")


def test_a_session_of_nobody_known_is_the_cpos_to_judge(cast):
    token = {"country_code": None, "party_id": None}
    cast.cpo.put_session("WHOSE-1", cast.emsp, to=cast.scsp, cdr_token=token)
    assert Session.objects.named("WHOSE-1").get().emsp_party_id == ""
    path = "sender/sessions/WHOSE-1/charging_preferences"
    response = cast.emsp.send("PUT", path, {"profile_type": "FAST"}, to=cast.cpo)
    assert response.json()["data"] == "ACCEPTED"


@pytest.mark.parametrize("changes", [{"id": "OTHER"}, {"party_id": "ZZZ"}, {"country_code": "QQ"}])
def test_a_document_that_contradicts_its_url_is_nobodys(cast, changes):
    session_id = f"CONTRA-{next(iter(changes))}"
    document = cast.cpo.session(session_id, cast.emsp) | changes
    cast.cpo.send("PUT", cast.cpo.session_path(session_id), document, to=cast.emsp)
    assert not Session.objects.named(session_id).exists()
    assert document not in listed(cast.emsp)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null", b"[{},{}]", b"[5]"])
def test_what_is_no_object_passes_and_is_no_session(cast, body):
    path = cast.cpo.session_path("NO-OBJECT")
    for method in ("PUT", "PATCH"):
        assert code(cast.cpo.send(method, path, body, to=cast.emsp)) == 1000
    assert not Session.objects.named("NO-OBJECT").exists()


def test_what_deviates_is_counted_for_the_cpo(cast):
    cpo = Actor(cast.hub, Role.CPO)
    soc = ODD["soc"] | {"last_updated": "2026-03-01T10:00:00+00:00"}
    cpo.put_session("COUNTED", cast.emsp, **soc)
    period = {"start_date_time": "2026-03-01T10:00:00Z", "dimensions": []}
    patch = {"kwh": "1", "charging_periods": [period], "last_updated": "2026-03-01T11:00:00Z"}
    cpo.send("PATCH", cpo.session_path("COUNTED"), patch, to=cast.emsp)
    periods = "Session.charging_periods[]"
    expected = {
        ("date-time", "Session.last_updated"): 1,
        ("cross-field", f"{periods}.dimensions[].volume"): 1,
        ("number-as-text", "Session.kwh"): 1,
        ("empty-list", f"{periods}.dimensions"): 1,
        ("same-start-other-dimensions", f"{periods}.dimensions"): 1,
    }
    until(lambda: counts_of(cpo.party) == expected)


def test_two_parties_of_one_platform_are_told_apart(cast):
    second = new_party()
    document = cast.cpo.session("SECOND", cast.emsp) | second._asdict()
    path = f"receiver/sessions/{second.country_code}/{second.party_id}/SECOND"
    cast.cpo.send("PUT", path, document, to=cast.emsp)
    assert not Session.objects.named("SECOND").exists()
