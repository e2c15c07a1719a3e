"""manage.py grant_mandate and revoke_mandate: FlexAgreements (SCALE D2.3, 11.1)."""

from io import StringIO

import pytest
from django.core.management import CommandError

from flex.models import FlexAgreement
from tests.hub.commands.calling import run
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


def granted() -> list[str]:
    return [str(agreement) for agreement in FlexAgreement.objects.filter(is_active=True)]


def test_for_the_sessions_of_a_cpo():
    assert run("grant_mandate", "--scsp", "nl-scs", "--cpo", "NL-CPO").startswith("Granted: ")
    assert granted() == ["NL-SCS for NL-CPO"]


def test_for_the_drivers_of_an_emsp_at_one_location_of_a_cpo_with_one_token():
    run(
        "grant_mandate", "--scsp", "NL-SCS", "--emsp", "DE-MSP", "--cpo", "NL-CPO",
        "--location", "LOC1", "--token", "012345678",
    )  # fmt: skip
    agreement = FlexAgreement.objects.get()
    assert (agreement.location_id, agreement.token_uid) == ("LOC1", "012345678")
    assert granted() == ["NL-SCS for NL-CPO, DE-MSP, a token, location LOC1"]


def test_granting_again_changes_nothing():
    run("grant_mandate", "--scsp", "NL-SCS", "--cpo", "NL-CPO", "--location", "loc1")
    told = run("grant_mandate", "--scsp", "NL-SCS", "--cpo", "NL-CPO", "--location", "LOC1")
    assert told.startswith("Granted already")
    assert FlexAgreement.objects.count() == 1


def test_one_fsp_for_one_scope():
    run("grant_mandate", "--scsp", "NL-SCS", "--cpo", "NL-CPO")
    with pytest.raises(CommandError, match=r"another FSP for this \(NL-SCS for NL-CPO\)"):
        run("grant_mandate", "--scsp", "NL-OTH", "--cpo", "NL-CPO")
    assert granted() == ["NL-SCS for NL-CPO"]


def test_revoked_and_granted_to_another():
    run("grant_mandate", "--scsp", "NL-SCS", "--cpo", "NL-CPO")
    assert run("revoke_mandate", "--scsp", "NL-SCS", "--cpo", "NL-CPO").startswith("Revoked")
    run("grant_mandate", "--scsp", "NL-OTH", "--cpo", "NL-CPO")
    assert granted() == ["NL-OTH for NL-CPO"]
    assert FlexAgreement.objects.count() == 2


@pytest.mark.parametrize("scsp", ["NL-SCS", "NL-OTH"])
def test_only_what_is_granted_can_be_revoked(scsp):
    run("grant_mandate", "--scsp", "NL-SCS", "--emsp", "DE-MSP")
    with pytest.raises(CommandError, match="no active agreement"):
        run("revoke_mandate", "--scsp", scsp, "--cpo", "NL-CPO")
    assert granted() == ["NL-SCS for DE-MSP"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--scsp", "NL-SCS"], "Name the CPO"),
        (["--scsp", "NLSCS", "--cpo", "NL-CPO"], "'NLSCS' is not of the form NL-ABC"),
        (["--scsp", "NL-SCS", "--cpo", "NL-CPOX"], "'NL-CPOX' is not of the form NL-ABC"),
        (["--scsp", "NL-SCS", "--emsp", "DE-MSP", "--location", "L"], "--location is one of a CPO"),
        (["--scsp", "NL-SCS", "--cpo", "NL-CPO", "--token", "T"], "--token is one of an eMSP"),
        (["--scsp", "NL-SCS", "--cpo", "NL-CPO", "--location", "L" * 37], "at most 36"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, reason):
    with pytest.raises(CommandError, match=reason):
        run("grant_mandate", *arguments)
    assert granted() == []


def test_a_party_that_is_not_here_yet_is_noted():
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    noted = StringIO()
    run("grant_mandate", "--scsp", "NL-SCS", "--cpo", "NL-CPO", stderr=noted)
    assert noted.getvalue() == "Note: NL-SCS is not a party of this hub yet.\n"
