"""Extension fields reach whom they were agreed on with, and nobody else (SCALE D2.3, 8.4.1.2)."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from flex.extensions import forget_gone
from flex.models import PlaceExtension, SessionExtension
from hub.deviations import noting
from hub.deviations.models import DeviationCount
from hub.models import Agreement, Delivery
from hub.ocpi import extensions
from hub.ocpi.datatypes import Role
from hub.ocpi.errors import NotJson
from hub.ocpi.extensions import AGREED_AS, FIELDS, Carrier, Told
from hub.routing.directory import wait_until_confirmed
from locations.models import Location
from party.messages import Reply
from sessions.models import Session
from tests.cases import case
from tests.flex.agreements import agree
from tests.flex.api.calling import Api
from tests.hub.commands.calling import run
from tests.hub.strangers import until
from tests.minimal import as_json, location
from tests.scripted import Actor

EV = {
    "max_charge_power": 11000,
    "present_soc": 55.5,
    "remaining_v2x_energy": 120,
    "source": "ISO 15118-20 AC_ChargeLoopReq via OCPP 2.1 NotifyEVChargingNeeds",
    "observed_at": "2026-03-01T10:00:00Z",
}
CONNECTOR = {
    "id": "1",
    "standard": "IEC_62196_T2",
    "format": "SOCKET",
    "power_type": "AC_3_PHASE",
    "max_voltage": 400,
    "max_amperage": 32,
    "last_updated": "2026-01-01T00:00:00Z",
}
# Of each field what can be read, how it is shown, and what cannot.
EXAMPLES: dict[str, tuple[Any, str, Any]] = {
    "site_power_limit": (
        [{"start_date_time": "2026-03-01T10:00:00Z", "limit": 50000}],
        "50000 from 2026-03-01T10:00:00Z",
        [{"limit": 1}],
    ),
    "v2x_energy_bounds": ({"min": -10, "max": 40}, "min -10 max 40", {"least": 1}),
    "voltage": ([230.1, 229, "231"], "230.1, 229, 231", []),
    "period": ("P1M", "P1M", "a month"),
    "grid_connection_id": ("871687120000000000", "871687120000000000", 17),
    "bsp_id": ("8712423010208", "8712423010208", ""),
    "brp_id": ("8712423010208", "8712423010208", {}),
    "capabilities": (["DISCHARGE_CAPABLE"], "yes", ["RESERVABLE"]),
    "feed_in_elements": (
        [{"price_components": [{"type": "ENERGY", "price": 0.08, "step_size": 1}]}],
        "0.08",
        [{"price_components": [{"type": "ENERGY", "price": "cheap"}]}],
    ),
}
PERCENT = (80, "80", 101)
NUMBER = ("7400.50", "7400.5", "a lot")


@pytest.fixture
def agreed(cast) -> Iterator[Any]:
    """Makes two of them agree; each agreement ends with its test."""

    def make(one: Actor, other: Actor) -> None:
        run("agree_extensions", str(one), str(other))
        assert wait_until_confirmed()

    yield make
    with transaction.atomic():
        for row in Agreement.objects.filter(module=AGREED_AS):
            row.delete()
    assert wait_until_confirmed()


# --- The table ------------------------------------------------------------------------------------


def nested(field: extensions.Field, value: Any) -> Told:
    leaf = field.path.rpartition(".")[2]
    raw = {leaf: value, "source": "a meter"} if "." in field.path else value
    return Told(field.carrier, field.name, as_json(raw))


def test_each_field_is_read_or_noted_and_costs_no_other():
    for field in FIELDS:
        leaf = field.path.rpartition(".")[2]
        good, shown, bad = EXAMPLES.get(leaf) or (PERCENT if field.unit == "percent" else NUMBER)
        with case(field.path):
            [value] = extensions.values(nested(field, good))
            assert (value.value, value.field) == (shown, field)
            assert value.source == ("a meter" if "." in field.path else "")
            assert extensions.malformed([nested(field, good)]) == []
            assert extensions.values(nested(field, bad)) == []
            [found] = extensions.malformed([nested(field, bad)])
            assert (found.rule, found.path) == ("extension-value", f"{field.carrier}.{field.path}")
            assert extensions.values(Told(field.carrier, field.name, b"null")) == []
    mixed = Told(
        Carrier.SESSION, "ev_constraints", as_json(EV | {"present_soc": 140, "colour": "red"})
    )
    assert [one.value for one in extensions.values(mixed)] == ["11000", "120"]
    assert {one.rule for one in extensions.malformed([mixed])} == {
        "extension-value",
        "unknown-extension-field",
    }
    for raw, rule in ((b"[]", "wrong-kind"), (b'"' + b"x" * 10_001 + b'"', "too-long")):
        told = [Told(Carrier.SESSION, "ev_constraints", raw)]
        assert [one.rule for one in extensions.malformed(told)] == [rule]


def test_a_body_is_taken_apart_however_its_names_are_spelled():
    plain = b'{"id": "S1","kwh": 1.50}'
    for body in (
        b'{"id": "S1","ev_constraints": {"present_soc": 5},"kwh": 1.50}',
        b'{"id": "S1","ev\\u005fconstraints": 5,"kwh": 1.50}',
        b'{"ev_constraints": 1, "id": "S1","kwh": 1.50, "ev_constraints": null}',
    ):
        assert extensions.may_hold(Carrier.SESSION, body)
        found = extensions.apart(Carrier.SESSION, body)
        assert found is not None
        assert (found.plain, found.whole) == (plain.replace(b": ", b":"), body)
        assert extensions.apart(Carrier.SESSION, b"[" + body + b"]").plain[:1] == b"["
    assert not extensions.may_hold(Carrier.SESSION, plain)
    evse = {"uid": "E1", "capabilities": ["RESERVABLE", "DISCHARGE_CAPABLE"]}
    found = extensions.apart(Carrier.LOCATION, as_json({"id": "L", "evses": [evse], "brp_id": "1"}))
    assert found is not None
    assert found.plain == b'{"id":"L","evses":[{"uid":"E1","capabilities":["RESERVABLE"]}]}'
    assert {(one.carrier, one.part) for one in found.told} == {("Location", ""), ("EVSE", "E1")}


def calls(body: bytes) -> int:
    """How many functions its module calls to look through it, those of C too."""
    found: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        # Not what the collector calls in between.
        if frame.f_globals is vars(extensions):
            found.append(event)

    sys.setprofile(note)
    try:
        extensions.apart(Carrier.LOCATION, body)
    finally:
        sys.setprofile(None)
    return sum(event.endswith("call") for event in found)


def test_what_is_nested_is_looked_through_once_and_what_nobody_can_read_is_refused():
    one = b'{"brp_id":"1","evses":[]}'
    shallow, deep = (calls(b"[" * depth + one + b"]" * depth) for depth in (2, 500))
    assert 0 < shallow == deep
    some, more, most = (calls(b"[" + b",".join([one] * of) + b"]") for of in (20, 40, 60))
    assert most - more == more - some
    inner = b'{"id":"L","brp_id":"1","x":' + b"[" * 2000 + b"]" * 2000 + b"}"
    with pytest.raises(NotJson):
        extensions.apart(Carrier.LOCATION, inner)
    answer = b'{"data":' + inner + b"}"
    assert extensions.answer_without(Carrier.LOCATION, answer) is answer


def test_the_documentation_has_the_same_table():
    text = (Path(__file__).parents[2] / "docs" / "flexibility.md").read_text()
    rows = re.findall(r"^\| (\w+) \| `([\w.]+)` \| `(\w+)` \| ([^|]*?) \|", text, re.MULTILINE)
    assert rows == [(one.carrier, one.path, one.data_object, one.unit or "text") for one in FIELDS]


# --- On their way ---------------------------------------------------------------------------------


def test_a_session_has_them_for_the_fsp_that_agreed_and_for_nobody_else(cast, agreed):
    agree(cast.scsp, cpo=cast.cpo)
    agreed(cast.cpo, cast.scsp)
    cast.cpo.put_session("EXT-1", cast.emsp, ev_constraints=EV, x_own={"a": 1})
    plain = cast.cpo.session("EXT-1", cast.emsp, x_own={"a": 1})
    assert cast.emsp.got("EXT-1")[0].json() == plain
    assert cast.scsp.wait_for("EXT-1")[0].json() == plain | {"ev_constraints": EV}
    with case("no copy and no list has them"):
        assert b"ev_constraints" not in bytes(Session.objects.get(session_id="EXT-1").document)
        for actor in (cast.emsp, cast.scsp, cast.cpo):
            listed = actor.send("GET", "sender/sessions?limit=100", to=None)
            assert "EXT-1" in listed.text
            assert "ev_constraints" not in listed.text
    with case("what is not told again stays; what is told to the FSP itself passes as it is"):
        patch = {"kwh": 2, "last_updated": "2026-03-01T11:00:00Z"}
        cast.cpo.send("PATCH", cast.cpo.session_path("EXT-1"), patch, to=cast.emsp)
        assert cast.scsp.wait_for("EXT-1", count=2)[1].json()["ev_constraints"] == EV
        newer = {"ev_constraints": {"present_soc": 60}, "last_updated": "2026-03-01T11:30:00Z"}
        cast.cpo.send("PATCH", cast.cpo.session_path("EXT-1"), newer, to=cast.scsp)
        assert cast.scsp.got("EXT-1", method="PATCH")[0].json() == newer
    with case("the flex API shows them to it, with source and age"):
        names = f"fsp/sessions/{cast.cpo.party.country_code}/{cast.cpo.party.party_id}/EXT-1"
        api = Api.of(cast.scsp)
        [covered] = [one for one in api.get(f"{names}/coverage") if one["id"] == "ev_present_soc"]
        assert covered["known"] == "told by an extension field, not carried by OCPI 2.2.1"
        assert (covered["value"], covered["path"]) == ("60", "Session.ev_constraints.present_soc")
        assert covered["age_seconds"] >= 0
        [bound] = [one for one in api.get(names)["bounds"] if one["quantity"] == "ev_present_soc"]
        assert (bound["value"], bound["unit"], bound["kind"]) == (60, "percent", "estimate")
        assert bound["source"] == f"extension field of {cast.cpo}"
    with case("with the end of the agreement they are gone"):
        run("agree_extensions", str(cast.scsp), str(cast.cpo), "--end")
        assert wait_until_confirmed()
        patch = {"kwh": 3, "last_updated": "2026-03-01T12:00:00Z"}
        cast.cpo.send("PATCH", cast.cpo.session_path("EXT-1"), patch, to=cast.emsp)
        got = cast.scsp.running.wait_for(
            lambda: [one for one in cast.scsp.got("EXT-1") if one.json().get("kwh") == 3]
        )
        assert "ev_constraints" not in got[0].json()
        assert "ev_present_soc" not in str(api.get(names))


def test_what_waits_when_an_agreement_ends_goes_without_them(cast, agreed):
    slow = Actor(cast.hub, Role.SCSP)
    agree(slow, cpo=cast.cpo)
    agreed(cast.cpo, slow)
    slow.answers("EXT-6", Reply(http_status=429, headers={"Retry-After": "1"}))
    cast.cpo.put_session("EXT-6", cast.emsp, ev_constraints=EV)
    rows = Delivery.objects.filter(path__endswith="EXT-6")
    [row] = rows
    assert b"ev_constraints" in bytes(row.body)
    run("agree_extensions", str(cast.cpo), str(slow), "--end")
    [row] = rows.all()
    assert json.loads(bytes(row.body)) == cast.cpo.session("EXT-6", cast.emsp)
    slow.answers("EXT-6", Reply())
    until(lambda: not rows.filter(state="WAITING").exists())


def test_who_agreed_with_nobody_has_them_taken_out_and_counted(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("EXT-2", cast.emsp, ev_constraints=EV)
    plain = cast.cpo.session("EXT-2", cast.emsp)
    assert cast.emsp.got("EXT-2")[0].json() == plain
    assert cast.scsp.wait_for("EXT-2")[0].json() == plain
    assert not SessionExtension.objects.filter(session__session_id="EXT-2").exists()
    noting.flush()
    assert DeviationCount.objects.filter(
        rule="extension-not-agreed", path="Session.ev_constraints"
    ).exists()


def test_preferences_have_them_for_cpo_and_fsp_that_agreed_with_their_emsp(cast, agreed):
    agree(cast.scsp, cpo=cast.cpo)
    agreed(cast.emsp, cast.scsp)
    cast.cpo.put_session("EXT-3", cast.emsp)
    path = "sender/sessions/EXT-3/charging_preferences"
    wish = {"profile_type": "CHEAP", "energy_need": 5}
    told = {"minimum_soc": 20, "target_soc": 80}
    cast.emsp.send("PUT", path, wish | told, to=cast.cpo)
    assert cast.cpo.got("EXT-3", method="PUT")[0].json() == wish
    assert cast.scsp.wait_for("EXT-3", count=2)[1].json() == wish | told
    agreed(cast.emsp, cast.cpo)
    cast.emsp.send("PUT", path, wish | {"minimum_soc": "much"}, to=cast.cpo)
    assert cast.cpo.got("EXT-3", method="PUT")[1].json() == wish | {"minimum_soc": "much"}
    noting.flush()
    [count] = DeviationCount.objects.filter(path="ChargingPreferences.minimum_soc")
    assert (count.rule, count.number) == ("extension-value", 1)


def stored_location(cast) -> bytes:
    [row] = Location.objects.filter(owner=str(cast.cpo), object_id="LOC1")
    return bytes(row.document)


def test_a_location_has_them_for_a_receiver_that_agreed_and_in_no_broadcast(cast, agreed):
    agree(cast.scsp, cpo=cast.cpo)
    agreed(cast.cpo, cast.scsp)
    owner = cast.cpo.party
    plain = location(owner, "LOC1", evses=[{"uid": "EVSE1", "status": "AVAILABLE"}])
    site = {"site_meter": {"power": 42000, "frequency": 50.01}, "brp_id": "8712423010208"}
    path = f"receiver/locations/{owner.country_code}/{owner.party_id}/LOC1"
    sent = plain | site
    sent["evses"] = [plain["evses"][0] | {"capabilities": ["DISCHARGE_CAPABLE"]}]
    assert cast.cpo.send("PUT", path, sent).json()["status_code"] == 1000
    assert b'"status":"AVAILABLE","capabilities":[]}' in stored_location(cast)
    listed = cast.emsp.send("GET", "sender/locations?limit=100").text
    for name, is_there in (("LOC1", True), ("brp_id", False), ("DISCHARGE_CAPABLE", False)):
        with case(name):
            assert (name in listed) == is_there
    assert PlaceExtension.objects.filter(teller=str(cast.cpo)).count() == 3
    cast.cpo.put_session("EXT-4", cast.emsp)
    cast.scsp.wait_for("EXT-4")
    names = f"fsp/sessions/{owner.country_code}/{owner.party_id}/EXT-4"
    covered = {one["id"]: one for one in Api.of(cast.scsp).get(f"{names}/coverage")}
    assert {
        name: covered[name].get("value")
        for name in ("active_grid_power", "local_frequency", "brp_id", "discharging_capable")
    } == {
        "active_grid_power": "42000",
        "local_frequency": "50.01",
        "brp_id": "8712423010208",
        "discharging_capable": "yes",
    }
    mine = PlaceExtension.objects.filter(teller=str(cast.cpo))
    whole = {"connectors": [CONNECTOR], "last_updated": plain["last_updated"]}
    for name, method, rest, body, is_left in (
        ("an EVSE's PATCH of something else", "PATCH", "/EVSE1", {"status": "CHARGING"}, True),
        ("of its capabilities", "PATCH", "/EVSE1", {"capabilities": ["RESERVABLE"]}, False),
        ("a Location's PATCH of something else", "PATCH", "", {"name": "Yard"}, True),
        ("of another EVSE", "PATCH", "", {"evses": [plain["evses"][0] | {"uid": "E2"}]}, True),
        ("of its EVSE", "PATCH", "", {"evses": plain["evses"]}, False),
        ("an EVSE's PUT with it", "PUT", "/EVSE1", sent["evses"][0] | whole, True),
        ("an EVSE's PUT without it", "PUT", "/EVSE1", plain["evses"][0] | whole, False),
        ("a Location's PUT without it", "PUT", "", plain, False),
    ):
        with case(f"the capability after {name}"):
            assert cast.cpo.send("PUT", path, sent).json()["status_code"] == 1000
            assert mine.filter(carrier="EVSE").exists()
            dated = {"last_updated": plain["last_updated"]} if method == "PATCH" else {}
            answer = cast.cpo.send(method, path + rest, body | dated)
            assert answer.json()["status_code"] == 1000
            assert mine.filter(carrier="EVSE").exists() == is_left
            assert mine.filter(carrier="Location").count() == 2
    assert cast.cpo.send("PUT", path, sent).json()["status_code"] == 1000
    with case("what nobody has taken, or of what the hub does not have, is not kept"):
        cast.emsp.answers("LOC-9", Reply(status_code=2000))
        cast.cpo.send("PUT", f"{path[:-4]}LOC-9", sent | {"id": "LOC-9"}, to=cast.emsp)
        assert set(mine.values_list("object_id", flat=True)) == {"LOC1"}
        for carrier, age in (("Location", 2), ("Tariff", 2), ("EVSE", 0)):
            mine.create(
                teller=str(cast.cpo),
                carrier=carrier,
                object_id="GONE",
                received_at=timezone.now() - timedelta(hours=age),
            )
        assert forget_gone() == 2
        mine.filter(object_id="GONE").delete()
        assert mine.count() == 3


def test_an_answer_of_a_party_has_them_for_who_agreed(cast, agreed):
    plain = cast.cpo.session("EXT-5", cast.emsp)
    cast.emsp.answers("EXT-5", Reply(plain | {"ev_constraints": EV}))
    path = cast.cpo.session_path("EXT-5")
    assert cast.cpo.send("GET", path, to=cast.emsp).json()["data"] == plain
    with case("one that is too long for the event loop"):
        long = plain | {"x_own": "x" * 110_000}
        cast.emsp.answers("EXT-5", Reply(long | {"ev_constraints": EV}))
        assert cast.cpo.send("GET", path, to=cast.emsp).json()["data"] == long
        cast.emsp.answers("EXT-5", Reply(plain | {"ev_constraints": EV}))
    agreed(cast.cpo, cast.emsp)
    assert cast.cpo.send("GET", path, to=cast.emsp).json()["data"] == plain | {"ev_constraints": EV}


@contextmanager
def unkept() -> Iterator[None]:
    """Nothing can be written of the fields of Sessions."""
    table = SessionExtension._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_a_message_is_taken_and_kept_where_its_fields_cannot_be(cast, agreed):
    agreed(cast.cpo, cast.emsp)
    with unkept():
        answer = cast.cpo.put_session("EXT-7", cast.emsp, ev_constraints=EV)
    assert answer.json()["status_code"] == 1000
    assert cast.emsp.got("EXT-7")[0].json()["ev_constraints"] == EV
    # Accepted, and so listed: what follows from an answer has been done.
    assert "EXT-7" in cast.emsp.send("GET", "sender/sessions?limit=100", to=None).text
