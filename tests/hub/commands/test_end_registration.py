"""manage.py end_registration and agree_party."""

import json

import pytest
from django.core.management import CommandError

from hub.db.secret_box import token_hash
from hub.models import Party, PartyNews, Platform
from hub.routing.directory import load
from tests.hub.commands.calling import run
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


def test_a_registration_whose_token_was_lost_ends_and_the_party_can_be_invited_anew():
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    with pytest.raises(CommandError, match=r"manage\.py end_registration NL CPO\) and invite it"):
        run("invite_party", "NL", "CPO", "--role", "CPO")
    told = run("end_registration", "nl", "cpo")
    assert told.startswith("The registration of Volt has ended (NL-CPO CPO SUSPENDED)")
    assert "manage.py invite_party NL CPO --role ROLE" in told
    volt = Platform.objects.get(name="Volt")
    assert not volt.is_registered
    assert volt.token_c_hash is None
    assert not volt.token_b_encrypted
    assert not volt.endpoints.exists()
    assert token_hash("token c of Volt") not in load().tokens
    told = PartyNews.objects.get()
    assert (told.owner, told.role, told.status) == ("NL-CPO", "CPO", "SUSPENDED")
    invitation = json.loads(run("invite_party", "NL", "CPO", "--role", "CPO", "--json"))
    assert load().tokens[token_hash(invitation["token"])].platform.id == volt.pk


def test_as_json():
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    assert json.loads(run("end_registration", "NL", "CPO", "--json")) == {
        "platform": "Volt",
        "is_registered": False,
        "parties": ["NL-CPO CPO SUSPENDED"],
    }


def test_where_there_is_nothing_to_end():
    with pytest.raises(CommandError, match="NL-CPO is not a party of this hub"):
        run("end_registration", "NL", "CPO")
    run("invite_party", "NL", "CPO", "--role", "CPO", "--name", "Volt")
    with pytest.raises(CommandError, match="Volt is not registered"):
        run("end_registration", "NL", "CPO")


# --- What came uninvited --------------------------------------------------------------------------


@pytest.fixture
def claimed():
    """NL-CPO, which came as EMSP and SCSP too."""
    volt = rows.platform("Volt", ("NL", "CPO", "CPO"), ("NL", "CPO", "EMSP"), ("NL", "CPO", "SCSP"))
    volt.parties.exclude(role="CPO").update(admission="CLAIMED", status="PLANNED")
    return volt


def statuses() -> dict[str, tuple[str, str]]:
    return {party.role: (party.admission, party.status) for party in Party.objects.all()}


def test_agreeing_is_to_one_role_or_to_all(claimed):
    assert run("agree_party", "NL", "CPO", "--role", "emsp").startswith("NL-CPO is CONNECTED")
    assert statuses() == {
        "CPO": ("INVITED", "CONNECTED"),
        "EMSP": ("AGREED", "CONNECTED"),
        "SCSP": ("CLAIMED", "PLANNED"),
    }
    run("agree_party", "NL", "CPO")
    assert statuses()["SCSP"] == ("AGREED", "CONNECTED")
    with pytest.raises(CommandError, match="does not wait for an agreement"):
        run("agree_party", "NL", "CPO")
