"""manage.py invite_party (credentials, Registration)."""

import base64
import json
import re

import pytest
from django.core.management import CommandError

from hub.db import secret_box
from hub.models import Party, Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from tests.hub.commands.calling import run
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


def test_json_has_the_token_and_where_to_use_it():
    told = json.loads(run("invite_party", "NL", "ABC", "--role", "CPO", "--name", "A", "--json"))
    assert set(told) == {"token", "versions_url"}
    assert told["versions_url"] == onboarding.versions_url()
    platform = Platform.objects.get(name="A")
    assert rows.token_a_hash_of(platform) == secret_box.token_hash(told["token"])


def test_every_role_becomes_a_planned_party():
    run("invite_party", "nl", "abc", "--role", "CPO", "--role", "emsp", "--name", "A")
    found = Party.objects.values_list("country_code", "party_id", "role", "name", "status")
    assert sorted(found) == [
        ("NL", "ABC", "CPO", "A", "PLANNED"),
        ("NL", "ABC", "EMSP", "A", "PLANNED"),
    ]


def test_a_person_is_told_what_to_do_next():
    told = run("invite_party", "NL", "ABC", "--role", "CPO")
    token = re.search(r"CREDENTIALS_TOKEN_A\s+(\S+)", told)
    assert token is not None
    encoded = base64.b64encode(token[1].encode()).decode()
    assert f"curl -H 'Authorization: Token {encoded}' {onboarding.versions_url()}" in told
    assert "shown only now" in told


def test_a_second_invitation_replaces_the_token():
    first = json.loads(run("invite_party", "NL", "ABC", "--role", "CPO", "--json"))
    second = json.loads(run("invite_party", "NL", "ABC", "--role", "CPO", "--json"))
    assert first["token"] != second["token"]
    kept = rows.token_a_hash_of(Platform.objects.get())
    assert kept == secret_box.token_hash(second["token"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["NLD", "ABC", "--role", "CPO"], "country_code 'NLD' is not two letters"),
        (["N1", "ABC", "--role", "CPO"], "country_code 'N1' is not two letters"),
        (["NL", "ABCD", "--role", "CPO"], "party_id 'ABCD' is not one to three"),
        (["NL", "A C", "--role", "CPO"], "party_id 'A C' is not one to three"),
        (["NL", "ABC", "--role", "HUB"], "invalid choice: 'HUB'"),
        (["NL", "ABC"], "required: --role"),
        (["NL", "HUB", "--role", "CPO"], "NL-HUB is this hub itself"),
        (["NL", "ABC", "--role", "CPO", "--name", "x" * 101], "longer than 100"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, reason):
    with pytest.raises(CommandError, match=re.escape(reason)) as caught:
        run("invite_party", *arguments)
    assert "\n" not in str(caught.value)
    assert not Platform.objects.exists()


def test_who_is_registered_is_not_invited():
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    with pytest.raises(CommandError, match="NL-CPO is registered already"):
        run("invite_party", "NL", "CPO", "--role", "CPO")


def test_the_same_role_twice_is_one_party():
    run("invite_party", "NL", "ABC", "--role", "CPO", "--role", "CPO")
    assert Party.objects.get().identity == PartyId("NL", "ABC")
    assert Party.objects.get().role == Role.CPO
