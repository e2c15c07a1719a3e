"""All differences between a body and the text (hub.ocpi.comparison).

Each fault of each property table is found by the objects' own tests (tests/object_cases.py).
"""

import json
import time

import pytest

from cdrs.objects import CDR
from hub.ocpi.comparison import deviations_of, plain
from hub.ocpi.lenient import Deviation
from hub.ocpi.patches import partial
from locations.objects import EVSE, Location
from sessions.objects import Session
from tests.object_cases import EXAMPLES, as_body, document
from tokens.objects import Token


def found(body, expected):
    return {(one.rule, one.path): one.example for one in deviations_of(body, expected)}


def test_all_differences_are_found_at_once_and_each_once():
    sent = json.loads((EXAMPLES / "location_example.json").read_bytes())
    sent["coordinates"]["latitude"] = "51.0475"
    for evse in sent["evses"]:
        for connector in evse["connectors"]:
            connector |= {"max_voltage": 230.0, "max_amperage": "16", "standard": "MCS"}
    sent["evses"][1]["connectors"] = []
    sent["directions"] = [{"language": "nl", "text": "a\nb"}]
    sent["operator"] = {"name": 5, "website": "", "logo": {}}
    sent["opening_times"] = {
        "twentyfourseven": False,
        "exceptional_openings": [
            {"period_begin": "2014-06-21T09:00:00+00:00", "period_end": "soon"}
        ],
    }
    sent["country"] = "ZZ"
    sent["last_updated"] = "2015-06-29 20:39:09+00:00"
    assert found(json.dumps(sent).encode(), Location) == {
        ("format", "Location.coordinates.latitude"): "51.0475",
        ("unknown-enum-value", "Location.evses[].connectors[].standard"): "MCS",
        ("whole-number", "Location.evses[].connectors[].max_voltage"): "230.0",
        ("number-as-text", "Location.evses[].connectors[].max_amperage"): "16",
        ("empty-list", "Location.evses[].connectors"): "[]",
        ("unprintable", "Location.directions[].text"): "a\nb",
        ("text-as-number", "Location.operator.name"): "5",
        ("empty-value", "Location.operator.website"): '""',
        ("empty-value", "Location.operator.logo"): "{}",
        ("cross-field", "Location.opening_times.regular_hours"): (
            "regular_hours are required when twentyfourseven is false"
        ),
        ("date-time", "Location.opening_times.exceptional_openings[].period_begin"): (
            "2014-06-21T09:00:00+00:00"
        ),
        ("format", "Location.opening_times.exceptional_openings[].period_end"): "soon",
        ("too-short", "Location.country"): "ZZ",
        ("date-time", "Location.last_updated"): "2015-06-29 20:39:09+00:00",
    }


@pytest.mark.parametrize(
    ("period", "rule", "path"),
    [
        (("08:00", "24:00"), "format", "period_end"),
        (("22:00", "06:00"), "cross-field", "period_end"),
        (("08:00", "00:00"), "cross-field", "period_end"),
        (("8:00", "20:00"), "too-short", "period_begin"),
    ],
)
def test_hours_that_the_text_has_no_spelling_for(period, rule, path):
    hours = {"weekday": 1, "period_begin": period[0], "period_end": period[1]}
    sent = document("Location") | {
        "opening_times": {"twentyfourseven": False, "regular_hours": [hours]}
    }
    [one] = deviations_of(as_body(sent), Location)
    assert (one.rule, one.path) == (rule, f"Location.opening_times.regular_hours[].{path}")


def test_rules_between_fields_are_judged_whatever_else_is_wrong():
    sent = document("CDR") | {"credit": True, "credit_reference_id": None, "total_time": "1.5"}
    sent["charging_periods"][0]["dimensions"][0] |= {"type": "STATE_OF_CHARGE", "volume": 101}
    paths = {one.path for one in deviations_of(as_body(sent), CDR) if one.rule == "cross-field"}
    assert paths == {"CDR.charging_periods[].dimensions[].volume", "CDR.credit_reference_id"}


def test_a_driver_is_not_named_and_nothing_that_opens_something_is_shown():
    token = document("Token") | {"contract_id": "NL-TNM-000122-X" * 9, "uid": "ü", "group_id": 7}
    token |= {"visual_number": "line\nbreak", "energy_contract": {"contract_id": "line\nbreak"}}
    examples = {one.example for one in deviations_of(as_body(token), Token)}
    assert examples == {"•••", ""}
    session = document("Session")
    session["cdr_token"]["uid"] = "x" * 37
    assert found(as_body(session), Session) == {("too-long", "Session.cdr_token.uid"): "•••"}
    evse = document("EVSE") | {"uid": "x" * 90}
    assert found(as_body(evse), EVSE) == {("too-long", "EVSE.uid"): "x" * 60 + "…"}


def test_fields_that_nobody_knows_are_nobodys_business():
    body = b'{"last_updated":"2026-01-01T00:00:00Z","' + b"x" * 900 + b'":{"a":[null,"","\\n"]}}'
    assert deviations_of(body, partial(Location)) == []


def test_a_patch_is_compared_as_a_part_of_its_object():
    body = b'{"last_updated":"2026-01-01T00:00:00+01:00","status":"ODD","evse_id":null}'
    assert found(body, partial(EVSE)) == {
        ("date-time", "EVSE.last_updated"): "2026-01-01T00:00:00+01:00",
        ("unknown-enum-value", "EVSE.status"): "ODD",
    }


@pytest.mark.parametrize("body", [b"", b"{", b'{"id":NaN}', b"\xff", b"[" * 5000])
def test_what_is_not_json_is_one_deviation(body):
    assert deviations_of(body, Location) == [Deviation("not-json", "Location")]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"7"])
def test_what_is_no_object_is_one_deviation(body):
    [one] = deviations_of(body, Location)
    assert (one.rule in {"wrong-kind", "null"}, one.path) == (True, "Location")


def test_a_huge_integer_hides_no_other_difference():
    body = b'{"last_updated":"2026-01-01","x":' + b"1" * 9000 + b',"max_voltage":1' + b"0" * 40
    assert found(body + b"}", partial(Location)) == {
        ("format", "Location.last_updated"): "2026-01-01"
    }
    assert plain(b'{"x":' + b"1" * 9000 + b"}")["x"]


def test_the_walk_is_linear():
    connector = {"id": "1", "max_voltage": "x" * 50}

    def seconds(count):
        sent = {"evses": [{"uid": str(place), "connectors": [connector]} for place in range(count)]}
        body = json.dumps(sent).encode()
        return min(_timed(body) for _ in range(3))

    def _timed(body):
        begun = time.thread_time()
        assert deviations_of(body, Location)
        return time.thread_time() - begun

    assert seconds(8_000) < 8 * 3 * seconds(1_000)
