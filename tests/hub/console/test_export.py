"""CSV of a partner's messages, Sessions and CDRs in a period (hub/console/export.py)."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from cdrs.models import Cdr
from hub.console import export
from hub.console.access.models import AuditEntry
from sessions.models import Session
from tests.cases import case
from tests.hub.console import rows
from tests.hub.recording import message

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = {"party": "NL-CPO", "from": "2026-03-01T00:00", "to": "2026-03-02T00:00"}


def asked(browser, what: str, **changes: str):
    return browser.post(reverse("export"), {"what": what, **DAY, **changes})


def told(response) -> list[dict[str, str]]:
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_messages_of_a_partner_within_a_period(console):
    message(at=NOON, problem='=HYPERLINK("http://x")', ocpi_code=2001, is_failed=True)
    message(at=NOON + timedelta(days=1), sender="DE-MSP", receiver="NL-CPO")
    message(at=NOON, sender="FR-BDS", receiver="DE-MSP")
    response = asked(console, "messages")
    assert "messages_NL-CPO_20260301T0000Z_20260302T0000Z.csv" in response["Content-Disposition"]
    [row] = told(response)
    assert row["at"] == "2026-03-01T12:00:00.000Z"
    assert row["why"] == '\'=HYPERLINK("http://x")'
    assert (row["ocpi_code"], row["is_failed"]) == ("2001", "true")
    entry = AuditEntry.objects.get(act="export CSV")
    assert "messages of NL-CPO" in entry.detail
    assert "1 rows" in entry.detail


def test_sessions_and_cdrs_have_whole_numbers_and_name_no_driver(console):
    rows.session(1, kwh=0.30000000000000004, total_cost={"excl_vat": -4.10, "incl_vat": 5})
    rows.stored()
    Session.objects.update(last_updated=NOON, updated_hour=int(NOON.timestamp() // 3600))
    Cdr.objects.update(last_updated=NOON)
    sessions = asked(console, "sessions", party="DE-MSP")
    [session] = told(sessions)
    assert (session["id"], session["cpo"], session["emsp"]) == ("S-00001", "NL-CPO", "DE-MSP")
    assert session["kwh"] == "0.30000000000000004"
    assert (session["total_cost_excl_vat"], session["total_cost_incl_vat"]) == ("-4.1", "5")
    bills = told(asked(console, "cdrs"))
    assert {bill["credit"] for bill in bills} == {"", "true"}
    assert all(Decimal(bill["total_energy"]) > 0 for bill in bills)
    for row in (session, *bills):
        assert not {rows.TOKEN_UID, rows.CONTRACT_ID} & set(row.values())


def test_a_cell_is_no_formula_and_a_number_stays_one():
    for value, text in (
        *(("=1+1", "'=1+1"), ("+31", "'+31"), ("-x", "'-x"), ("@SUM(A1)", "'@SUM(A1)")),
        *((" =1", "' =1"), ("\t=1", "'\t=1"), ("a=1", "a=1"), (None, ""), (True, "true")),
        *((Decimal("-4.10"), "-4.10"), (Decimal("1E+2"), "100"), (-3, "-3")),
        (Decimal("1e400"), "'1E+400"),
    ):
        with case(value):
            assert export.cell(value) == text


def test_what_cannot_be_had_is_said(console):
    for changes, words in (
        ({"party": ""}, "Name a party"),
        ({"party": "NLCPO"}, "not of the form NL-ABC"),
        ({"from": "yesterday"}, "is not a time"),
        ({"to": DAY["from"]}, "end after it begins"),
        ({"to": "2027-01-01"}, "62 days at most"),
    ):
        with case(changes):
            assert words in asked(console, "messages", **changes).content.decode()
    assert not AuditEntry.objects.filter(act="export CSV").exists()


def test_it_is_for_those_who_may_see_the_rows():
    user = User.objects.create(username="reader", is_staff=True)
    reader = Client()
    reader.force_login(user)
    assert reader.get(reverse("export")).status_code == 403
    user.user_permissions.set(Permission.objects.filter(codename="view_cdr"))
    page = reader.get(reverse("export")).content.decode()
    assert 'value="cdrs"' in page
    assert 'value="messages"' not in page
    assert asked(reader, "messages").status_code == 403
    assert asked(reader, "cdrs").status_code == 200
