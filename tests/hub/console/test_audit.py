"""The audit trail: who did what to which object, in every way there is, and never a secret."""

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from hub.console.access.models import Account, AuditEntry
from hub.models import Agreement, OneTimePassword, Party
from tests.cases import case
from tests.hub.commands.calling import run

pytestmark = pytest.mark.usefixtures("filled")
RIGHT = "correct-horse-7"
CONFIRMED = {"_form_submitted": "True"}


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-id")[0]


def test_what_is_done_at_the_console_is_told(console):
    closed = Agreement.objects.get()
    party = Party.objects.get(party_id="CPO")
    acts = (
        ("add", reverse("admin:hub_agreement_add"), {"one": "NL-CPO", "other": "NL-SCS"}, ""),
        (
            "change",
            reverse("admin:hub_agreement_change", args=[closed.pk]),
            {"note": "new word", "is_open": "on"},
            "Changed",
        ),
        (
            "delete",
            reverse("admin:hub_agreement_delete", args=[closed.pk]),
            {"post": "yes"},
            "",
        ),
        ("change", f"/admin/hub/party/{party.pk}/suspend/", CONFIRMED, "Now SUSPENDED."),
    )
    for act, address, sent, detail in acts:
        with case(act, address):
            before = AuditEntry.objects.count()
            assert console.post(address, sent, REMOTE_ADDR="192.0.2.7").status_code == 302
            told = last()
            assert AuditEntry.objects.count() == before + 1
            assert (told.who, told.way, told.act) == ("operator", "CONSOLE", act)
            assert told.address == "192.0.2.7"
            assert told.about in {"hub.agreement", "hub.party"}
            assert told.object_id
            assert detail in told.detail
            assert "new word" not in f"{told.detail} {told.object_name}"
    platform = party.platform
    page = reverse("admin:hub_platform_change", args=[platform.pk])
    before = AuditEntry.objects.count()
    assert console.get(page).status_code == 200
    assert console.post(reverse("admin:hub_agreement_add"), {}).status_code == 200
    assert AuditEntry.objects.count() == before, "looking, and a form with errors, change nothing"


def test_an_invitation_is_told_without_its_token(console):
    address = reverse("admin:hub_platform_invite")
    form = console.get(address)
    sent = {
        "form_id": form.context["form_id"],
        "country_code": "nl",
        "party_id": "inv",
        "name": "Invited",
        "roles": ["CPO"],
    }
    token = console.post(address, sent).context["invitation"].token
    told = last()
    assert (told.act, told.object_name) == ("invite", "NL-INV")
    assert token not in str(vars(told))
    console.post(reverse("admin:flex_api_apikey_add"), {"party_": "NL-SCS", "opens": ["FSP"]})
    assert last().about == "flex_api.apikey"


def test_what_is_refused_is_told(db):
    user = User.objects.create(username="reader", is_staff=True)
    Account.objects.create(user=user, role="READER")
    browser = Client()
    browser.force_login(user)
    party = Party.objects.get(party_id="CPO")
    assert browser.post(f"/admin/hub/party/{party.pk}/suspend/").status_code == 403
    told = last()
    assert (told.act, told.object_name, told.is_refused) == ("hub_party_suspend", str(party), True)


def test_what_is_turned_away_is_no_act(console, operator, settings):
    """Neither before a password was chosen, nor before a second factor was made, nor after the end
    of the session: a POST that is led away has done nothing.
    """
    party = Party.objects.get(party_id="CPO")
    address = f"/admin/hub/party/{party.pk}/suspend/"
    mark = OneTimePassword.objects.create(user=operator)
    assert console.post(address, CONFIRMED).url == "/admin/password_change/"
    mark.delete()
    settings.SECOND_FACTOR_REQUIRED = True
    assert console.post(address, CONFIRMED).url == "/admin/second-factor/"
    settings.SECOND_FACTOR_REQUIRED = False
    settings.SESSION_HOURS = -1
    assert console.post(address, CONFIRMED).url.startswith("/admin/login/")
    assert not AuditEntry.objects.exists()
    User.objects.create(username="nobody")
    browser = Client()
    browser.force_login(User.objects.get(username="nobody"))
    settings.SESSION_HOURS = 12
    assert browser.post(address, CONFIRMED).url.startswith("/admin/login/")
    assert last().is_refused
    party.refresh_from_db()
    assert party.status == "CONNECTED"


def test_what_manage_py_does_is_told(db):
    run("suspend_party", "nl", "cpo")
    told = last()
    assert (told.way, told.act, told.object_name) == ("COMMAND", "suspend_party", "NL-CPO")
    before = AuditEntry.objects.count()
    run("resend", "NL", "CPO", "--dry-run")
    assert AuditEntry.objects.count() == before
    uid = "04A2B3C4D5E680"
    run("erase_driver", "--token-uid", uid, "--emsp", "DE-MSP", "--yes")
    told = last()
    assert (told.act, told.detail) == ("erase_driver", "emsp DE-MSP")
    invited = run("invite_party", "NL", "INV", "--role", "cpo", "--json")
    told = last()
    assert (told.object_name, told.detail) == ("NL-INV", "roles CPO")
    assert told.detail not in invited
    run("alert_target", "shift", "--slack", "https://slack.example/hooks/a-key", "--off")
    assert (last().act, last().object_name, last().detail) == ("alert_target", "shift", "off True")
    run("alert_rule", "Night", "--kind", "BACKLOG", "--limit", "5")
    assert (last().object_name, last().detail) == ("Night", "kind BACKLOG, limit 5.0")
    run("delivery_shards", "4")
    assert (last().act, last().detail) == ("delivery_shards", "shards 4")
    before = AuditEntry.objects.count()
    run("delivery_shards")
    run("rotate_keys", "--check")
    assert AuditEntry.objects.count() == before
    assert not AuditEntry.objects.filter(detail__contains="a-key").exists()


def test_a_login_is_told(db):
    User.objects.create_superuser("chief", password=RIGHT)
    browser = Client()
    browser.post("/admin/login/", {"username": "chief", "password": RIGHT})
    assert (last().act, last().who) == ("login", "chief")
    browser.post("/admin/logout/")
    assert (last().act, last().who) == ("logout", "chief")
    sent = {
        "old_password": RIGHT,
        "new_password1": "other-horse-7",
        "new_password2": "other-horse-7",
    }
    browser.post("/admin/login/", {"username": "chief", "password": RIGHT})
    browser.post("/admin/password_change/", sent)
    assert last().act == "password_change"
    assert "horse" not in str(vars(last()))


def test_it_is_a_page_with_filters(console):
    run("suspend_party", "NL", "CPO")
    page = reverse("admin:access_auditentry_changelist")
    for query, is_there in (("", True), ("?q=NL-CPO", True), ("?way__exact=API", False)):
        with case(query):
            html = console.get(page + query).content.decode()
            assert ("suspend_party" in html.partition("result_list")[2]) is is_there
    entry = reverse("admin:access_auditentry_change", args=[last().pk])
    assert console.get(entry).status_code == 200


def test_nobody_changes_it(db):
    run("suspend_party", "NL", "CPO")
    with connection.cursor() as cursor:
        for statement in (
            "UPDATE access_auditentry SET who = 'x'",
            "DELETE FROM access_auditentry",
        ):
            refused = pytest.raises(DatabaseError, match="append-only")
            with case(statement), refused, transaction.atomic():
                cursor.execute(statement)
        cursor.execute(
            "INSERT INTO access_auditentry (at, way, who, address, act, about, object_id, "
            "object_name, detail, is_refused) VALUES "
            "(now() - interval '2 years', 'API', 'old', '', '', '', '', '', '', false)"
        )
        cursor.execute("DELETE FROM access_auditentry WHERE who = 'old'")
        assert cursor.rowcount == 1
