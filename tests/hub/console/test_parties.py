"""Suspending, resuming and agreeing at the console."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from hub.models import DirectoryReader, Party, PartyNews, Replay
from hub.routing.directory import current_version
from tests.hub.console import rows

CONFIRMED = {"_form_submitted": "True"}


@pytest.fixture
def party(db) -> Party:
    """NL-CPO, beside somebody who is told what happens to it."""
    rows.platform("Witness", ("DE", "MSP", "EMSP"))
    return rows.platform("Volt", ("NL", "CPO", "CPO")).parties.get()


def address(action: str, party: Party) -> str:
    return reverse(f"admin:hub_party_{action}", args=[party.pk])


def said(console, party: Party) -> str:
    return str(console.get(address("change", party)).content.decode())


def test_suspending_asks_first(console, party):
    html = console.get(address("suspend", party)).content.decode()
    assert "Suspend this party?" in html
    party.refresh_from_db()
    assert party.status == "CONNECTED"


def test_suspending_acts_and_tells_the_others(console, party):
    response = console.post(address("suspend", party), CONFIRMED)
    assert response.url == address("change", party)
    party.refresh_from_db()
    assert party.status == "SUSPENDED"
    assert "NL-CPO is SUSPENDED now." in said(console, party)
    told = PartyNews.objects.get()
    assert (told.owner, told.status, told.announced) == ("NL-CPO", "SUSPENDED", 0)
    assert LogEntry.objects.get().get_change_message() == "Now SUSPENDED."


def test_a_dialog_moves_the_page_on(console, party):
    response = console.post(address("suspend", party), CONFIRMED, headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Redirect"]) == (200, address("change", party))


def test_a_web_process_that_does_not_confirm_is_told(console, party):
    DirectoryReader.objects.create(
        worker="web-1", version=current_version() - 1, seen_at=timezone.now()
    )
    console.post(address("suspend", party), CONFIRMED)
    assert "Not every web process has confirmed" in said(console, party)


def test_resuming(console, party):
    Party.objects.filter(pk=party.pk).update(status="SUSPENDED", is_suspended=True)
    assert address("resume", party) in said(console, party)
    console.post(address("resume", party), CONFIRMED)
    assert "NL-CPO is CONNECTED now." in said(console, party)


def test_agreeing_to_one_that_came_uninvited(console, party):
    Party.objects.filter(pk=party.pk).update(status="PLANNED", admission="CLAIMED")
    assert address("agree", party) in said(console, party)
    console.post(address("agree", party), CONFIRMED)
    party.refresh_from_db()
    assert (party.status, party.is_agreed) == ("CONNECTED", True)


@pytest.mark.parametrize("action", ["resume", "agree"])
def test_only_what_fits_is_offered_on_its_page(console, party, action):
    html = said(console, party)
    assert address(action, party) not in html
    assert address("suspend", party) in html
    assert console.post(address(action, party), CONFIRMED).status_code == 403


def test_one_that_has_left_cannot_be_resumed(console, party):
    Party.objects.filter(pk=party.pk).update(status="SUSPENDED", is_withdrawn=True)
    assert "it has left" in said(console, party)
    assert console.post(address("resume", party), CONFIRMED).status_code == 403


def test_who_may_only_look_may_not_act(client, party):
    reader = User.objects.create(username="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_party"))
    client.force_login(reader)
    assert client.get(address("change", party)).status_code == 200
    for action in ("suspend", "resume", "agree"):
        assert client.post(address(action, party), CONFIRMED).status_code == 403


def test_the_current_state_is_sent_to_a_connected_party(console, party):
    assert "Send the current state" in console.get(address("replay", party)).content.decode()
    assert console.post(address("replay", party), CONFIRMED).url == address("change", party)
    assert Replay.objects.get().identity == party.identity
    assert "on its way to NL-CPO" in said(console, party)
