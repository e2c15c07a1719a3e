"""Every page of the console: it shows its rows, nothing secret, and nothing of other servers."""

import re

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cdrs.models import Cdr
from charging_profiles.models import ProfileCommand
from flex.api.models import ApiKey, Prepared, Site
from flex.life.models import HubCommand, NotTaken, Spacing
from flex.models import FlexAgreement, FlexExclusion, FspAssignment, PreferenceCopy
from flex.switching.models import CpoSlots, FspSwitch
from hub.models import Agreement, Delivery, Erasure, Party, Platform, StaleCopy
from hub.monitoring.alerts.models import Alert, Rule, Target
from hub.ocpi.party import PartyId
from locations.models import Location
from sessions.models import Session
from tariffs.models import Tariff
from tests.cases import case
from tests.flex.agreements import acts
from tests.hub.console import rows
from tokens.models import Token

READ_ONLY = (
    Alert,
    Platform,
    Party,
    Delivery,
    StaleCopy,
    Session,
    ProfileCommand,
    PreferenceCopy,
    Prepared,
    FspAssignment,
    HubCommand,
    Spacing,
    NotTaken,
    FspSwitch,
    Erasure,
    Location,
    Tariff,
    Token,
    Cdr,
)
EDITABLE = (Rule, Target, Agreement, FlexAgreement, FlexExclusion, ApiKey, Site)
pytestmark = pytest.mark.usefixtures("filled")


def url(model, page="changelist", *arguments) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def page(console, address: str) -> str:
    response = console.get(address)
    assert response.status_code == 200, address
    return str(response.content.decode())


def assert_harmless(html: str) -> None:
    """Nothing that opens something, and no other server is asked for anything."""
    for secret in (rows.TOKEN_UID, rows.CONTRACT_ID, "secret=1"):
        assert secret not in html
    for key in ProfileCommand.objects.values_list("key", flat=True):
        assert key not in html
    # The Content-Security-Policy takes no script of a page.
    scripts = re.findall(r"<script\b[^>]*>", html)
    assert all("src=" in one or 'type="application/json"' in one for one in scripts), scripts
    assert not re.search(r"<[^>]+\son[a-z]+=", html)
    loaded = re.findall(r'(?:src|srcset|action|hx-get|hx-post)="([^"]+)"', html)
    loaded += re.findall(r'<link[^>]+href="([^"]+)"', html)
    assert loaded
    for address in loaded:
        assert not address.startswith(("//", "http://", "https://")), address


def test_list_and_details(console):
    for model in READ_ONLY + EDITABLE:
        with case(model.__name__):
            listed = page(console, url(model))
            assert_harmless(listed)
            for row in model.objects.all():
                address = url(model, "change", row.pk)
                assert address in listed
                assert_harmless(page(console, address))


def queries_of_lists(console) -> dict[str, int]:
    counts = {}
    for model in READ_ONLY + EDITABLE:
        with CaptureQueriesContext(connection) as captured:
            page(console, url(model))
        counts[model.__name__] = len(captured)
    return counts


def test_the_queries_of_a_list_do_not_grow_with_its_rows(console):
    queries_of_lists(console)
    before = queries_of_lists(console)
    cpo = rows.platform("Second", ("NL", "SEC", "CPO"), ("NL", "SEC", "EMSP"))
    scsp = rows.platform("Third", ("NL", "THI", "SCSP"))
    rows.marks(scsp)
    for number in range(20, 25):
        kept = rows.session(number)
        rows.preferences(kept, 3)
        acts(PartyId("NL", "SCS"), kept, "agreement 7")
        rows.commands(kept, scsp, cpo)
        rows.own_command(kept, learned_of=f"C{number}")
        rows.switch(kept, kept_by=f"C{number}")
        rows.flex_api(kept, f"Site {number}")
        rows.deliveries(kept, scsp)
        rows.stored(number)
        Agreement.objects.create(
            country_code_a="NL",
            party_id_a="SEC",
            country_code_b="NL",
            party_id_b="THI",
            module=str(number),
        )
        FlexAgreement.objects.create(
            fsp_country_code="NL",
            fsp_party_id="THI",
            cpo_country_code="NL",
            cpo_party_id="SEC",
            location_id=str(number),
        )
    # The first look writes down what it finds in what has come.
    queries_of_lists(console)
    assert queries_of_lists(console) == before


def test_what_the_hub_writes_is_read_only(console):
    for model in READ_ONLY:
        row = model.objects.all()[0]
        # Of a platform an operator may change whether its lists are pulled (test_pulls.py).
        changes = [] if model is Platform else [url(model, "change", row.pk)]
        for address in (url(model, "add"), url(model, "delete", row.pk), *changes):
            assert console.post(address, {"post": "yes"}).status_code == 403, address
        action = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        console.post(url(model), action)
        assert model.objects.filter(pk=row.pk).exists()


def test_every_table_of_the_sidebar_exists(console):
    html = page(console, reverse("admin:index"))
    assert_harmless(html)
    for model in admin.site._registry:
        assert url(model) in html, model


AT_A_GLANCE = (
    (Platform, ("Volt Charging B.V.", "DE-AUT CPO, DE-MSP EMSP", "invited, has not come")),
    (Platform, ("CONNECTED", "OFFLINE", "PLANNED", "SUSPENDED", rows.NOBODY_ANSWERS)),
    (Party, ("NL-ZUN", "waits for you")),
    (Session, ("S-00000", "NL-CPO", "DE-MSP", "6.70", "NL-SCS", "RESERVATION")),
    (ProfileCommand, ("RESULT ACCEPTED", "TOO_OFTEN, OCPI 1000", "180 ms", "ACCEPTED late")),
    (Delivery, ("PUT sessions", "Slimladen", "HTTP 200, OCPI 2003: Unknown Location")),
    (PreferenceCopy, ("CHEAP", "22.5000", "HTTP 404 OCPI 1000")),
    (Agreement, ("DE-MSP and FR-BDS", "contract ended on 1 March", "This is an open hub")),
    (FlexAgreement, ("NL-SCS", "NL-CPO", "any", "the CPO")),
    (FlexExclusion, ("all third parties", "FR-BDS")),
    (FspAssignment, ("NL-SCS", "acts", "agreement")),
    (HubCommand, ("RELEASE", "VERIFYING", "departure time has come")),
    (Spacing, ("NL-CPO", "31.5", "one session")),
    (NotTaken, ("NL-CPO", "DELETE", "the profile stays in force")),
    (FspSwitch, ("NL-OLD", "NL-SCS", "ATTENTION")),
    (CpoSlots, ("NL-CPO", "per sender")),
    (Location, ("LOC0", "NL-CPO", "Gent", "everybody")),
    (Tariff, ("TARIFF0", "NL-CPO", "EUR", "DE-MSP alone")),
    (Token, ("•••680", "APP_USER", "DE-MSP", "TheNewMotion", "NEVER")),
    (Cdr, ("CDR-0-C", "DE-MSP", "4.00 EUR (credit)", "15.34", "HTTP 201")),
    (Erasure, ("DE-MSP", "3 sessions", "2 CDRs", "under a pseudonym")),
)


def test_lists_tell_at_a_glance(console):
    for model, found in AT_A_GLANCE:
        html = page(console, url(model))
        for text in found:
            assert text in html


def test_the_page_of_a_session_has_all_that_hangs_on_it(console):
    html = page(console, url(Session, "change", Session.objects.get(session_id="S-00000").pk))
    for text in ("•••680", "•••8-X", "ENERGY NEED", "TOO_OFTEN", "agreement", "TIMED OUT"):
        assert text.lower() in html.lower()


def test_the_page_of_a_command_has_its_bodies_without_our_key(console):
    command = ProfileCommand.objects.get(state="RESULT_ACCEPTED")
    html = page(console, url(ProfileCommand, "change", command.pk))
    for text in ("charging_rate_unit", "profile-result/•••", "https://scsp.example/results/8f14"):
        assert text in html


def test_a_contract_hub_says_so(console, settings):
    settings.AGREEMENTS_OPEN_BY_DEFAULT = False
    assert "This is a contract hub" in page(console, url(Agreement))


def test_searching(console):
    for model in READ_ONLY + EDITABLE:
        for term in ("CPO", "nothing of the kind"):
            page(console, f"{url(model)}?q={term}")


def test_nobody_else_sees_anything(client):
    response = client.get(url(Platform))
    assert response.status_code == 302
    assert response.url.startswith(reverse("admin:login"))


ODD = [
    b'{"kwh":"much","status":5,"cdr_token":null,"last_updated":"soon"}',
    b'{"total_cost":4.5,"total_energy":"15.342","currency":["EUR"],"credit":"true"}',
    b'{"total_cost":{"excl_vat":1e300},"total_energy":1e300,"kwh":1e300}',
    b'{"name":5,"city":null,"evses":{},"elements":"none","type":{},"valid":"true","whitelist":1}',
    b"{}",
]


def test_what_is_spelled_oddly_is_shown_all_the_same(console):
    for number in range(1, len(ODD)):
        rows.stored(number)
    Session.objects.update(status="SOMEHOW")
    for model in (Session, Location, Tariff, Token, Cdr):
        with case(model.__name__):
            keys = list(model.objects.order_by("pk").values_list("pk", flat=True))[: len(ODD)]
            for key, document in zip(keys, ODD, strict=True):
                model.objects.filter(pk=key).update(document=document)
                page(console, url(model, "change", key))
            listed = page(console, url(model))
            for key in keys:
                assert url(model, "change", key) in listed


def test_a_session_that_nobody_has_accepted_yet_is_said_to_be_so(console):
    Session.objects.update(is_accepted=False)
    assert "not accepted" in page(console, url(Session))
