"""Inviting a party at the console: CREDENTIALS_TOKEN_A is shown once."""

import base64
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from hub.db import secret_box
from hub.models import Party, Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from tests.hub.console import rows

FORM = {"country_code": "nl", "party_id": "new", "name": "New B.V.", "roles": ["CPO", "EMSP"]}


def send(console, address: str, **changes: object) -> str:
    form_id = re.search(r'name="form_id" value="([^"]+)"', console.get(address).content.decode())
    assert form_id is not None
    response = console.post(address, {**FORM, "form_id": form_id[1], **changes})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return str(response.content.decode())


def token_in(html: str) -> str | None:
    found = re.search(r'<code id="token">([^<]+)</code>', html)
    return found[1] if found else None


@pytest.fixture
def invite() -> str:
    return reverse("admin:hub_platform_invite")


def test_the_token_is_shown_and_only_its_hash_is_kept(console, invite):
    html = send(console, invite)
    token = token_in(html)
    assert token is not None
    encoded = base64.b64encode(token.encode()).decode()
    for text in ("NL-NEW is invited", f"Token {encoded}", onboarding.versions_url()):
        assert text in html
    platform = Platform.objects.get()
    assert rows.token_a_hash_of(platform) == secret_box.token_hash(token)
    assert {str(party) for party in platform.parties.all()} == {"NL-NEW CPO", "NL-NEW EMSP"}
    for page in (invite, reverse("admin:hub_platform_change", args=[platform.pk])):
        later = console.get(page).content.decode()
        assert token not in later
        assert encoded not in later


def test_a_page_that_is_loaded_again_does_not_void_the_token(console, invite):
    form_id = re.search(r'form_id" value="([^"]+)"', console.get(invite).content.decode())
    assert form_id is not None
    sent = {**FORM, "form_id": form_id[1]}
    token = token_in(console.post(invite, sent).content.decode())
    assert token is not None
    again = console.post(invite, sent).content.decode()
    assert token_in(again) is None
    assert "This form was sent before" in again
    assert rows.token_a_hash_of(Platform.objects.get()) == secret_box.token_hash(token)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"country_code": "N1"}, "Two letters, such as NL."),
        ({"party_id": "ABCD"}, "One to three letters or digits"),
        ({"roles": []}, "This field is required."),
        ({"name": ""}, "This field is required."),
        ({"party_id": "HUB"}, "NL-HUB is this hub itself."),
    ],
)
def test_what_cannot_be_is_said_at_the_form(console, invite, changes, reason):
    html = send(console, invite, **changes)
    assert reason in html
    assert token_in(html) is None
    assert not Platform.objects.exists()


def test_who_has_not_come_is_invited_again(console):
    onboarding.invite(PartyId("NL", "NEW"), [Role.CPO], "New")
    platform = Platform.objects.get()
    before = rows.token_a_hash_of(platform)
    address = reverse("admin:hub_platform_invite_again", args=[platform.pk])
    assert (
        address
        in console.get(reverse("admin:hub_platform_change", args=[platform.pk])).content.decode()
    )
    # The party is the platform's own, whatever the form says.
    token = token_in(send(console, address, party_id="XXX"))
    assert token is not None
    assert rows.token_a_hash_of(platform) == secret_box.token_hash(token) != before
    assert set(Party.objects.values_list("party_id", flat=True)) == {"NEW"}


def test_who_is_here_is_not_invited_again(console):
    platform = rows.platform("Volt", ("NL", "CPO", "CPO"))
    address = reverse("admin:hub_platform_invite_again", args=[platform.pk])
    assert console.get(address).status_code == 403
    shown = console.get(reverse("admin:hub_platform_change", args=[platform.pk]))
    assert address not in shown.content.decode()
    html = send(console, reverse("admin:hub_platform_invite"), party_id="cpo")
    assert "NL-CPO is registered already" in html


def test_who_may_only_look_may_not_invite(db, client, invite):
    reader = User.objects.create(username="reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_platform"))
    client.force_login(reader)
    assert client.get(reverse("admin:hub_platform_changelist")).status_code == 200
    assert client.get(invite).status_code == 403
    assert client.post(invite, FORM).status_code == 403
