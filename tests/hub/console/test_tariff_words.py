"""A Tariff in words and by the hour, as an operator reads it."""

from datetime import date

import pytest
from django.urls import reverse
from django.utils import timezone

from hub.console.tariff_words import UNCLEAR, Said, said, summary
from hub.ocpi.datatypes import decode
from tariffs.models import Tariff
from tariffs.objects import Tariff as TariffObject
from tests import minimal

MONDAY = date(2026, 3, 2)


def document(*elements, **more) -> bytes:
    whole = {
        "country_code": "NL",
        "party_id": "CPO",
        "id": "T",
        "currency": "EUR",
        "elements": elements,
        "last_updated": "2026-01-01T00:00:00Z",
        **more,
    }
    return minimal.as_json(whole)


def tariff(*elements, **more) -> TariffObject:
    return decode(document(*elements, **more), TariffObject)


def element(*components, **restrictions) -> dict[str, object]:
    """Components are a type, a price and further fields."""
    parts = [
        {"type": kind, "price": price, "step_size": 1, **dict(more)}
        for kind, price, *more in components
    ]
    return {"price_components": parts} | ({"restrictions": restrictions} if restrictions else {})


def column(found: Said, number: int, day: int = 0) -> dict[str, str]:
    return {row[0]: row[number] for row in found.days[day].rows}


def test_each_element_is_a_sentence_with_its_restrictions():
    blocks = [("vat", 21), ("step_size", 500)]
    found = said(
        tariff(
            element(("ENERGY", 0.35, *blocks), start_time="08:00", end_time="18:00"),
            element(("TIME", 2, ("step_size", 900)), min_duration=5400, max_kwh=20),
            element(("FLAT", 1.5), reservation="RESERVATION_EXPIRES"),
            element(("PARKING_TIME", 0.125), day_of_week=["SATURDAY", "MONDAY", "SUNDAY"]),
            type="PROFILE_GREEN",
            max_price={"excl_vat": 30},
        ),
        MONDAY,
    )
    words = " ".join(found.words)
    for expected in (
        "0.35 per kWh + 21% VAT (in blocks of 0.50 kWh): from 08:00 to 18:00.",
        "2 per hour of charging (in blocks of 15 min): below 20 kWh, after 90 min.",
        "1.50 once: for a reservation that expires.",
        "0.125 per hour of parking without charging: on Monday, Saturday and Sunday.",
        "for drivers who prefer green energy",
        "A session costs at most 30 EUR without VAT.",
    ):
        assert expected in words
    doubts = " ".join(found.doubts)
    for doubt in (
        "Element 2 depends on the kWh",
        "Element 3 is for reservations",
        "greatest price",
    ):
        assert doubt in doubts


def test_the_day_has_each_hour_and_when_prices_change_between():
    found = said(
        tariff(
            element(("ENERGY", 0.35), start_time="08:30", end_time="18:00"),
            element(("ENERGY", 0.25), ("FLAT", 1), ("PARKING_TIME", 3)),
        ),
        MONDAY,
    )
    energy = column(found, 1)
    assert len(energy) == 25
    asked = ("00:00", "08:00", "08:30", "17:00", "18:00", "23:00")
    assert [energy[at] for at in asked] == ["0.25", "0.25", "0.35", "0.35", "0.25", "0.25"]
    assert set(column(found, 2).values()) == {"-"}
    assert (set(column(found, 3).values()), set(column(found, 4).values())) == ({"3"}, {"1"})
    assert not found.doubts


def test_days_that_are_alike_share_a_table():
    weekend = element(("ENERGY", 0.2), day_of_week=["SATURDAY", "SUNDAY"])
    found = said(tariff(weekend, element(("ENERGY", 0.4))), MONDAY)
    assert [day.name for day in found.days] == ["Monday to Friday", "Saturday and Sunday"]
    assert [set(column(found, 1, day).values()) for day in (0, 1)] == [{"0.40"}, {"0.20"}]


def test_what_depends_on_the_power_is_unclear_and_the_rest_is_not():
    found = said(tariff(element(("ENERGY", 0.6), min_power=50), element(("FLAT", 1))), MONDAY)
    assert set(column(found, 1).values()) == {UNCLEAR}
    assert set(column(found, 4).values()) == {"1"}
    assert "depends on the power" in found.doubts[0]


def test_a_list_has_the_span_of_the_prices():
    of = tariff(element(("ENERGY", 0.35), ("FLAT", 1)), element(("ENERGY", 0.25), ("TIME", 2)))
    assert summary(of) == "0.25 to 0.35 per kWh, 2 per hour, 1 once"


@pytest.mark.django_db
def test_the_pages_of_tariffs_say_it(console):
    of = {"owner": "NL-CPO", "object_id": "T"}
    sent = document(element(("ENERGY", 0.35), min_power=50))
    Tariff.keep(of, "", sent, timezone.now())
    row = Tariff.objects.get()
    listed = console.get(reverse("admin:ocpi_tariffs_tariff_changelist")).content.decode()
    assert "0.35 per kWh" in listed
    change = reverse("admin:ocpi_tariffs_tariff_change", args=[row.pk])
    page = console.get(change).content.decode()
    for text in ("0.35 per kWh: from 50 kW of power on.", "depends on the power", "23:00"):
        assert text in page
    Tariff.objects.update(document=b'{"id":"T"}')
    assert "cannot be put into words" in console.get(change).content.decode()
