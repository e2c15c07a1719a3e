"""Conformance checks at the console: the button, the page that fills, the last one of a party."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from hub.conformance.models import ConformanceCheck
from hub.deviations import noting
from hub.models import Party
from hub.ocpi.lenient import Deviation
from party.check.findings import Finding, Outcome
from tests.hub.console import rows


def party() -> Party:
    return Party.objects.get(platform=rows.platform("Volt", ("NL", "CPO", "CPO")))


def ended(of: Party) -> ConformanceCheck:
    check = ConformanceCheck.objects.create(platform=of.platform, country_code="NL", party_id="CPO")
    check.begin()
    rule = {"rule": "a.b", "chapter": "types, CiString"}
    check.end(
        [
            Finding(**rule, title="First", outcome=Outcome.PASSED, subject="cdrs"),
            Finding(**rule, title="Second", outcome=Outcome.FAILED, came="<b>", advice="Do so."),
            Finding(**rule, title="Third", outcome=Outcome.NOT_TRIED, advice="the list is empty"),
        ]
    )
    return check


def page_of(check: ConformanceCheck) -> str:
    return reverse("admin:conformance_conformancecheck_change", args=[check.pk])


def test_the_button_queues_a_check_and_leads_to_its_page(console):
    row = party()
    address = reverse("admin:hub_party_check_party", args=[row.pk])
    shown = console.get(reverse("admin:hub_party_change", args=[row.pk])).content.decode()
    assert address in shown
    assert "Push test objects too" in console.get(address).content.decode()
    assert not ConformanceCheck.objects.exists()
    answer = console.post(address, {"_form_submitted": "1"}, headers={"HX-Request": "true"})
    check = ConformanceCheck.objects.get()
    assert answer["HX-Redirect"] == page_of(check)
    assert not check.is_pushing
    console.post(address, {"_form_submitted": "1", "push": "on"})
    assert ConformanceCheck.objects.latest("pk").is_pushing


def test_a_page_asks_again_until_the_check_has_ended(console):
    row = party()
    check = ConformanceCheck.objects.create(
        platform=row.platform, country_code="NL", party_id="CPO"
    )
    waiting = console.get(page_of(check)).content.decode()
    assert "waits for a worker" in waiting
    assert f'hx-get="{page_of(check)}"' in waiting
    done = console.get(page_of(ended(row))).content.decode()
    assert "hx-trigger=" not in done.split('id="check"')[1].split(">")[0]


def test_what_failed_comes_first_with_what_to_change(console):
    html = console.get(page_of(ended(party()))).content.decode()
    assert "1 passed, 1 failed, 1 not tried" in html
    assert "&lt;b&gt;" in html
    assert html.index("Second") < html.index("Do so.") < html.index("First") < html.index("Third")
    assert "not tried: the list is empty" in html


def test_the_last_check_is_on_the_pages_of_party_and_platform(console):
    row = party()
    ended(row)
    latest = ended(row)
    for address in (
        reverse("admin:hub_party_change", args=[row.pk]),
        reverse("admin:hub_platform_change", args=[row.platform_id]),
        reverse("admin:conformance_conformancecheck_changelist"),
    ):
        html = console.get(address).content.decode()
        assert page_of(latest) in html
        assert "1 passed, 1 failed, 1 not tried" in html


def test_what_the_hub_has_noted_stands_beside_it(console):
    row = party()
    noting.note(row.platform_id, [Deviation("date-time", "Location.last_updated", "<b>10:00")])
    noting.flush()
    html = console.get(page_of(ended(row))).content.decode()
    section = html.split('id="noted"')[1].split("</section>")[0]
    for text in ("a time that is spelled otherwise", "Location.last_updated", "&lt;b&gt;10:00"):
        assert text in section
    assert reverse("admin:hub_platform_change", args=[row.platform_id]) in section


@pytest.mark.django_db
def test_who_may_only_look_starts_none(client):
    row = party()
    reader = User.objects.create(username="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_party"))
    client.force_login(reader)
    address = reverse("admin:hub_party_check_party", args=[row.pk])
    assert (
        address not in client.get(reverse("admin:hub_party_change", args=[row.pk])).content.decode()
    )
    assert client.post(address, {"_form_submitted": "1"}).status_code == 403
    assert not ConformanceCheck.objects.exists()
