"""PUT of Locations, EVSEs and Connectors on the Receiver interface (mod_locations, PUT Method)."""

import json

import pytest

from hub.models import Platform, StaleCopy
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from locations.models import Location
from tests.hub.deviations.counts import counts_of
from tests.hub.pushing import (
    HUB,
    T1,
    T2,
    T3,
    Owner,
    connector_of,
    evse_of,
    listed,
    location_of,
    settled,
)
from tests.hub.strangers import Stranger, ask, send, token_of, until
from tests.minimal import as_json
from tests.object_cases import EXAMPLES

OWNERS = [("BE", "BEC"), ("DE", "ALL"), ("NL", "ALF"), ("NL", "ALL"), ("SE", "EVC")]


@pytest.fixture(scope="module")
def examples_owner(hub):
    """One platform with the CPOs of the text's examples."""
    first, *more = (PartyId(*owner) for owner in OWNERS)
    return hub.join(Stranger(Role.CPO, party=first, more=[(one, Role.CPO) for one in more]))


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("location_example*.json")), ids=lambda path: path.stem
)
def test_the_examples_of_the_text_pass_byte_for_byte(hub, emsp, examples_owner, file):
    body = file.read_bytes()
    example = json.loads(body)
    party, location_id = PartyId(example["country_code"], example["party_id"]), example["id"]
    path = f"receiver/locations/{party.country_code}/{party.party_id}/{location_id}"
    sent = {"OCPI-from-country-code": party.country_code, "OCPI-from-party-id": party.party_id}
    answer = ask(hub, examples_owner, "PUT", path, to=HUB, body=body, headers=sent)
    assert answer.code == 1000  # two of the examples are one Location
    owner = Owner(hub, examples_owner, "locations")
    (told,) = owner.told(emsp, location_id, 1)
    assert told.body == body
    for found in (
        ask(hub, examples_owner, "GET", path, headers=sent),
        ask(hub, emsp, "GET", f"sender/locations/{location_id}", to=HUB),
    ):
        assert found.body.partition(b'"data":')[2] == body + b"}"
    assert any(body in page.body for page in listed(hub, emsp, "sender/locations"))


def test_what_is_new_is_created_and_what_is_known_is_updated(owner):
    location = location_of(owner.party, "new")
    first, second = (owner.put("new", body=location) for _ in range(2))
    assert first.said == (201, 1000)
    assert second.said == (200, 1000)
    assert "data" not in first.envelope | second.envelope


def test_unknown_fields_spelling_and_order_stay_as_they_are(owner, emsp):
    location = json.dumps(location_of(owner.party, "spelling"))[1:]
    body = b'{ "x_\\u00e9":{"deep":[1.10, 1e3, -0.0]}, "name":"\\u0047ent \xc3\xa9",\n' + (
        location.encode()
    )
    assert owner.put("spelling", body=body).said == (201, 1000)
    assert owner.told(emsp, "spelling", 1)[0].body == body
    assert body in ask(owner.hub, owner.running, "GET", owner.path("spelling")).body


@pytest.mark.parametrize("location_id", ["a b", "a/b", "100%", "a?b=c&d#e", "*", "a+b:c;d,e@f'(!)"])
def test_an_id_may_have_any_printable_character(owner, emsp, location_id):
    body = location_of(owner.party, location_id)
    assert owner.put(location_id, body=body).said == (201, 1000)
    assert owner.kept(location_id) == body
    assert owner.told(emsp, location_id, 1)[0].json() == body
    assert owner.kept(location_id, "3256") == body["evses"][0]


def test_ids_compare_without_case(owner, cpo, emsp):
    body = location_of(owner.party, "miXed", evses=[evse_of("Uid", connectors=[connector_of("C")])])
    body |= {"country_code": owner.party.country_code.lower()}
    lower = [one.lower() for one in owner.party]
    path = f"receiver/locations/{'/'.join(lower)}/MIXED"
    sent = json.dumps(body).encode()
    assert ask(owner.hub, cpo, "PUT", path, to=HUB, body=sent).said == (201, 1000)
    settled()
    assert owner.put("mixed", body=sent).said == (200, 1000)
    # The URL goes on as it was sent.
    owner.told(emsp, "mixed", 1)
    assert any(target.endswith(f"/{'/'.join(lower)}/MIXED") for target in emsp.simulator.targets)
    assert owner.patch("MIXED", "uID", "c", body={"max_amperage": 32, "last_updated": T2}).said == (
        200,
        1000,
    )
    kept = owner.kept("miXed")
    assert (kept["id"], kept["evses"][0]["uid"]) == ("miXed", "Uid")
    assert kept["evses"][0]["connectors"][0]["max_amperage"] == 32


def test_a_percent_encoded_party_id_is_the_party(hub):
    running = hub.join(Stranger(Role.CPO, party=PartyId("NL", "A*B")))
    body = json.dumps(location_of(running.simulator.party, "star")).encode()
    path = "receiver/locations/NL/A%2AB/star"
    assert ask(hub, running, "PUT", path, to=HUB, body=body).said == (201, 1000)
    assert ask(hub, running, "GET", "receiver/locations/NL/A*B/star").said == (200, 1000)


@pytest.mark.parametrize("location_id", ["é", "a\nb", "x" * 40, "\x7f"])
def test_what_is_no_cistring_names_nothing(owner, location_id):
    assert owner.put(location_id, body=location_of(owner.party, location_id)).said == (200, 2001)
    assert owner.patch(location_id, body={"last_updated": T2}).said == (200, 2001)
    assert owner.kept(location_id) is None


@pytest.mark.parametrize(
    ("field", "value"), [("country_code", "ZZ"), ("party_id", "ZZZ"), ("id", "other")]
)
def test_a_body_that_names_another_object_than_its_url_is_refused(owner, emsp, field, value):
    answer = owner.put("named", body=location_of(owner.party, "named", **{field: value}))
    assert answer.said == (200, 2001)
    assert field in answer.envelope["status_message"]
    assert owner.kept("named") is None
    assert not owner.heard(emsp, "named")


def test_a_part_that_names_another_one_than_its_url_is_refused(owner):
    owner.put("parts", body=location_of(owner.party, "parts"))
    for ids, body in (
        (("3256",), evse_of("other")),
        (("3256", "1"), connector_of("other")),
    ):
        answer = owner.put("parts", *ids, body=body)
        assert answer.said == (200, 2001)
        assert "'other'" in answer.envelope["status_message"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"address": None}, "$.address"),
        ({"address": ["Street"]}, "$.address"),
        ({"publish": "yes"}, "$.publish"),
        ({"evses": {}}, "$.evses"),
        ({"evses": [evse_of(uid="")]}, "$.evses[0].uid"),
        ({"evses": [evse_of(), evse_of(connectors=[{"format": "CABLE"}])]}, "connectors[0]"),
        ({"last_updated": "yesterday"}, "last_updated"),
    ],
)
def test_a_fault_is_refused_with_its_path_and_neither_stored_nor_sent(owner, emsp, changes, path):
    answer = owner.put("fault", body=location_of(owner.party, "fault") | changes)
    assert answer.said == (200, 2001)
    assert path in answer.envelope["status_message"]
    assert owner.kept("fault") is None
    assert not StaleCopy.objects.filter(object_id="FAULT").exists()


@pytest.mark.parametrize(
    ("changes", "rule", "path"),
    [
        ({"coordinates": {"latitude": "51.04", "longitude": "3.72"}}, "format", "latitude"),
        ({"directions": [{"language": "de", "text": "a\r\nb"}]}, "unprintable", "text"),
        ({"operator": {"name": "CPO", "website": ""}}, "empty-value", "website"),
        ({"country": "ZZ"}, "too-short", "country"),
        ({"parking_type": "ON_WATER"}, "unknown-enum-value", "parking_type"),
        ({"facilities": ["SAUNA"]}, "unknown-enum-value", "facilities[]"),
        ({"city": "x" * 46}, "too-long", "city"),
        ({"opening_times": {"twentyfourseven": False}}, "cross-field", "regular_hours"),
        ({"evses": [evse_of(status="ON")]}, "unknown-enum-value", "status"),
        ({"evses": [evse_of(status="REMOVED", connectors=[])]}, "empty-list", "connectors"),
        ({"evses": [evse_of(capabilities=["V2G"])]}, "unknown-enum-value", "capabilities[]"),
        ({"evses": [evse_of(connectors=[connector_of(standard="MCS")])]}, "unknown-enum-value", ""),
        ({"evses": [evse_of(connectors=[connector_of(max_voltage=230.0)])]}, "", "max_voltage"),
        ({"evses": [evse_of(connectors=[connector_of(max_voltage="400")])]}, "", "max_voltage"),
        ({"last_updated": "2026-01-01 01:00:00+01:00"}, "date-time", "last_updated"),
    ],
)
def test_an_odd_spelling_is_stored_and_spread_as_sent_and_noted(owner, emsp, changes, rule, path):
    name = f"odd-{abs(hash(str(changes))) % 10**8}"
    body = as_json(location_of(owner.party, name) | changes)
    known = counts_of(owner.party)
    assert owner.put(name, body=body).said == (201, 1000)
    assert [one.body for one in owner.told(emsp, name, 1)] == [body]
    assert owner.kept(name) == json.loads(body)
    new = {key for key, number in counts_of(owner.party).items() if number > known.get(key, 0)}
    assert any(rule in found and at.endswith(path) for found, at in new), new


def test_a_strict_platform_has_its_deviations_refused_with_what_is_allowed(owner):
    platforms = Platform.objects.filter(parties__party_id=owner.party.party_id)
    platforms.update(is_strict=True)
    try:
        body = location_of(owner.party, "strict", parking_type="ON_WATER")
        until(lambda: owner.put("strict", body=body).said == (200, 2001))
        said = owner.put("strict", body=body).envelope["status_message"]
        assert "ON_STREET" in said
        assert "$.parking_type" in said
        assert owner.put("strict", body=location_of(owner.party, "strict")).code == 1000
    finally:
        platforms.update(is_strict=False)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":NaN}', b"\xff"])
def test_what_is_no_json_is_400(owner, body):
    assert owner.put("json", body=body).status == 400


def test_no_data_available_is_a_text(owner):
    body = location_of(owner.party, "na", address="#NA", city="#NA")
    assert owner.put("na", body=body).said == (201, 1000)
    assert owner.kept("na") == body


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.123456"]
)
def test_a_time_may_be_without_z_and_with_fractions_and_is_kept_as_sent(owner, text):
    location_id = f"time {len(text)}"
    body = location_of(owner.party, location_id, last_updated=text)
    assert owner.put(location_id, body=body).said == (201, 1000)
    assert owner.kept(location_id)["last_updated"] == text


def test_an_offset_from_utc_is_the_moment_that_it_means(owner):
    body = location_of(owner.party, "offset", last_updated="2026-01-01T01:00:00+02:00")
    assert owner.put("offset", body=body).said == (201, 1000)
    before = location_of(owner.party, "offset", last_updated="2025-12-31T22:59:59Z")
    assert "newer" in owner.put("offset", body=before).envelope["status_message"]
    assert owner.kept("offset") == body


def test_a_put_replaces_optional_fields_are_gone(owner):
    owner.put("whole", body=location_of(owner.party, "whole", name="Gent", x_more=1))
    body = location_of(owner.party, "whole", last_updated=T2)
    owner.put("whole", body=body)
    assert owner.kept("whole") == body


def test_the_hub_never_changes_last_updated(owner, emsp):
    owner.put("dated", body=location_of(owner.party, "dated"))
    assert owner.kept("dated")["last_updated"] == T1
    assert owner.told(emsp, "dated", 1)[0].json()["last_updated"] == T1


def test_a_new_evse_is_added_and_raises_its_location(owner, emsp):
    owner.put("add", body=location_of(owner.party, "add"))
    owner.told(emsp, "add", 1)
    evse = evse_of("3257", last_updated=T2)
    assert owner.put("add", "3257", body=evse).said == (201, 1000)
    kept = owner.kept("add")
    assert kept["evses"] == [evse_of(), evse]
    assert kept["last_updated"] == T2
    assert owner.told(emsp, "add", 2)[1].json() == evse
    assert emsp.simulator.targets[-1].endswith("/add/3257")


def test_a_first_evse_is_added_to_a_location_without_any(owner):
    for number, evses in enumerate((None, [])):
        location_id = f"first {number}"
        owner.put(location_id, body=location_of(owner.party, location_id, evses=evses))
        assert owner.put(location_id, "3256", body=evse_of()).said == (201, 1000)
        assert owner.kept(location_id)["evses"] == [evse_of()]


def test_an_evse_is_replaced_as_a_whole(owner):
    body = location_of(owner.party, "evse", evses=[evse_of(floor_level="-1"), evse_of("2")])
    owner.put("evse", body=body)
    evse = evse_of(status="CHARGING", last_updated=T2)
    assert owner.put("evse", "3256", body=evse).said == (200, 1000)
    assert owner.kept("evse")["evses"] == [evse, evse_of("2")]


def test_a_connector_raises_its_evse_and_its_location(owner):
    owner.put(
        "connector", body=location_of(owner.party, "connector", evses=[evse_of(), evse_of("2")])
    )
    connector = connector_of(max_amperage=32, last_updated=T2)
    assert owner.put("connector", "3256", "1", body=connector).said == (200, 1000)
    added = connector_of("2", last_updated=T3)
    assert owner.put("connector", "3256", "2", body=added).said == (201, 1000)
    kept = owner.kept("connector")
    assert kept["evses"][0]["connectors"] == [connector, added]
    assert [one["last_updated"] for one in kept["evses"]] == [T3, T1]
    assert kept["last_updated"] == T3


def test_the_evse_of_the_text_whose_connector_lacks_required_fields_is_taken(owner):
    owner.put("1012", body=location_of(owner.party, "1012", evses=[]))
    body = (EXAMPLES / "location_put_example_add_evse.json").read_bytes()
    assert owner.put("1012", "3256", body=body).said == (201, 1000)
    assert json.loads(body) in owner.kept("1012")["evses"]


def test_parts_of_what_is_unknown_are_refused_and_not_sent_on(owner, emsp):
    assert owner.put("nowhere", "3256", body=evse_of()).said == (200, 2003)
    owner.put("somewhere", body=location_of(owner.party, "somewhere"))
    answer = owner.put("somewhere", "9", "1", body=connector_of())
    assert answer.said == (200, 2003)
    assert "'9'" in answer.envelope["status_message"]
    owner.told(emsp, "somewhere", 1)
    assert not owner.heard(emsp, "nowhere")
    assert not StaleCopy.objects.filter(object_id="NOWHERE").exists()


def test_an_older_location_is_neither_stored_nor_sent_on_and_an_equal_one_is(owner, emsp):
    owner.put("guard", body=location_of(owner.party, "guard", city="2", last_updated=T2))
    owner.told(emsp, "guard", 1)
    older = owner.put("guard", body=location_of(owner.party, "guard", city="1", last_updated=T1))
    assert older.said == (200, 1000)
    assert "newer" in older.envelope["status_message"]
    equal = owner.put("guard", body=location_of(owner.party, "guard", city="=", last_updated=T2))
    assert "status_message" not in equal.envelope
    assert owner.kept("guard")["city"] == "="
    assert [one.json()["city"] for one in owner.told(emsp, "guard", 2)] == ["2", "="]


def test_a_clock_more_than_five_minutes_ahead_guards_nothing(owner):
    ahead = location_of(owner.party, "ahead", last_updated="2199-01-01T00:00:00Z")
    owner.put("ahead", body=ahead)
    evse = evse_of(status="CHARGING", last_updated=T2)
    assert owner.put("ahead", "3256", body=evse).said == (200, 1000)
    # The parent takes the time that can be right.
    assert owner.kept("ahead")["last_updated"] == T2
    owner.put("ahead", body=ahead)
    evses = [evse_of(last_updated=T3)]
    now = location_of(owner.party, "ahead", city="Now", evses=evses, last_updated=T3)
    assert "status_message" not in owner.put("ahead", body=now).envelope
    assert owner.kept("ahead") == now
    assert Location.objects.get(object_id="AHEAD").last_updated.day == 3


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("rest", ["", "/3256", "/3256/1"])
def test_post_and_delete_are_not_defined_for_receivers(owner, method, rest):
    path = f"{owner.path('LOC1')}{rest}"
    answer = ask(owner.hub, owner.running, method, path, to=HUB, body=b"{}")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, PUT, PATCH"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["", "/LOC1", "/LOC1/3256", "/LOC1/3256/1"])
def test_only_get_is_defined_for_senders(owner, method, path):
    answer = ask(owner.hub, owner.running, method, f"sender/locations{path}", to=HUB, body=b"{}")
    assert answer.status == 405


def test_the_answer_carries_routing_headers_and_ids(owner):
    sent = {"X-Request-ID": "r1", "X-Correlation-ID": "c1"}
    from_ = {
        "OCPI-from-country-code": owner.party.country_code,
        "OCPI-from-party-id": owner.party.party_id,
        "OCPI-to-country-code": "NL",
        "OCPI-to-party-id": "HUB",
    }
    body = json.dumps(location_of(owner.party, "headers")).encode()
    answer = send(
        owner.hub,
        "PUT",
        f"/ocpi/2.2.1/{owner.path('headers')}",
        token_of(owner.running),
        body=body,
        headers=sent | from_,
    )
    assert answer.headers["x-request-id"] == "r1"
    assert answer.headers["x-correlation-id"] == "c1"
    assert answer.headers["ocpi-to-country-code"] == owner.party.country_code
    assert answer.headers["ocpi-to-party-id"] == owner.party.party_id
    assert answer.headers["ocpi-from-country-code"] == "NL"
    assert answer.headers["ocpi-from-party-id"] == "HUB"
