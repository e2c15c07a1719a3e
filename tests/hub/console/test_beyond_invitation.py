"""What came beyond its invitation, and ending a registration whose token was lost."""

import pytest
from django.urls import reverse

from hub.models import Platform
from tests.hub.console import rows


@pytest.fixture
def claimed(db) -> Platform:
    """NL-CPO, which came as EMSP and SCSP too."""
    volt = rows.platform("Volt", ("NL", "CPO", "CPO"), ("NL", "CPO", "EMSP"), ("NL", "CPO", "SCSP"))
    volt.parties.exclude(role="CPO").update(admission="CLAIMED", status="PLANNED")
    return volt


def statuses(platform: Platform) -> dict[str, tuple[str, str]]:
    return {party.role: (party.admission, party.status) for party in platform.parties.all()}


def test_agreeing_at_the_console_is_to_the_role_of_the_row(console, claimed):
    party = claimed.parties.get(role="SCSP")
    console.post(reverse("admin:hub_party_agree", args=[party.pk]), {"_form_submitted": "True"})
    assert statuses(claimed)["SCSP"] == ("AGREED", "CONNECTED")
    assert statuses(claimed)["EMSP"] == ("CLAIMED", "PLANNED")


def test_the_console_lists_what_goes_beyond_the_invitation(console, claimed):
    claimed.parties.filter(role="SCSP").update(admission="TAKEN", status="CONNECTED")
    page = console.get(reverse("admin:hub_platform_change", args=[claimed.pk])).content.decode()
    assert "NL-CPO EMSP: waits for you; NL-CPO SCSP: was taken" in page
    listed = reverse("admin:hub_party_changelist")
    assert "waits for you" in console.get(f"{listed}?admission__exact=CLAIMED").content.decode()
    assert "waits for you" not in console.get(f"{listed}?admission__exact=TAKEN").content.decode()


def test_the_console_ends_one_after_asking(console):
    volt = rows.platform("Volt", ("NL", "CPO", "CPO"))
    page = reverse("admin:hub_platform_change", args=[volt.pk])
    address = reverse("admin:hub_platform_end_here", args=[volt.pk])
    assert address in console.get(page).content.decode()
    assert "End the registration here alone?" in console.get(address).content.decode()
    volt.refresh_from_db()
    assert volt.is_registered
    console.post(address, {"_form_submitted": "True"})
    volt.refresh_from_db()
    assert not volt.is_registered
    assert "its token is dead; it was not told" in console.get(page).content.decode()
    assert address not in console.get(page).content.decode()
