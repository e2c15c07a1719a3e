"""CDRs that their eMSP takes, however they are spelled: kept once, listed, never replaced."""

import json
from typing import Any

import pytest

from cdrs.models import Cdr, Posting
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from tests.cdrs.test_post_cdr import of, post
from tests.hub.deviations.counts import counts_of
from tests.hub.strangers import Stranger, ask, raw, send, token_of, until
from tests.minimal import cdr

HUB = PartyId("NL", "HUB")


def place(**changes: Any) -> dict[str, Any]:
    found = cdr(PartyId("XX", "XXX"), PartyId("XX", "XXX"), "X")["cdr_location"] | changes
    return {"cdr_location": {name: value for name, value in found.items() if value != "absent"}}


PERIOD = {"start_date_time": "2026-01-01T10:00:00Z", "dimensions": [{"type": "TIME", "volume": 2}]}
ODD: dict[str, dict[str, Any]] = {
    "ADDRESS": place(address="Professor-Doktor-Musterfrau-Allee-Nord 12345 a"),
    "NO-EVSE-ID": place(evse_id="absent"),
    "EVSE-ID-NULL": place(evse_id=None),
    "MCS": place(connector_standard="MCS"),
    "SAE": place(connector_standard="SAE_J3400"),
    "COUNTRY": place(country="ZZ"),
    "COORDINATES": place(coordinates={"latitude": "51.0475", "longitude": 3.7}),
    "NO-PLACE": {"cdr_location": None},
    "UTC": {"last_updated": "2026-01-01T00:00:00+00:00"},
    "BLANK": {"end_date_time": "2026-01-01 12:00:00"},
    "NO-TIME": {"last_updated": "soon"},
    "TIME-NULL": {"last_updated": None},
    "TIME-NUMBER": {"last_updated": 1767225600},
    "ENERGY-TEXT": {"total_energy": "15.342"},
    "ENERGY-HUGE": {"total_energy": 1e300},
    "COST-NUMBER": {"total_cost": 4.0},
    "COST-NULL": {"total_cost": None},
    "NO-PERIODS": {"charging_periods": []},
    "NO-DIMENSIONS": {"charging_periods": [PERIOD | {"dimensions": []}]},
    "SESSION-DIMENSION": {
        "charging_periods": [PERIOD | {"dimensions": [{"type": "POWER", "volume": 1}]}]
    },
    "AUTH": {"auth_method": "GUESSED"},
    "CURRENCY": {"currency": "Euro"},
    "TARIFFS": {"tariffs": [{}]},
    "CREDIT": {"credit": "false", "credit_reference_id": ""},
    "SIGNED": {"signed_data": {}},
    "REMARK": {"remark": "a\nb"},
    "TOKEN-TYPE": {"cdr_token": {"type": "CAR"}},
    "CONTRACT": {"cdr_token": {"contract_id": None}},
}


def document(cpo, emsp, name: str) -> dict[str, Any]:
    changes = ODD[name]
    if "cdr_token" in changes:
        whole = of(cpo, emsp, name)
        return whole | {"cdr_token": whole["cdr_token"] | changes["cdr_token"]}
    return of(cpo, emsp, name, **changes)


def listed(hub, viewer) -> list[dict[str, Any]]:
    answer = ask(hub, viewer, "GET", "sender/cdrs?limit=500", to=HUB)
    assert answer.said == (200, 1000)
    return list(answer.envelope["data"])


def check_kept_once(hub, cpo, emsp, body: bytes, other: bytes) -> None:
    """Taken, repeated with the known outcome, and never replaced by `other`."""
    sent = json.loads(body)
    emsp.simulator.says = lambda message: raw(status=201)
    first, again = (post(hub, cpo, body, to=emsp) for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    assert first.status == 201
    assert len(emsp.simulator.got) == 1
    assert post(hub, cpo, other, to=emsp).said == (200, 2001)
    assert len(emsp.simulator.got) == 1
    for viewer in (cpo, emsp):
        assert listed(hub, viewer).count(sent) == 1
    shown = send(hub, "GET", first.headers["location"], token_of(cpo))
    assert shown.envelope["data"] == sent
    assert not Posting.objects.exists()


@pytest.mark.parametrize("name", ODD)
def test_a_bill_that_its_emsp_takes_is_kept_once_and_never_replaced(hub, cpo, emsp, name):
    whole = document(cpo, emsp, name)
    body = json.dumps(whole).encode()
    check_kept_once(hub, cpo, emsp, body, json.dumps(whole | {"total_time": 99}).encode())
    row = Cdr.objects.get(owner=str(cpo.simulator.party), object_id=name)
    assert bytes(row.document) == body


@pytest.mark.parametrize("cdr_id", [4711, "n" * 60, "ä" * 39, "\u00df" * 39, "A\u0000B", " edges "])
def test_an_odd_id_names_its_bill(hub, cpo, emsp, cdr_id):
    whole = of(cpo, emsp, "x") | {"id": cdr_id}
    other = whole | {"total_energy": 1}
    check_kept_once(hub, cpo, emsp, json.dumps(whole).encode(), json.dumps(other).encode())


@pytest.mark.parametrize("cdr_id", [None, "", "\u0000", {}, [], True])
def test_a_bill_without_an_id_is_known_by_what_it_says(hub, cpo, emsp, cdr_id):
    whole = of(cpo, emsp, "x", x_test=str(cdr_id)) | {"id": cdr_id}
    for _ in range(2):
        assert post(hub, cpo, whole).said == (200, 1000)
    later = dict(reversed(whole.items())) | {"last_updated": "2026-05-05T00:00:00Z"}
    assert post(hub, cpo, later).said == (200, 1000)
    assert len(emsp.simulator.got) == 1
    assert listed(hub, emsp).count(whole) == 1
    assert post(hub, cpo, whole | {"total_energy": 1}).said == (200, 1000)
    assert len(emsp.simulator.got) == 2


def test_a_bill_in_a_list_of_one_is_a_bill(hub, cpo, emsp):
    whole = of(cpo, emsp, "LIST")
    body = json.dumps([whole]).encode()
    for _ in range(2):
        assert post(hub, cpo, body, to=emsp).said == (200, 1000)
    assert [message.body for message in emsp.simulator.got] == [body]
    assert listed(hub, emsp).count(whole) == 1
    assert post(hub, cpo, whole).said == (200, 1000)
    assert len(emsp.simulator.got) == 1


def test_a_bill_of_somebody_else_in_a_list_is_refused(hub, cpo, emsp):
    body = json.dumps([of(cpo, emsp, "FORGED") | {"party_id": "QQQ"}]).encode()
    assert post(hub, cpo, body, to=emsp).said == (200, 2001)
    assert not emsp.simulator.got


def test_what_deviates_is_counted_for_the_cpo(hub, emsp):
    cpo = hub.join(Stranger(Role.CPO))
    assert post(hub, cpo, document(cpo, emsp, "MCS")).said == (200, 1000)
    expected = {("unknown-enum-value", "CDR.cdr_location.connector_standard"): 1}
    until(lambda: counts_of(cpo.simulator.party) == expected)
