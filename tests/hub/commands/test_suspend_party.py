"""manage.py suspend_party and resume_party (mod_hub_client_info: ConnectionStatus)."""

import pytest
from django.core.management import CommandError
from django.utils import timezone

from hub.models import DirectoryReader, Party
from hub.routing.directory import current_version
from tests.hub.commands.calling import run
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


def test_a_suspended_party_is_cut_off_in_all_its_roles():
    rows.platform("Volt", ("NL", "CPO", "CPO"), ("NL", "CPO", "EMSP"))
    told = run("suspend_party", "nl", "cpo")
    assert told.startswith("NL-CPO is SUSPENDED; every web process")
    assert set(Party.objects.values_list("status", flat=True)) == {"SUSPENDED"}


def test_a_web_process_that_does_not_confirm_is_told():
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    DirectoryReader.objects.create(
        worker="web-1", version=current_version() - 1, seen_at=timezone.now()
    )
    assert "not every web process has confirmed" in run("suspend_party", "NL", "CPO")
    assert "not every web process has confirmed" in run("resume_party", "NL", "CPO")


def test_a_registered_party_is_connected_when_resumed():
    rows.platform("Volt", ("NL", "CPO", "CPO"), status="SUSPENDED")
    assert run("resume_party", "NL", "CPO").startswith("NL-CPO is CONNECTED")
    assert Party.objects.get().status == "CONNECTED"


def test_an_invited_party_is_planned_when_resumed():
    run("invite_party", "NL", "ABC", "--role", "CPO")
    run("suspend_party", "NL", "ABC")
    assert run("resume_party", "NL", "ABC").startswith("NL-ABC is PLANNED")


@pytest.mark.parametrize("command", ["suspend_party", "resume_party"])
def test_who_is_not_here_cannot_be(command):
    with pytest.raises(CommandError, match="NL-XXX is not a party of this hub"):
        run(command, "NL", "XXX")


def test_who_is_not_suspended_cannot_be_resumed():
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    with pytest.raises(CommandError, match="NL-CPO is not suspended"):
        run("resume_party", "NL", "CPO")
