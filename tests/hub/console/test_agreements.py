"""Agreements at the console: both sides are told what changed for them."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from flex.models import FlexAgreement, FlexExclusion
from hub.models import Agreement, Party, PartyNews
from hub.ocpi.extensions import AGREED_AS
from hub.ocpi.party import PartyId
from hub.parties.party_status import client_info
from hub.routing.directory import load
from tests.hub.console import rows

ADD = "admin:hub_agreement_add"


@pytest.fixture(autouse=True)
def _parties(db) -> None:
    rows.platform("Volt", ("NL", "CPO", "CPO"))
    rows.platform("Autostrom", ("DE", "MSP", "EMSP"))
    Party.objects.update(last_updated=timezone.now() - timedelta(days=1))


def told() -> set[tuple[str, str, str]]:
    """(receiver, whom it is about, status)."""
    directory = load()
    found = set()
    for news in PartyNews.objects.filter(announced__gt=0):
        party = Party.objects.get(party_id=news.party_id, role=news.role)
        for viewer in directory.platforms.values():
            if viewer.id != news.platform_id:
                info = client_info(party, viewer, directory)
                found.add((viewer.name, info.party_id, info.status.value))
    return found


def close(console, **changes: str):
    return console.post(
        reverse(ADD), {"one": "NL-CPO", "other": "DE-MSP", "note": "late payer", **changes}
    )


def test_closing_a_pair_makes_each_planned_to_the_other(console):
    assert close(console).status_code == 302
    agreement = Agreement.objects.get()
    assert str(agreement) == "DE-MSP and NL-CPO: all modules closed"
    assert told() == {("Volt", "MSP", "PLANNED"), ("Autostrom", "CPO", "PLANNED")}
    recently = timezone.now() - timedelta(minutes=1)
    assert Party.objects.filter(last_updated__gt=recently).count() == 2


def test_opening_it_again(console):
    close(console)
    PartyNews.objects.all().delete()
    change = reverse("admin:hub_agreement_change", args=[Agreement.objects.get().pk])
    assert console.post(change, {"is_open": "on", "note": ""}).status_code == 302
    assert told() == {("Volt", "MSP", "CONNECTED"), ("Autostrom", "CPO", "CONNECTED")}
    assert str(Agreement.objects.get()) == "DE-MSP and NL-CPO: all modules open"


def test_deleting_goes_back_to_the_default(console):
    close(console)
    PartyNews.objects.all().delete()
    delete = reverse("admin:hub_agreement_delete", args=[Agreement.objects.get().pk])
    assert console.post(delete, {"post": "yes"}).status_code == 302
    assert told() == {("Volt", "MSP", "CONNECTED"), ("Autostrom", "CPO", "CONNECTED")}


def test_a_pair_has_one_agreement_whatever_its_order(console):
    close(console)
    response = close(console, one="DE-MSP", other="NL-CPO")
    assert "There is an agreement on this already" in response.content.decode()
    assert Agreement.objects.count() == 1


def test_one_module_is_another_agreement(console):
    close(console)
    assert close(console, module="chargingprofiles", is_open="on").status_code == 302
    assert Agreement.objects.count() == 2


def test_nobody_agrees_with_themselves(console):
    response = close(console, other="NL-CPO")
    assert "between two parties" in response.content.decode()
    assert not Agreement.objects.exists()


def test_the_pair_of_an_agreement_stays(console):
    close(console)
    Party.objects.all().delete()
    change = reverse("admin:hub_agreement_change", args=[Agreement.objects.get().pk])
    assert "DE-MSP  not known here" in console.get(change).content.decode()
    console.post(change, {"one": "NL-XXX", "other": "NL-YYY", "module": "cdrs", "note": "still"})
    assert str(Agreement.objects.get()) == "DE-MSP and NL-CPO: all modules closed"
    assert Agreement.objects.get().note == "still"


# --- Flexibility agreements ----------------------------------------------------------------------


def grant(console, **changes: str):
    return console.post(
        reverse("admin:flex_flexagreement_add"),
        {"fsp_party": "DE-MSP", "cpo_party": "NL-CPO", "is_active": "on", **changes},
    )


def test_granting(console):
    assert grant(console, location_id="LOC1").status_code == 302
    assert str(FlexAgreement.objects.get()) == "DE-MSP for NL-CPO, location LOC1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cpo_party": ""}, "Name the CPO or the eMSP that this agreement is for."),
        ({"token_uid": "T"}, "A token is one of an eMSP: name it."),
        ({"cpo_party": "", "emsp_party": "DE-MSP", "location_id": "L"}, "A location is one of"),
        ({"fsp_party": ""}, "This field is required."),
    ],
)
def test_what_makes_no_sense_is_said_at_the_form(console, changes, reason):
    response = grant(console, **changes)
    assert response.status_code == 200
    assert reason in response.content.decode()
    assert not FlexAgreement.objects.exists()


def test_one_fsp_for_one_scope(console):
    grant(console)
    response = grant(console, fsp_party="NL-CPO")
    assert "Another FSP already has an active agreement for this." in response.content.decode()
    assert FlexAgreement.objects.count() == 1


def test_ending(console):
    grant(console)
    change = reverse("admin:flex_flexagreement_change", args=[FlexAgreement.objects.get().pk])
    assert console.post(change, {"fsp_party": "DE-MSP", "cpo_party": "NL-CPO"}).status_code == 302
    assert not FlexAgreement.objects.get().is_active
    delete = change.replace("change", "delete")
    assert console.post(delete, {"post": "yes"}).status_code == 403


def test_kinds_whose_word_it_is_consent_and_for_how_long(console):
    later = {"valid_until_0": "2027-01-01", "valid_until_1": "00:00:00"}
    token = {"emsp_party": "DE-MSP", "token_uid": "T"}
    for changes, reason in (
        ({"kind": "NONE"}, "Name the party that acts; of other kinds name none."),
        ({"kind": "WIND", "fsp_party": ""}, "Select a valid choice."),
        ({"said_by": "EMSP"}, "Who has said it speaks for its own: name it."),
        (token, "Its eMSP or driver has to consent to a token&#x27;s."),
        (later | {"valid_from_0": "2027-01-02", "valid_from_1": "00:00:00"}, "end after it begins"),
    ):
        assert reason in grant(console, **changes).content.decode(), changes
    assert not FlexAgreement.objects.exists()
    assert (
        grant(console, **token, **later, consent_by="DRIVER", said_by="OPERATOR").status_code == 302
    )
    assert grant(console, kind="NONE", fsp_party="").status_code == 302
    first, second = FlexAgreement.objects.order_by("id")
    assert (first.said_by, first.consent_by, first.consented_at is None) == (
        "OPERATOR",
        "DRIVER",
        False,
    )
    assert first.valid_until is not None
    assert (str(second), second.said_by) == ("nobody for NL-CPO", "CPO")
    # What it says stays; it can end, and does not begin again.
    change = reverse("admin:flex_flexagreement_change", args=[second.pk])
    assert console.post(change, {"kind": "EV", "said_by": "OPERATOR"}).status_code == 302
    assert console.post(change, {"is_active": "on"}).status_code == 302
    second.refresh_from_db()
    assert (second.kind, second.said_by, second.is_active) == ("NONE", "CPO", False)
    assert second.due_at is not None


def test_a_cpo_excludes_a_party_and_all(console):
    add = reverse("admin:flex_flexexclusion_add")
    for who, text in (("DE-MSP", "DE-MSP at NL-CPO"), ("", "all third parties at NL-CPO")):
        chosen = {"cpo_party": "NL-CPO", "fsp_party": who, "is_active": "on"}
        assert console.post(add, chosen).status_code == 302
        assert str(FlexExclusion.objects.latest("pk")) == text
    narrow = {"cpo_party": "NL-CPO", "fsp_party": "", "location_id": "LOC1", "is_active": "on"}
    assert console.post(add, narrow).status_code == 302
    text = "all third parties at location LOC1 of NL-CPO"
    assert str(FlexExclusion.objects.latest("pk")) == text
    again = console.post(add, {"cpo_party": "NL-CPO", "fsp_party": "DE-MSP", "is_active": "on"})
    assert "The CPO excludes it already." in again.content.decode()


def test_an_agreement_on_extension_fields_opens_them_and_nothing_else(console):
    assert close(console, module=AGREED_AS, is_open="on").status_code == 302
    assert str(Agreement.objects.get()) == "DE-MSP and NL-CPO: extension fields open"
    pair = (PartyId("DE", "MSP"), PartyId("NL", "CPO"))
    assert load().extends(*pair)
    delete = reverse("admin:hub_agreement_delete", args=[Agreement.objects.get().pk])
    assert console.post(delete, {"post": "yes"}).status_code == 302
    assert (load().extends(*pair), load().extending) == (False, frozenset())
