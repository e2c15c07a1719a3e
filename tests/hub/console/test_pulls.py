"""Pulled lists at the page of their platform, and the rule that an operator may change."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from hub.models import Platform, PullRule
from hub.models.pulls import Pull, PullState
from tests.hub.console import rows

CONFIRMED = {"_form_submitted": "True"}
INLINES = {
    f"{name}-{form}": "0"
    for name in ("parties", "endpoints", "pulls", "deviations")
    for form in ("TOTAL_FORMS", "INITIAL_FORMS")
}


@pytest.fixture
def platform(db) -> Platform:
    """NL-CPO with a list that was given up."""
    made = rows.platform("Volt", ("NL", "CPO", "CPO"))
    Pull.objects.create(
        platform=made,
        country_code="NL",
        party_id="CPO",
        module="locations",
        state=PullState.FAILED,
        stored=7,
        bad=2,
        last_error="HTTP 500, OCPI None",
    )
    return made


def address(page: str, platform: Platform) -> str:
    return reverse(f"admin:hub_platform_{page}", args=[platform.pk])


def test_the_page_of_a_platform_shows_its_lists(console, platform):
    html = console.get(address("change", platform)).content.decode()
    for text in ("locations of NL-CPO", "FAILED", "7 stored, 2 not valid", "HTTP 500, OCPI None"):
        assert text in html


def test_the_rule_and_nothing_else_can_be_changed(console, platform):
    sent = {"pull_rule": "NEVER", "name": "Other", "versions_url": "http://elsewhere", **INLINES}
    assert console.post(address("change", platform), sent).status_code == 302
    platform.refresh_from_db()
    assert (platform.pull_rule, platform.name) == (PullRule.NEVER, "Volt")
    assert platform.versions_url != "http://elsewhere"


def test_an_operator_marks_an_aggregator_and_takes_the_mark_back(console, platform):
    sent = {"pull_rule": "NEVER", "is_aggregator": "on", **INLINES}
    assert console.post(address("change", platform), sent).status_code == 302
    platform.refresh_from_db()
    assert platform.is_aggregator
    del sent["is_aggregator"]
    console.post(address("change", platform), sent)
    platform.refresh_from_db()
    assert not platform.is_aggregator


def test_pull_now_asks_for_all_lists(console, platform):
    console.get(address("pull_now", platform))
    assert not Pull.objects.get().is_requested
    console.post(address("pull_now", platform), CONFIRMED)
    assert Pull.objects.get().is_requested


def test_who_may_only_look_changes_no_rule(client, platform):
    reader = User.objects.create(username="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_platform"))
    client.force_login(reader)
    assert client.get(address("change", platform)).status_code == 200
    assert client.post(address("change", platform), {"pull_rule": "NEVER"}).status_code == 403
    assert client.post(address("pull_now", platform), CONFIRMED).status_code == 403
