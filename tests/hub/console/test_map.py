"""Locations on a map: points by the status of their EVSEs, many of them counted in fields."""

import re
from html import unescape

from django.urls import reverse
from django.utils import timezone

from hub.console import borders, locations_map
from hub.ocpi.party import PartyId
from locations import outlines
from locations.models import Location, Outline
from tests import minimal
from tests.cases import case

CPO, OTHER = PartyId("NL", "CPO"), PartyId("BE", "OTH")


def keep(of: PartyId, name: str, latitude: str, longitude: str, status: str = "AVAILABLE") -> None:
    at = {"latitude": latitude, "longitude": longitude}
    document = minimal.location(of, name, coordinates=at, evses=[{"uid": "1", "status": status}])
    named = {"owner": str(of), "object_id": name}
    Location.keep(named, "", minimal.as_json(document), timezone.now())


def shown(console, asked: str = "") -> str:
    response = console.get(f"{reverse('locations-map')}{asked}")
    assert response.status_code == 200
    return str(response.content.decode())


def test_countries_lie_where_they_are():
    found = {one.name: one for one in borders.shapes()}
    for name, longitude, latitude in (("Netherlands", 4.9, 52.4), ("Italy", 12.5, 41.9)):
        with case(name):
            x, y = borders.on_plane(longitude, latitude)
            assert found[name].first.x < x < found[name].last.x
            assert found[name].first.y < y < found[name].last.y
            assert abs(borders.latitude_of(y) - latitude) < 1e-9


def test_each_point_leads_to_its_location_in_the_colour_of_its_state(console):
    assert "No Location is seen here" in shown(console)
    keep(CPO, "FREE", "52.370000", "4.890000")
    keep(CPO, "BROKEN", "51.920000", "4.470000", "OUTOFORDER")
    keep(OTHER, "BUSY", "50.850000", "4.350000", "CHARGING")
    keep(CPO, "NOWHERE", "#NA", "#NA")
    html = shown(console)
    for name, state in (("FREE", "free"), ("BROKEN", "broken"), ("BUSY", "in_use")):
        address = reverse(
            "admin:ocpi_locations_location_change", args=[Location.objects.get(object_id=name).pk]
        )
        assert re.search(rf'<a href="{address}"[^>]*map-point map-{state}"', html)
    assert "1 without coordinates" in html
    assert len(re.findall(r"<path d=", html)) > 2
    assert "BE-OTH BUSY" not in shown(console, "?owner=nl-cpo")
    seen = shown(console, "?box=4.8,52.2,5.0,52.5")
    assert "NL-CPO FREE" in seen
    assert "NL-CPO BROKEN" not in seen


def test_what_is_asked_oddly_shows_all(console):
    keep(CPO, "L", "52.370000", "4.890000")
    for box in ("5,5,1,1", "a,b,c,d", "nan,1,2,3", "1", "1e999,0,0,0"):
        with case(box):
            assert "NL-CPO L" in shown(console, f"?box={box}")


def test_many_are_counted_in_fields_that_lead_closer(console):
    now = timezone.now()
    many = [
        Location(owner="NL-CPO", object_id=f"A{number}", last_updated=now, received_at=now)
        for number in range(locations_map.MOST_POINTS)
    ]
    told = outlines.outline(b"{}") | {"latitude": 52.37, "longitude": 4.89, "state": "FREE"}
    Outline.objects.bulk_create(
        Outline(location=row, received_at=now, **told) for row in Location.objects.bulk_create(many)
    )
    keep(CPO, "FAR", "41.900000", "12.500000", "INOPERATIVE")
    html = shown(console)
    fields = re.findall(r'<a href="([^"]*)"[^>]*map-field map-(\w+)"[^>]*title="([^"]*)"', html)
    assert [one[1:] for one in fields] == [
        ("free", "2,000 around 52.37, 4.89: 2,000 one is available"),
        ("broken", "1 around 41.90, 12.50: 1 out of order"),
    ]
    assert ">2k</a>" in html
    closer = console.get(unescape(fields[1][0])).content.decode()
    assert "NL-CPO FAR: out of order" in closer
