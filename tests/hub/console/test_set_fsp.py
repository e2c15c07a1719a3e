"""Who is FSP of a session and why, on its page; the operator's word on it (SCALE D2.3, 8.4)."""

from collections.abc import Iterator

import pytest
from django.urls import reverse

from flex.choice import Speaker
from flex.models import FlexAgreement, FspAssignment
from hub.routing.directory import holder
from sessions.handed_on import HandedOn
from sessions.models import Session
from tests.hub.console import rows


@pytest.fixture
def session(console) -> Iterator[Session]:
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    rows.platform("Slim", ("NL", "SCS", "SCSP"))
    rows.platform("Rijden", ("DE", "MSP", "EMSP"))
    for said_by, fsp in (("CPO", "SCS"), ("OPERATOR", "OTH")):
        FlexAgreement.objects.create(
            said_by=said_by,
            fsp_country_code="NL",
            fsp_party_id=fsp,
            cpo_country_code="NL",
            cpo_party_id="CPO",
        )
    yield rows.session(1)
    holder._snapshot = None


def page(console, session: Session) -> str:
    shown = console.get(reverse("admin:ocpi_sessions_session_change", args=[session.pk]))
    return " ".join(shown.content.decode().split())


def set_fsp(console, session: Session, who: str):
    address = reverse("admin:ocpi_sessions_session_set_fsp", args=[session.pk])
    return console.post(address, {"_form_submitted": "True", "who": who}, follow=True)


def test_the_page_says_which_words_there_are_and_why_each_counts_or_not(console, session):
    shown = page(console, session)
    assert "NL-OTH is not a party of this hub." in shown
    assert "<strong>NL-SCS</strong>" in shown
    assert "said by the CPO of all that fits, and nothing outweighs it." in shown


def test_the_operator_sets_it_and_takes_it_back(console, session):
    for who, label in (("NL-SCS", "NL-SCS"), ("EMSP", "DE-MSP"), ("NONE", "nobody")):
        told = set_fsp(console, session, who).content.decode()
        assert f"The FSP is {label} (agreement " in told
        current = FspAssignment.current(session)
        assert current is not None
        assert current.label == label
    shown = page(console, session)
    assert "The word of the operator counts more than that of the CPO." in shown
    assert "the operator has set nobody" in shown
    told = set_fsp(console, session, "TAKE_BACK").content.decode()
    assert "The FSP is NL-SCS (agreement " in told
    assert not FlexAgreement.objects.filter(session=session, is_active=True).exists()
    assert FlexAgreement.objects.filter(session=session, said_by=Speaker.OPERATOR).count() == 3


def test_what_cannot_be_is_said_and_changes_nothing(console, session):
    rows.platform("Weg", ("NL", "WEG", "SCSP"), status="SUSPENDED")
    told = set_fsp(console, session, "NL-WEG").content.decode()
    assert "NL-WEG is SUSPENDED." in told
    assert FspAssignment.current(session) is None
    Session.objects.filter(pk=session.pk).update(status="COMPLETED")
    assert set_fsp(console, session, "EV").status_code == 403


def test_an_emsp_that_is_fsp_shows_to_whom_it_has_handed_the_session_on(console, session):
    HandedOn.keep(session.owner, session.session_id, session.emsp, holder.refresh().hub)
    set_fsp(console, session, "EMSP")
    assert "DE-MSP has handed the session on to NL-HUB." in page(console, session)
