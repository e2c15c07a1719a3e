"""The console's first page: what it tells, to whom, and that it renews itself."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from charging_profiles.models import CommandState, ProfileCommand
from flex.knowledge.models import ProfileEffect
from hub.console import profile_commands
from hub.console.overview import traffic
from hub.deviations.models import DeviationCount
from hub.models import Delivery, Platform, Pull
from hub.record.note import Direction, Kind
from hub.record.recorder import recorder
from tests.hub.recording import empty, note, recorded


def tiles(html: str) -> dict[str, int]:
    found = re.findall(r"<h2>([^<]+)</h2>\s*<div class=\"big\">([\d,]+)[<\s]", html)
    return {title: int(number.replace(",", "")) for title, number in found}


def cards(html: str) -> dict[str, int]:
    found = re.findall(r"<h2><a href=\"[^\"]+\">([^<]+)</a> <small>(\d+)</small></h2>", html)
    return {title: int(number) for title, number in found}


def keep(*notes) -> None:
    """As the hub does it: over the stream into the table, and counted."""
    empty()
    for one in notes:
        recorder.add(one)
    recorded(len(notes))


def refused(**changes):
    values = {"code": 2001, "problem": "latitude is not a number", "kind": Kind.HUB}
    return note(**values | changes)


def overview(console, name: str = "admin:index") -> str:
    return str(console.get(reverse(name)).content.decode())


def test_an_empty_hub_says_what_to_do(console):
    html = overview(console)
    assert set(tiles(html).values()) == {0}
    assert set(cards(html).values()) == {0}
    for text in ("Invite one.", "None goes on now.", "No FSP asked", "nothing to push", "Nothing."):
        assert text in html


@pytest.mark.usefixtures("filled")
def test_what_goes_on(console):
    accepted = ProfileCommand.objects.filter(state=CommandState.RESULT_ACCEPTED).get()
    now = timezone.now()
    ProfileEffect.objects.create(
        command=accepted,
        session=accepted.session,
        cpo="NL-CPO",
        effect="NOTHING",
        because="the car takes 11 kW",
        accepted_at=now,
        due_at=now,
    )
    html = overview(console)
    assert tiles(html) == {
        "Messages a minute": 0,
        "Parties connected": 4,
        "Sessions active": 3,
        "Sessions steered now": 1,
        "Deliveries waiting": 4,
        "Worker processes": 0,
    }
    assert f"{reverse('admin:hub_party_changelist')}?status__exact=OFFLINE" in html
    assert "S-00000 at NL-CPO" in html
    assert "the car takes 11 kW" in html
    assert "TOO_OFTEN, OCPI 1000" in html
    assert "HTTP 200, OCPI 2003: Unknown Location" in html


@pytest.mark.usefixtures("filled")
def test_what_may_need_somebody_is_named(console):
    volt = Platform.objects.get(name="Volt Charging B.V.")
    DeviationCount.objects.create(
        platform=volt,
        rule="format",
        path="Location.coordinates.latitude",
        number=3,
        first_at=timezone.now(),
        last_at=timezone.now(),
    )
    DeviationCount.objects.create(
        platform=volt,
        rule="known for long",
        path="Location.id",
        number=3,
        first_at=timezone.now() - timedelta(days=9),
        last_at=timezone.now(),
    )
    Pull.objects.create(
        platform=volt,
        country_code="NL",
        party_id="CPO",
        module="tariffs",
        state="FAILED",
        begun_at=timezone.now(),
        last_error="HTTP 500 without a body",
    )
    html = overview(console)
    assert cards(html) == {
        "Sessions steered now": 0,
        "OFFLINE now": 1,
        "Deliveries behind": 1,
        "Failed handshakes": 0,
        "New deviations": 1,
        "Failed pulls": 1,
    }
    for text in (
        "Bornes du Sud (FR-BDS)",
        "cannot be reached: connection refused",
        "tariffs of NL-CPO",
    ):
        assert text in html
    assert "known for long" not in html
    assert "HTTP 500 without a body" in html


@pytest.mark.usefixtures("filled")
def test_what_is_old_is_left_out_but_what_waits_is_not(console):
    long_ago = timezone.now() - timedelta(hours=2)
    ProfileCommand.objects.update(created_at=long_ago)
    Delivery.objects.update(created_at=long_ago)
    html = overview(console)
    assert tiles(html)["Deliveries waiting"] == 4
    assert "TOO_OFTEN" not in html
    assert ">2 h ago<" in html


def test_refused_messages_are_told_once_with_their_number_and_lead_to_themselves(console):
    before = timezone.now().timestamp() - 2 * 3600
    keep(
        *(refused(correlation_id=f"c{number}") for number in range(3)),
        *(note() for _ in range(5)),
        refused(at=before, problem="long ago"),
        refused(kind=Kind.STILL_ALIVE, direction=Direction.OUT, problem="asked by the hub"),
    )
    html = overview(console, "overview-live")
    assert "<b>3 times</b>" in html
    assert "latitude is not a number" in html
    assert "failed=1&amp;party=NL-CPO&amp;module=versions&amp;code=2001" in html
    assert "long ago" not in html
    assert "asked by the hub" not in html
    flow = traffic.of_last_hour(timezone.now())
    assert (flow.number, flow.failed, flow.share) == (8, 3, "38 %")
    assert [(one.name, one.number, one.failed) for one in flow.modules] == [("versions", 8, 3)]
    assert flow.chart.count("<title>") == traffic.MINUTES


def test_a_handshake_that_failed_is_told_until_another_one_works(console):
    newcomer = Platform.objects.create(name="Nieuwkomer")
    attempt = {"path": "2.2.1/credentials", "method": "POST", "platform": newcomer.pk}
    keep(refused(problem="GET versions: nobody answers", **attempt))
    html = overview(console, "overview-live")
    assert cards(html)["Failed handshakes"] == 1
    assert "GET versions: nobody answers" in html
    keep(note(**attempt))
    assert cards(overview(console, "overview-live"))["Failed handshakes"] == 0


def test_the_page_renews_its_body_alone(console):
    html = overview(console)
    assert f'data-live="{reverse("overview-live")}"' in html
    assert "hub/live.js" in html
    body = overview(console, "overview-live")
    assert "<html" not in body
    assert set(tiles(body)) == set(tiles(html))


@pytest.mark.usefixtures("filled")
def test_who_may_not_see_a_table_does_not_see_it_here(db):
    guest = User.objects.create(username="guest", is_staff=True)
    client = Client()
    client.force_login(guest)
    assert client.get(reverse("overview-live")).status_code == 403
    guest.user_permissions.add(Permission.objects.get(codename="view_platform"))
    html = overview(client)
    assert set(tiles(html)) == {"Worker processes"}
    assert set(cards(html)) == {"OFFLINE now", "New deviations", "Failed pulls"}
    assert "TOO_OFTEN" not in html
    assert Client().get(reverse("overview-live")).status_code == 302


def test_a_refusal_that_came_as_a_success_is_told_by_what_is_missing():
    told = {
        b'{"status_code":1000,"data":[]}': "no result in its answer, OCPI 1000",
        b'{"status_code":1000,"data":{"result":"perhaps"}}': "result 'PERHAPS', OCPI 1000",
        b'{"status_code":1000,"data":{"result":"REJECTED"}}': "REJECTED, OCPI 1000",
        b'{"status_code":2001,"status_message":"no"}': "OCPI 2001, no",
    }
    for body, text in told.items():
        command = ProfileCommand(state=CommandState.REFUSED, answer_body=body)
        assert profile_commands.why(command) == text
