"""The switch of a platform that wants no deviations, and what is left out, at its page."""

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from hub.deviations.models import Holding, LeftOut
from hub.models import DirectoryReader, Platform
from hub.routing.directory import current_version, holder
from hub.store import leaving_out
from hub.store.kinds import kinds_left_out
from hub.store.pushed import EVERYBODY
from locations.models import Location
from tests.hub.console import rows
from tests.hub.console.test_pulls import INLINES, address

SWITCH = "leaves_out_deviations"


@pytest.fixture
def owner(db) -> Platform:
    """NL-CPO with twelve odd Locations, which a platform of its name cannot break a page with."""
    made = rows.platform("Volt <b>", ("NL", "CPO", "CPO"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(12):
        identity = {"owner": "NL-CPO", "object_id": f"ODD{number:02}"}
        Location.keep(identity, EVERYBODY, b"{}", moment, deviates=True)
    return made


@pytest.fixture
def picky(owner) -> Platform:
    """An eMSP that may see them."""
    return rows.platform("Picky <i>", ("DE", "MSP", "EMSP"))


def page(client, platform: Platform) -> str:
    return str(client.get(address("change", platform)).content.decode())


@pytest.fixture
def save(console, django_capture_on_commit_callbacks):
    """Send the form of a platform's page as a browser does: what is not ticked is not in it."""

    def send(platform: Platform, **ticked: str) -> None:
        sent = {"pull_rule": platform.pull_rule, **ticked, **INLINES}
        with django_capture_on_commit_callbacks(execute=True):
            assert console.post(address("change", platform), sent).status_code == 302
        platform.refresh_from_db()

    return send


@pytest.mark.django_db(transaction=True)
def test_the_switch_remembers_what_the_platform_holds_and_says_what_it_means(console, picky):
    """After the commit, which web processes have to see."""
    identity = {"owner": "NL-CPO", "object_id": "MINE"}
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    Location.keep(identity, "DE-MSP", b"{}", moment, deviates=True)
    assert "leave out what deviates" in page(console, picky).lower()
    sent = {"pull_rule": picky.pull_rule, SWITCH: "on", **INLINES}
    assert console.post(address("change", picky), sent).status_code == 302
    assert holder.refresh().platforms[picky.pk].leaves_out_since
    assert [one.object_id for one in Holding.objects.filter(platform=picky)] == ["MINE"]
    html = page(console, picky)
    assert "Picky &lt;i&gt;: Locations and Tariffs that deviate are left out" in html
    assert "Not every web process" not in html
    assert "Leave out what deviates" in LogEntry.objects.get().get_change_message()
    DirectoryReader.objects.create(
        worker="web-1", version=current_version() - 1, seen_at=timezone.now()
    )
    del sent[SWITCH]
    console.post(address("change", picky), sent)
    assert holder.refresh().platforms[picky.pk].leaves_out_since is None
    assert not Holding.objects.exists()
    html = page(console, picky)
    assert "or with a replay" in html
    assert "Not every web process has confirmed it within 1 s." in html
    assert LogEntry.objects.count() == 2


def test_another_change_of_the_form_turns_nothing(save, picky):
    leaving_out.switch(picky, kinds_left_out(), on=True)
    Holding.objects.create(platform=picky, module="locations", owner="NL-CPO", object_id="ODD01")
    save(picky, **{SWITCH: "on", "is_strict": "on"})
    assert picky.is_strict
    assert picky.leaves_out_deviations
    assert Holding.objects.exists()


def test_a_change_of_the_form_writes_that_field_alone(console, save, picky):
    """A handshake that ends meanwhile has written the row as well."""
    platform_admin = console.get(address("change", picky)).context["adminform"].model_admin
    stale = Platform.objects.get(pk=picky.pk)
    Platform.objects.filter(pk=picky.pk).update(token_c_hash=b"new", versions_url="https://new")
    stale.is_strict = True
    form = platform_admin.get_form(console.get(address("change", picky)).wsgi_request, stale)
    bound = form({"pull_rule": stale.pull_rule, "is_strict": "on"}, instance=stale)
    bound.initial["is_strict"] = False
    assert bound.is_valid()
    platform_admin.save_model(None, bound.instance, bound, change=True)
    picky.refresh_from_db()
    assert (picky.is_strict, bytes(picky.token_c_hash), picky.versions_url) == (
        True,
        b"new",
        "https://new",
    )


def test_both_pages_show_what_is_left_out_and_the_operator_sees_for_whom(console, owner, picky):
    leaving_out.switch(picky, kinds_left_out(), on=True)
    now = timezone.now()
    LeftOut.objects.create(
        receiver=picky,
        owner="NL-CPO",
        module="locations",
        pushes=3,
        lists=1,
        first_at=now,
        last_at=now,
    )
    told = "locations of NL-CPO: 12 (ODD00, ODD01, ODD02"
    counted = "3 pushes not sent, 1 list read without them so far"
    receivers, owners = page(console, picky), page(console, owner)
    for html in (receivers, owners):
        assert told in html
        assert counted in html
    assert f'<a href="{address("change", picky)}">Picky &lt;i&gt;</a>: {told}' in owners
    assert told not in page(console, rows.platform("Another", ("FR", "ABC", "CPO")))


def test_many_owners_are_cut(console, picky):
    leaving_out.switch(picky, kinds_left_out(), on=True)
    now = timezone.now()
    for number in range(100, 140):
        LeftOut.objects.create(
            receiver=picky, owner=f"FR-{number}", module="tariffs", first_at=now, last_at=now
        )
    html = page(console, picky)
    assert html.count("tariffs of FR-") == 29
    assert "and 11 more" in html


def test_who_may_only_look_sees_and_turns_nothing(client, owner, picky):
    leaving_out.switch(picky, kinds_left_out(), on=True)
    reader = User.objects.create(username="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_platform"))
    client.force_login(reader)
    assert "locations of NL-CPO: 12" in page(client, picky)
    assert client.post(address("change", picky), INLINES).status_code == 403
    picky.refresh_from_db()
    assert picky.leaves_out_deviations
