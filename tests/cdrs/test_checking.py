"""CDRs that were taken are computed by the Tariffs and the time zone that the hub knows."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from cdrs.checking import check_new
from cdrs.models import Cdr, CdrCheck
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from locations.models import Location
from tariffs.models import Tariff
from tests.cdrs.test_recomputed import RIGHT, TARIFF
from tests.minimal import as_json, cdr, location

pytestmark = pytest.mark.django_db
CPO, EMSP = PartyId("NL", "CPO"), PartyId("DE", "MSP")
BEFORE_NOON = {
    **TARIFF,
    "elements": [
        {
            "price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}],
            "restrictions": {"end_time": "11:30"},
        },
        {"price_components": [{"type": "ENERGY", "price": 0.50, "step_size": 1}]},
    ],
}


def taken(cdr_id: str, **changes: object) -> None:
    """A CDR of 20 kWh from 10:00 UTC, which its eMSP has taken."""
    dimensions = [{"type": "ENERGY", "volume": 20.0}]
    period = {"start_date_time": "2026-01-01T10:00:00Z", "tariff_id": "t1"}
    periods = [{**period, "dimensions": dimensions}]
    ends = "2026-01-01T10:20:00Z"
    whole = {"charging_periods": periods, "end_date_time": ends, **changes}
    bill = cdr(CPO, EMSP, cdr_id, **whole)
    Cdr.taken(CPO, EMSP, as_json(bill), Response(201, {}, b'{"status_code":1000}'))


def keep_tariff(document: dict, audience: str = "") -> None:
    named = {"owner": str(CPO), "object_id": "T1"}
    Tariff.keep(named, audience, as_json(document), datetime(2026, 1, 1, tzinfo=UTC))


def checked(cdr_id: str) -> CdrCheck:
    check_new()
    return CdrCheck.objects.get(cdr__object_id=cdr_id)


def test_by_the_tariff_that_its_emsp_was_told():
    keep_tariff(TARIFF)
    taken("C1", total_cost={"excl_vat": 5.5})
    assert checked("C1").result == "AS_PRICED"
    keep_tariff({**TARIFF, "elements": TARIFF["elements"][:1]}, str(EMSP))
    taken("C2", total_cost={"excl_vat": 5.5})
    assert checked("C2").differences == [
        {
            "field": "total_cost",
            "billed": "5.5",
            "computed": "0.5000",
            "elements": ["elements[0] of Tariff T1"],
        }
    ]
    assert check_new() == 0


def test_by_the_clock_of_its_location():
    """10:00 UTC is 11:00 in Berlin, and 12:00 in Helsinki."""
    keep_tariff(BEFORE_NOON)
    taken("C1", total_cost={"excl_vat": 5.0})
    assert "time zone" in checked("C1").reason
    for number, (zone, result) in enumerate(
        {"Europe/Berlin": "AS_PRICED", "Europe/Helsinki": "DIFFERENT"}.items()
    ):
        place = location(CPO, f"LOC{number}", time_zone=zone)
        named = {"owner": str(CPO), "object_id": f"LOC{number}"}
        Location.keep(named, "", as_json(place), timezone.now())
        where = {**cdr(CPO, EMSP, "")["cdr_location"], "id": f"LOC{number}"}
        taken(f"D{number}", cdr_location=where, total_cost={"excl_vat": 5.0})
        assert checked(f"D{number}").result == result


def test_what_cannot_be_read_or_is_not_known_is_unclear():
    taken("C1")
    assert checked("C1").reason == "Tariff t1 is not known"
    taken("C2", auth_method="BY_EYE")
    assert "auth_method" in checked("C2").reason
    # Changed since the session began: what it was then is not known.
    keep_tariff({**TARIFF, "last_updated": "2026-01-01T10:10:00Z"})
    Tariff.objects.update(last_updated="2026-01-01T10:10:00Z")
    taken("C3", **RIGHT)
    assert checked("C3").reason == "Tariff t1 is not known"
    taken("C4", tariffs=[TARIFF], end_date_time="2026-03-01T10:10:00Z")
    assert "too long" in checked("C4").reason


def test_one_that_cannot_be_computed_keeps_no_other_from_its_turn():
    def at(zone: object) -> None:
        named = {"owner": str(CPO), "object_id": "LOC1"}
        place = location(CPO, "LOC1", time_zone=zone)
        Location.keep(named, "", as_json(place), timezone.now())

    keep_tariff(TARIFF)
    at("Europe/Berlin")
    period = {"start_date_time": "2026-01-01T10:00:00Z", "tariff_id": "t1"}
    dimensions = [{"type": "ENERGY", "volume": 10**60}]
    taken("C1", charging_periods=[{**period, "dimensions": dimensions}])
    for number, limits in enumerate(({"start_date": "2026-02-31"}, {"min_duration": 10**15}), 2):
        elements = [{**TARIFF["elements"][1], "restrictions": limits}]
        taken(f"C{number}", tariffs=[{**TARIFF, "elements": elements}])
    taken("C4", total_cost={"excl_vat": 5.5})
    assert checked("C4").result == "AS_PRICED"
    for number in (1, 2, 3):
        assert "cannot be computed" in checked(f"C{number}").reason
    for number, zone in enumerate(("Europe", "../../etc/passwd", 5), 5):
        at(zone)
        taken(f"C{number}", total_cost={"excl_vat": 5.5})
        assert checked(f"C{number}").result == "AS_PRICED"
