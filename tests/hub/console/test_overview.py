"""The console's first page."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from charging_profiles.models import CommandState, ProfileCommand
from hub.console import profile_commands
from hub.models import Delivery


def tiles(html: str) -> dict[str, int]:
    found = re.findall(r"<h2>([^<]+)</h2>\s*<div class=\"big\">(\d+)</div>", html)
    return {title: int(number) for title, number in found}


def test_an_empty_hub_says_what_to_do(console):
    html = console.get(reverse("admin:index")).content.decode()
    assert set(tiles(html).values()) == {0}
    for text in ("Invite one.", "None goes on now.", "No FSP asked", "nothing to push", "Nothing."):
        assert text in html


@pytest.mark.usefixtures("filled")
def test_what_goes_on(console):
    html = console.get(reverse("admin:index")).content.decode()
    assert tiles(html) == {
        "Parties connected": 4,
        "Sessions active": 3,
        "Profile commands in the last hour": 14,
        "Deliveries in the last hour": 8,
    }
    assert f"{reverse('admin:hub_party_changelist')}?status__exact=OFFLINE" in html
    assert re.search(r"Worker processes:\s+profiles \d+", html)
    assert "TOO_OFTEN, OCPI 1000" in html
    assert "HTTP 200, OCPI 2003: Unknown Location" in html


@pytest.mark.usefixtures("filled")
def test_what_is_old_is_left_out_but_what_waits_is_not(console):
    long_ago = timezone.now() - timedelta(hours=2)
    ProfileCommand.objects.update(created_at=long_ago)
    Delivery.objects.update(created_at=long_ago)
    html = console.get(reverse("admin:index")).content.decode()
    assert tiles(html)["Profile commands in the last hour"] == 0
    assert tiles(html)["Deliveries in the last hour"] == 4
    assert "TOO_OFTEN" not in html
    assert ">2 h ago<" in html


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
