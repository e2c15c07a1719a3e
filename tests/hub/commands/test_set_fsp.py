"""manage.py set_fsp: the operator's word on one session (SCALE D2.3, 8.4)."""

from collections.abc import Iterator

import pytest
from django.core.management import CommandError

from flex.models import FlexAgreement, FlexExclusion, FspAssignment, JournalEntry
from hub.ocpi.party import PartyId
from hub.routing.directory import holder
from sessions.models import Session
from tests.cases import case
from tests.flex.agreements import acts
from tests.hub.commands.calling import run
from tests.hub.console import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Iterator[Session]:
    """With parties that are never committed: the directory is read anew for them, and after."""
    holder._snapshot = None
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    rows.platform("Slim", ("NL", "SCS", "SCSP"))
    rows.platform("Rijden", ("DE", "MSP", "EMSP"))
    rows.platform("Kaart", ("BE", "NAP", "NAP"))
    rows.platform("Weg", ("BE", "SUS", "SCSP"), status="SUSPENDED")
    rows.platform("Komt", ("BE", "PLA", "SCSP"), status="PLANNED")
    yield rows.session(1)
    holder._snapshot = None


def open_one(session: Session) -> str:
    current = FspAssignment.current(session)
    return current.label if current else "-"


def test_each_kind_can_be_set_and_taken_back(session):
    acts(PartyId("DE", "MSP"), session)
    for who, label in (
        ("nl-scs", "NL-SCS"),
        ("NONE", "nobody"),
        ("cpo", "the CPO itself"),
        ("NL-CPO", "the CPO itself"),
        ("EMS", "an energy management system on site"),
        ("EV", "the EV itself"),
        ("EMSP", "DE-MSP"),
    ):
        with case(who):
            told = run("set_fsp", "NL-CPO", session.session_id.lower(), who)
            assert told.startswith(f"NL-CPO S-00001: the FSP is {label}, epoch ")
            assert open_one(session) == label
    # The last word of the operator's is the one that counts, and the only one.
    assert FlexAgreement.objects.filter(is_active=True).count() == 1
    told = run("set_fsp", "NL-CPO", "S-00001", "--take-back")
    assert "nobody is FSP; the first profile" in told
    assert open_one(session) == "-"
    ends = FspAssignment.objects.order_by("epoch").values_list("end_reason", flat=True)
    assert ends[0] == "the operator has set NL-SCS"
    assert JournalEntry.objects.filter(topic="ASSIGNMENT").count() == 8


def test_bad_input_is_said_and_changes_nothing(session):
    over = rows.session(2, "COMPLETED")
    stranger = rows.session(3, cdr_token={})
    FlexExclusion.objects.create(
        cpo_country_code="NL", cpo_party_id="CPO", fsp_country_code="DE", fsp_party_id="MSP"
    )
    for arguments, why in (
        (["NL-CPO", "S-9", "NL-SCS"], "NL-CPO has no session 'S-9' here."),
        (["NL-XXX", "S-00001", "NL-SCS"], "NL-XXX has no session 'S-00001' here."),
        (["NLCPO", "S-00001", "NL-SCS"], "'NLCPO' is not of the form NL-ABC"),
        (["NL-CPO", "S-00001", "SCSP"], "'SCSP' is not of the form NL-ABC, nor one of EMSP, CPO"),
        (["NL-CPO", "S-00001", "NL-XXX"], "NL-XXX is not a party of this hub."),
        (["NL-CPO", "S-00001", "BE-SUS"], "BE-SUS is SUSPENDED."),
        (["NL-CPO", "S-00001", "BE-PLA"], "BE-PLA is not connected."),
        (["NL-CPO", "S-00001", "BE-NAP"], "BE-NAP has no role of an FSP here"),
        (["NL-CPO", "S-00001", "EMSP"], "NL-CPO does not let DE-MSP act there."),
        (["NL-CPO", "S-00001"], "Name who is to be FSP, or --take-back."),
        (["NL-CPO", "S-00001", "--take-back"], "The operator has said nothing of this session."),
        (["NL-CPO", over.session_id, "EV"], "The session is over"),
        (["NL-CPO", stranger.session_id, "EMSP"], "does not say whose token it is."),
    ):
        with case(*arguments), pytest.raises(CommandError) as raised:
            run("set_fsp", *arguments)
        assert why in str(raised.value), arguments
    assert not FlexAgreement.objects.exists()
    assert not FspAssignment.objects.exists()
