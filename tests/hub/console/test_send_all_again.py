"""What was given up since a moment is sent again by one button (hub/console/deliveries.py)."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from hub.console.access.models import AuditEntry
from hub.models import Delivery
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


def given_up(receiver, minutes: int, key: str) -> Delivery:
    now = timezone.now()
    return Delivery.objects.create(
        receiver=receiver,
        ordering_key=key,
        module="chargingprofiles",
        method="POST",
        path="https://scsp.example/results/1",
        body=b'{"result":"ACCEPTED"}',
        from_country_code="NL",
        from_party_id="CPO",
        to_country_code="NL",
        to_party_id="SCS",
        correlation_id=key,
        state="FAILED",
        created_at=now - timedelta(minutes=minutes),
        ended_at=now - timedelta(minutes=minutes),
    )


def test_all_that_was_given_up_since_then_waits_once_more(console):
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    scsp = rows.platform("Slim", ("NL", "SCS", "SCSP"))
    old, new = given_up(scsp, 600, "old"), given_up(scsp, 5, "new")
    listed = reverse("admin:hub_delivery_changelist")
    button = reverse("admin:hub_delivery_send_all_again")
    assert button in console.get(listed).content.decode()
    since = f"{timezone.now() - timedelta(hours=1):%Y-%m-%d %H:%M}"
    form = {"_form_submitted": "True", "since": since, "module": ""}
    wrong = console.post(button, {**form, "to": "ALL", "since": "yesterday"}).content.decode()
    assert "valid date" in wrong
    for to in ("NL-CPO", "ALL"):
        console.post(button, {**form, "to": to})
    states = {one.pk: one.state for one in Delivery.objects.all()}
    assert states == {old.pk: "FAILED", new.pk: "WAITING"}
    details = AuditEntry.objects.filter(act="send again").order_by("pk")
    assert [entry.detail.split(" since ")[0] for entry in details] == ["to NL-CPO", "to ALL"]
    assert details[1].detail.endswith("1 wait once more")
