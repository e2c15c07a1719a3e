"""manage.py check_alive (mod_hub_client_info, Still alive check)."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from hub.models import Platform
from hub.ocpi.datatypes import Role
from tests.hub.commands.calling import run
from tests.hub.strangers import Stranger


def test_nobody_is_registered(hub):
    assert run("check_alive") == "No party is registered.\n"


def test_away_and_back(hub):
    cpo = hub.join(Stranger(Role.CPO))
    emsp = hub.join(Stranger(Role.EMSP))
    names = sorted(f"{one.simulator.party} {role}" for one, role in ((cpo, "CPO"), (emsp, "EMSP")))
    found = json.loads(run("check_alive", "--json"))
    assert [row["party"] for row in found] == names
    assert {row["status"] for row in found} == {"CONNECTED"}
    assert {row["problem"] for row in found} == {""}

    cpo.stop()
    told = StringIO()
    with pytest.raises(CommandError, match="1 of 2 platforms are away") as caught:
        call_command("check_alive", stdout=told)
    assert caught.value.returncode == 1
    lines = told.getvalue().splitlines()
    assert lines[0].split() == ["party", "platform", "status", "problem"]
    (line,) = (line for line in lines if str(cpo.simulator.party) in line)
    assert "OFFLINE" in line
    assert "cannot be reached: connection refused" in line

    platform = Platform.objects.get(parties__party_id=cpo.simulator.party.party_id)
    Platform.objects.filter(pk=platform.pk).update(versions_url=emsp.versions_url)
    # Who does not know the hub's token is there.
    assert {row["status"] for row in json.loads(run("check_alive", "--json"))} == {"CONNECTED"}
    Platform.objects.filter(pk=platform.pk).update(registered_at=None)
    assert [row["status"] for row in json.loads(run("check_alive", "--json"))] == ["CONNECTED"]
    assert len(json.loads(run("check_alive", "--json"))) == 1
