"""What differs from the text stands on the platform's page, in words."""

import pytest
from django.urls import reverse

from hub.deviations import noting
from hub.models import Platform
from hub.ocpi.lenient import Deviation

pytestmark = pytest.mark.django_db


def test_the_platform_page_shows_rule_place_example_number_and_what_is_asked(admin_client):
    platform = Platform.objects.create(name="Odd CPO")
    found = [Deviation("date-time", "Location.last_updated", "2026-01-01 10:00:00<b>")]
    noting.note(platform.pk, found * 7)
    noting.flush()
    url = reverse("admin:hub_platform_change", args=[platform.pk])
    page = admin_client.get(url).content.decode()
    assert "a time that is spelled otherwise" in page
    assert "Location.last_updated" in page
    assert "2026-01-01 10:00:00&lt;b&gt;" in page
    assert ">7<" in "".join(page.split())
    assert "2015-06-29T20:39:09Z" in page


def test_another_platforms_deviations_are_not_on_the_page(admin_client):
    one, other = (Platform.objects.create(name=name) for name in ("One", "Other"))
    noting.note(other.pk, [Deviation("too-long", "Tariff.somewhere")])
    noting.flush()
    page = admin_client.get(reverse("admin:hub_platform_change", args=[one.pk])).content.decode()
    assert "Tariff.somewhere" not in page
