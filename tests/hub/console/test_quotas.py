"""Quotas at the console and in /metrics: who has used how much, and who was refused."""

import pytest
from django.test import Client
from django.urls import reverse

from hub.models import Platform
from hub.models.quotas import Usage
from tests.hub.console import rows


@pytest.fixture
def usage(db) -> Usage:
    """A party beyond its quota, beside one that is far from it and one without."""
    rows.platform("Full", ("NL", "FUL", "CPO"))
    Usage.objects.create(party="NL-OTH", what="tariffs", number=5, quota=100)
    Usage.objects.create(party="NL-OTH", what="tokens", number=7, quota=0)
    return Usage.objects.create(party="NL-FUL", what="tariffs", number=30, quota=20, refused=4)


def _text(console: Client, name: str, *arguments: object) -> str:
    return str(console.get(reverse(f"admin:{name}", args=arguments)).content.decode())


def test_an_operator_sees_who_is_full_and_gives_more(console, usage):
    listed = _text(console, "hub_usage_changelist")
    assert "30 of 20" in listed
    assert "7, no quota" in listed
    platform = _text(console, "hub_platform_change", Platform.objects.get().pk)
    assert "NL-FUL: tariffs" in platform
    assert "30 of 20" in platform
    assert "4 refused" in platform
    assert "NL-OTH" not in platform
    address = reverse("admin:hub_usage_change", args=[usage.pk])
    assert console.get(address).status_code == 200
    assert console.post(address, {"quota": "-1"}).status_code == 200
    Usage.objects.filter(pk=usage.pk).update(number=31)
    assert console.post(address, {"quota": "50", "number": "0"}).status_code == 302
    usage.refresh_from_db()
    assert (usage.quota, usage.number) == (50, 31)


def test_prometheus_is_told_without_names(console, usage, settings):
    settings.MAX_TARIFFS_PER_PARTY = 10
    lines = console.get("/metrics").content.decode().splitlines()
    assert 'flexhub_over_quota_total{what="tariffs"} 4.0' in lines
    assert 'flexhub_quota_used_ratio{what="tariffs"} 1.5' in lines
    assert 'flexhub_quota_used_ratio{what="tokens"} 0.0' in lines
    assert not [line for line in lines if "NL-FUL" in line]
