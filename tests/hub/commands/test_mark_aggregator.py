"""manage.py mark_aggregator (terminology: NAP)."""

import pytest
from django.core.management import CommandError

from hub.models import Platform
from hub.ocpi.party import PartyId
from hub.routing.directory import load
from tests.hub.commands.calling import run
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


def test_the_platform_of_the_party_is_marked_and_the_mark_is_taken_back():
    rows.platform("Kaart", ("NL", "NAP", "NAP"))
    assert run("mark_aggregator", "nl", "nap", "yes").startswith("Kaart may tell")
    assert load().parties[PartyId("NL", "NAP")].platform.is_aggregator
    assert run("mark_aggregator", "NL", "NAP", "no").startswith("Kaart may not tell")
    assert not Platform.objects.get().is_aggregator


def test_who_is_not_here_cannot_be_marked():
    with pytest.raises(CommandError, match="NL-XXX is not a party of this hub"):
        run("mark_aggregator", "NL", "XXX", "yes")
