"""What is known of a session, as the console shows it (hub/console/knowledge.py)."""

import pytest
from django.urls import reverse

from flex.knowledge import effect
from flex.knowledge.models import ProfileEffect
from hub.console import knowledge
from hub.models import Party
from hub.ocpi.party import PartyId
from tests.flex.knowledge.told import Told, period, profile
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Told:
    """A profile that is not in force, of a car that takes 11 kW."""
    told = Told()
    told.gets(5, profile("W", (0, 11000), min_charging_rate=1400))
    told.puts(10, profile("W", (0, 4000)))
    told.gets(11, profile("W", (0, 11000), min_charging_rate=1400))
    told.meters(40, [period(0, POWER=11), period(12, POWER=11)])
    effect.judge_due()
    return told


def page(client, name: str, *arguments: object) -> str:
    response = client.get(reverse(f"admin:{name}", args=arguments))
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_page_of_a_session_has_bounds_effect_and_coverage(admin_client, told):
    shown = page(admin_client, "ocpi_sessions_session_change", told.session.pk)
    for words in (
        "charging_limit",
        "11000 W",
        "accepted, but nothing happened",
        "contradiction",
        "The active profile allows 11000 W where 4000 W was set and accepted.",
        "Composite active charging profile",
        "not carried by OCPI 2.2.1",
    ):
        assert words in shown, words
    assert rows.TOKEN_UID not in shown


def test_the_share_of_known_effects_stands_beside_its_cpo(admin_client, told):
    party = Party.objects.get(role="CPO")
    assert knowledge.known_share(PartyId("NL", "CPO")) is None
    ProfileEffect.objects.update(accepted_at=told.cpo.registered_at)
    assert "100.0 % (1 of 1 in 30 days)" in page(admin_client, "hub_party_change", party.pk)
    row = ProfileEffect.objects.get()
    assert "100.0 %" in page(admin_client, "flex_knowledge_profileeffect_change", row.pk)
    listed = page(admin_client, "flex_knowledge_profileeffect_changelist")
    assert "accepted, but nothing happened" in listed
