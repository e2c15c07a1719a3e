"""What Locations do not tell that drivers ask for, as an operator sees it."""

import re

from django.urls import reverse
from django.utils import timezone

from hub.keeping import tasks
from hub.ocpi.party import PartyId
from locations import outlines
from locations.models import Location, Outline, StateOfEvses
from tests import minimal
from tests.cases import case

CPO, OTHER = PartyId("NL", "CPO"), PartyId("BE", "OTH")
AC = {"power_type": "AC_3_PHASE", "max_voltage": 230, "max_amperage": 16, "tariff_ids": ["T"]}
DC = {"power_type": "DC", "max_voltage": 920, "max_amperage": 400, "tariff_ids": ["T"]}
LIST = "admin:ocpi_locations_location_changelist"


def evse(status="AVAILABLE", *connectors, **more) -> dict[str, object]:
    return {"uid": "1", "status": status, "parking_restrictions": [], **more} | {
        "connectors": list(connectors or [AC])
    }


def whole(name: str, of: PartyId = CPO, **more) -> dict[str, object]:
    told = {
        "opening_times": {"twentyfourseven": True},
        "energy_mix": {"is_green_energy": True},
        "evses": [evse()],
    }
    return minimal.location(of, name, **told | more)


def keep(of: PartyId, document: dict[str, object], audience: str = "") -> None:
    named = {"owner": str(of), "object_id": str(document["id"])}
    Location.keep(named, audience, minimal.as_json(document), timezone.now())


def test_what_is_missing_is_found_in_each_evse_and_connector():
    two = [evse(), evse("CHARGING", parking_restrictions=None)]
    for changes, lacking in (
        ({}, set()),
        ({"opening_times": None}, {"opening_times"}),
        ({"energy_mix": "green"}, {"energy_mix"}),
        ({"evses": []}, {"evses"}),
        ({"evses": [evse("REMOVED")]}, {"evses"}),
        ({"evses": two}, {"parking_restrictions"}),
        ({"evses": [evse("AVAILABLE", AC, DC)]}, {"power"}),
        ({"evses": [evse("AVAILABLE", DC | {"max_electric_power": 150000})]}, set()),
        ({"evses": [evse("AVAILABLE", AC | {"max_voltage": 0})]}, {"power"}),
        ({"evses": [evse("AVAILABLE", AC | {"tariff_ids": []})]}, {"tariff_ids"}),
        ({"evses": {"uid": "1"}, "coordinates": []}, {"evses"}),
    ):
        with case(changes):
            found = outlines.outline(minimal.as_json(whole("L") | changes))
            assert {name for name in found if found[name] is True} == {
                f"lacks_{name}" for name in lacking
            }


def test_a_place_and_its_state_are_the_best_that_is_told():
    for statuses, state in (
        (("CHARGING", "AVAILABLE"), StateOfEvses.FREE),
        (("OUTOFORDER", "RESERVED"), StateOfEvses.IN_USE),
        (("OUTOFORDER", "PLANNED"), StateOfEvses.BROKEN),
        (("PLANNED", "REMOVED"), StateOfEvses.UNKNOWN),
    ):
        with case(statuses):
            found = outlines.outline(minimal.as_json(whole("L", evses=list(map(evse, statuses)))))
            assert found["state"] == state
    for latitude, longitude, point in (
        ("51.04760", "3.72994", (51.0476, 3.72994)),
        (51.5, "#NA", (None, None)),
        ("151.04760", "3.72994", (None, None)),
    ):
        with case(latitude):
            at = {"latitude": latitude, "longitude": longitude}
            found = outlines.outline(minimal.as_json(whole("L", coordinates=at)))
            assert (found["latitude"], found["longitude"]) == point


def test_pages_say_what_is_missing_by_cpo_and_by_location(console):
    empty = console.get(reverse("what-locations-lack")).content.decode()
    assert "No Location is told to everybody yet" in empty
    keep(CPO, whole("WHOLE"))
    keep(CPO, whole("GREY", energy_mix=None))
    keep(CPO, whole("ALONE", energy_mix=None), "DE-MSP")
    keep(OTHER, whole("BARE", OTHER, evses=[]))
    summed = console.get(reverse("what-locations-lack")).content.decode()
    assert 'missing=energy_mix">1<' in summed
    assert summed.index("NL-CPO") < summed.index("BE-OTH")
    assert "50%" in summed
    for chosen, listed in (
        ("", {"WHOLE", "GREY", "ALONE", "BARE"}),
        ("?missing=nothing", {"WHOLE"}),
        ("?missing=anything", {"GREY", "ALONE", "BARE"}),
        ("?missing=energy_mix&owner=NL-CPO", {"GREY", "ALONE"}),
        ("?missing=evses", {"BARE"}),
    ):
        with case(chosen):
            html = console.get(reverse(LIST) + chosen).content.decode()
            rows = Location.objects.all()
            shown = {
                row.object_id
                for row in rows
                if reverse("admin:ocpi_locations_location_change", args=[row.pk]) in html
            }
            assert shown == listed
    grey = Location.objects.get(object_id="GREY")
    shown = console.get(reverse("admin:ocpi_locations_location_change", args=[grey.pk]))
    told = re.findall(r'data-label="told".*?>\s*(missing|told)\s*<', shown.content.decode(), re.S)
    assert told == ["told", "missing", "told", "told", "told", "told"]


def test_a_change_is_looked_at_again_and_what_is_gone_is_forgotten(db):
    keep(CPO, whole("L"))
    keep(CPO, whole("GONE"))
    assert not outlines.catch_up()
    Location.objects.filter(object_id="GONE").delete()
    keep(CPO, whole("L", energy_mix=None, last_updated="2027-01-01T00:00:00Z"))
    tasks.recount()
    [outline] = Outline.objects.all()
    assert outline.lacks_energy_mix
    for name in ("M", "N"):
        keep(CPO, whole(name))
    assert outlines.catch_up(most=1)
    assert Outline.objects.count() == 2
