"""One EVSE of a Location that may have thousands, read once for all who ask (locations/told.py)."""

import json
from typing import Any

import pytest

from locations.models import Location
from locations.told import connector_in, location_told
from tests.cases import case


def kept(audience: str = "", **changes: Any) -> Location:
    evses = [{"uid": f"e{one}", "connectors": [{"id": "1"}, {"id": "2"}]} for one in range(3)]
    document = {"id": "LOC", "time_zone": "Europe/Oslo", "evses": evses} | changes
    return Location.objects.create(
        owner="NL-CPO",
        object_id="LOC",
        audience=audience,
        document=json.dumps(document).encode(),
        last_updated="2026-01-01T00:00:00Z",
    )


@pytest.mark.django_db
def test_an_evse_is_found_by_its_uid_and_the_document_is_fetched_when_it_has_changed():
    row = kept()
    told = location_told("NL-CPO", "loc", "DE-MSP")
    assert told.head == {"id": "LOC", "time_zone": "Europe/Oslo"}
    assert [told.evse(uid)["uid"] for uid in ("E1", "e2")] == ["e1", "e2"]
    assert told.evse("e9") is None
    assert location_told("NL-CPO", "LOC", "FR-MSP") is told
    assert location_told("NL-CPO", "OTHER", "DE-MSP") is None
    row.document = row.document.replace(b"Oslo", b"Rome")
    row.received_at = row.received_at.replace(microsecond=7)
    row.save()
    assert location_told("NL-CPO", "LOC", "DE-MSP").head["time_zone"] == "Europe/Rome"


@pytest.mark.django_db
def test_what_one_party_was_told_goes_before_what_everybody_was_unless_that_is_gone():
    kept()
    own = kept("DE-MSP", time_zone="Europe/Bern", evses=[7, {"uid": None}, {"uid": "OWN"}])
    assert location_told("NL-CPO", "LOC", "DE-MSP").head["time_zone"] == "Europe/Bern"
    assert location_told("NL-CPO", "LOC", "DE-MSP").evse("own") == {"uid": "OWN"}
    assert location_told("NL-CPO", "LOC", "FR-MSP").head["time_zone"] == "Europe/Oslo"
    own.document = b""
    own.save()
    assert location_told("NL-CPO", "LOC", "DE-MSP").head["time_zone"] == "Europe/Oslo"


def test_the_connector_is_the_one_that_is_named_or_the_only_one():
    one, two = {"id": "1"}, {"id": "2"}
    assert connector_in({"connectors": [one, two]}, "2") == two
    assert connector_in({"connectors": [one, two]}, "3") is None
    assert connector_in({"connectors": [one]}, "") == one
    for odd in (None, {}, {"connectors": 7}, {"connectors": [7]}):
        with case(odd):
            assert connector_in(odd, "1") is None
