"""What each role may see and do: every URL of the console has a line in the table below."""

import re
from collections.abc import Iterator
from typing import Final

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.utils import timezone

from flex.api.models import ApiKey
from hub.conformance.models import ConformanceCheck
from hub.console.access.models import Account, AdminKey
from hub.console.access.roles import Role
from hub.console.api import keys as admin_keys
from hub.deviations.models import DeviationCount
from hub.models import Delivery, DeliveryState, Party, Platform, StaleCopy
from hub.models.pulls import Pull
from hub.monitoring.alerts.models import Target
from sessions.models import Session
from tests.cases import case
from tests.hub.recording import message

# Who sees a page: R read-only, V privacy, P a party's own staff, N an account without any role. An
# operator (O) sees all except what is an administrator's; both are written out too.
TABLES: Final = {
    "access_adminkey": "",
    "access_auditentry": "OV",
    "alerts_alert": "OR",
    "alerts_rule": "OR",
    "alerts_target": "OR",
    "auth_user": "",
    "conformance_conformancecheck": "ORP",
    "deviations_deviationcount": "ORP",
    "flex_api_apikey": "O",
    "flex_api_prepared": "ORV",
    "flex_api_site": "OR",
    "flex_flexagreement": "OR",
    "flex_flexexclusion": "OR",
    "flex_fspassignment": "OR",
    "flex_knowledge_profileeffect": "OR",
    "flex_life_hubcommand": "OR",
    "flex_life_nottaken": "OR",
    "flex_life_spacing": "OR",
    "flex_preferencecopy": "ORV",
    "flex_switching_cposlots": "OR",
    "flex_switching_fspswitch": "OR",
    "hub_agreement": "OR",
    "hub_delivery": "ORP",
    "hub_erasure": "OV",
    "hub_party": "ORP",
    "hub_platform": "OR",
    "hub_stalecopy": "OR",
    "hub_usage": "OR",
    "ocpi_cdrs_cdr": "ORV",
    "ocpi_charging_profiles_profilecommand": "ORV",
    "ocpi_locations_location": "OR",
    "ocpi_sessions_session": "ORV",
    "ocpi_tariffs_tariff": "OR",
    "ocpi_tokens_token": "ORV",
    "record_bodyrecording": "OV",
}
# By the route below /admin/; what acts is tried by a GET, which shows its form or refuses.
PAGES: Final = {
    "": "ORVPN",
    "search/": "ORVPN",
    "password_change/": "ORVPN",
    "password_change/done/": "ORVPN",
    "jsi18n/": "ORVPN",
    "messages/": "ORVP",
    "messages/exchange/": "ORVP",
    "api/messages": "ORVP",
    "export/": "ORVP",
    "hub/delivery/send_all_again/": "O",
    "overview/": "OR",
    "owed/": "OR",
    "map/": "OR",
    "what-locations-lack/": "OR",
    "second-factor/": "ORVPN",
    "second-factor/app/": "ORVPN",
    "second-factor/check/": "ORVPN",
    "second-factor/codes/": "ORVPN",
    "second-factor/key/": "ORVPN",
    "second-factor/remove/": "ORVPN",
    "hub/platform/invite/": "O",
    "hub/platform/connect/": "O",
}
# Actions on one row, which show a form on GET.
ACTIONS: Final = {
    "alerts/target/test": "O",
    "access/adminkey/revoke": "",
    "flex_api/apikey/revoke": "O",
    "hub/delivery/send_again": "OP",
    "hub/party/agree": "O",
    "hub/party/check_party": "OP",
    "hub/party/replay": "O",
    "hub/party/resume": "O",
    "hub/party/suspend": "O",
    "hub/platform/connect-instead": "O",
    "hub/platform/end": "O",
    "hub/platform/end-here": "O",
    "hub/platform/invite-again": "O",
    "hub/platform/pull-now": "O",
    "hub/platform/renew": "O",
    "hub/stalecopy/try_again": "O",
    "hub/platform/joining": "OR",
    "joining/path": "ORP",
    "joining/steps": "ORP",
    "ocpi_sessions/session/release": "O",
    "ocpi_sessions/session/set_fsp": "O",
}
# Answered to everybody, or leading nowhere: Django's own.
OPEN: Final = frozenset(
    {
        "login/",
        "logout/",
        "autocomplete/",
        "second-factor/check/key/",
        "single-sign-on/",
        "single-sign-on/return/",
    }
)
NOWHERE: Final = re.compile(r"r/<|\(\?P<(url|app_label)>")
OF_A_ROW: Final = frozenset({"history/", "delete/", "change/", "password/", ""})
NAME: Final = {
    "O": Role.OPERATOR,
    "R": Role.READER,
    "V": Role.PRIVACY,
    "P": Role.PARTY,
}
pytestmark = pytest.mark.usefixtures("filled")


def routes() -> Iterator[str]:
    """Below /admin/."""

    def walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
        for one in patterns:
            route = before + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            elif route.startswith("admin/"):
                yield route.removeprefix("admin/")

    yield from walk(get_resolver().url_patterns, "")


def unnamed() -> list[str]:
    """Routes that no table above has a line for."""
    found = []
    for route in routes():
        head, _, rest = route.partition("/<")
        table, act = head.replace("/", "_"), rest.partition(">/")[2]
        known = (
            route in PAGES
            or route in OPEN
            or NOWHERE.search(route)
            or (rest and table in TABLES and act in OF_A_ROW)
            or f"{head}/{act.rstrip('/')}" in ACTIONS
            or (not rest and route.rstrip("/").removesuffix("/add").replace("/", "_") in TABLES)
        )
        if not known:
            found.append(route)
    return found


@pytest.fixture
def browsers(db) -> dict[str, Client]:
    """By role; the party is NL-CPO."""
    made = {}
    for letter in "AORVPN":
        user = User.objects.create(username=letter, is_staff=True, is_superuser=letter == "A")
        if letter in NAME:
            parties = ["NL-CPO"] if letter == "P" else []
            Account.objects.create(user=user, role=NAME[letter], parties=parties)
        made[letter] = Client()
        made[letter].force_login(user)
    return made


def seen_by(address: str, letters: str = "AORVPN") -> str:
    """The letters of those to whom it is shown, or who are led on to what they may see.

    The view alone, without its page: drawing hundreds of them would take a minute.
    """
    path, _, query = address.partition("?")
    view = resolve(path)

    def is_seen(letter: str) -> bool:
        request = RequestFactory().get(path, QUERY_STRING=query)
        request.user = User.objects.get(username=letter)
        request.session = {}  # type: ignore[assignment]
        request._messages = CookieStorage(request)  # type: ignore[attr-defined]
        try:
            response = view.func(request, *view.args, **view.kwargs)
        except PermissionDenied:
            return False
        return response.status_code in {200, 302}

    return "".join(filter(is_seen, letters))


def test_every_page_has_a_line_in_the_table():
    assert not unnamed(), (
        "Who may see these pages? Say so in TABLES, PAGES or ACTIONS of this file, and in "
        f"hub/console/access/roles.py: {unnamed()}"
    )


def test_each_role_sees_its_pages_and_no_others(browsers):
    for route, letters in PAGES.items():
        with case(route):
            assert seen_by(f"/admin/{route}") == f"A{letters}"
    for table, letters in TABLES.items():
        with case(table):
            assert seen_by(reverse(f"admin:{table}_changelist")) == f"A{letters}"


# On which rows an action can be done; "" is any.
ACTED_ON: Final = {
    "alerts/target/test": Target.objects.all(),
    "access/adminkey/revoke": AdminKey.objects.filter(revoked_at=None),
    "flex_api/apikey/revoke": ApiKey.objects.filter(revoked_at=None),
    "hub/delivery/send_again": Delivery.objects.filter(is_kept=True, state=DeliveryState.FAILED),
    "hub/party/agree": Party.objects.filter(party_id="ZUN"),
    "hub/party/check_party": Party.objects.filter(party_id="CPO"),
    "hub/party/replay": Party.objects.filter(party_id="CPO"),
    "hub/party/resume": Party.objects.filter(is_suspended=True),
    "hub/party/suspend": Party.objects.filter(party_id="CPO"),
    "hub/platform/connect-instead": Platform.objects.filter(registered_at=None),
    "hub/platform/end": Platform.objects.exclude(registered_at=None),
    "hub/platform/end-here": Platform.objects.exclude(registered_at=None),
    "hub/platform/invite-again": Platform.objects.filter(registered_at=None),
    "hub/platform/pull-now": Platform.objects.filter(name="Volt Charging B.V."),
    "hub/platform/renew": Platform.objects.exclude(registered_at=None),
    "hub/platform/joining": Platform.objects.exclude(registered_at=None),
    "joining/path": Platform.objects.filter(name="Volt Charging B.V."),
    "joining/steps": Platform.objects.filter(name="Volt Charging B.V."),
    "hub/stalecopy/try_again": StaleCopy.objects.filter(state="REFUSED"),
    "ocpi_sessions/session/release": Session.objects.filter(status="ACTIVE"),
    "ocpi_sessions/session/set_fsp": Session.objects.filter(status="ACTIVE"),
}


def test_each_role_may_act_as_its_line_says(browsers):
    to_cpo = {"to_country_code": "NL", "to_party_id": "CPO"}
    Delivery.objects.filter(state=DeliveryState.FAILED).update(is_kept=True, **to_cpo)
    cpo = Platform.objects.get(name="Volt Charging B.V.")
    Pull.objects.create(platform=cpo, country_code="NL", party_id="CPO", module="locations")
    admin_keys.make(Role.READER, name="", made_by="")
    assert set(ACTED_ON) == set(ACTIONS)
    for action, letters in ACTIONS.items():
        head, _, act = action.rpartition("/")
        row = ACTED_ON[action].first()
        with case(action):
            assert row is not None
            assert seen_by(f"/admin/{head}/{row.pk}/{act}/") == f"A{letters}"


def test_nobody_without_a_line_writes(browsers):
    """A row that may be seen is changed by nobody except those whose pages change it."""
    for table in TABLES:
        model = next(m for m in admin.site._registry if m._meta.db_table == table)
        row = model._default_manager.first()
        addresses = [reverse(f"admin:{table}_add")]
        if row is not None:
            addresses.append(reverse(f"admin:{table}_delete", args=[row.pk]))
        for address in addresses:
            with case(address):
                assert not set(seen_by(address)) & set("RPN")


LEAK: Final = "LEAKED"


@pytest.fixture
def _of_others(filled) -> None:
    """What the staff of NL-CPO must not come to see, with a word by which it is found."""
    autostrom = Platform.objects.get(name="Autostrom GmbH")
    autostrom.parties.filter(party_id="MSP").update(name=LEAK)
    now = timezone.now()
    for platform, example in (
        (autostrom, LEAK),
        (Platform.objects.get(name="Volt Charging B.V."), "our own"),
    ):
        DeviationCount.objects.create(
            platform=platform,
            rule="decimals",
            path=f"/{example}",
            number=1,
            first_at=now,
            last_at=now,
            example=example,
        )
    for party, problem in (("MSP", LEAK), ("CPO", "our own")):
        code = "DE" if party == "MSP" else "NL"
        ConformanceCheck.objects.create(
            platform=Party.objects.get(party_id=party).platform,
            country_code=code,
            party_id=party,
            problem=problem,
        )
    other = {"sender": "DE-MSP", "receiver": "NL-SCS", "problem": LEAK, "is_failed": True}
    message(correlation_id="theirs", **other)
    message(correlation_id="ours", problem="our own", is_failed=True)
    # The same exchange at its other end, and what came of it there.
    message(correlation_id="ours", direction="OUT", problem=LEAK, is_failed=True)
    scsp = Platform.objects.get(name="Slimladen")
    for whose, word in (("MSP", LEAK), ("CPO", "our own")):
        Delivery.objects.create(
            receiver=scsp,
            module="sessions",
            method="PUT",
            from_country_code="NL",
            from_party_id=whose,
            to_country_code="NL",
            to_party_id="SCS",
            correlation_id="ours",
            outcome=word,
            state=DeliveryState.FAILED,
            is_kept=True,
        )


@pytest.mark.usefixtures("_of_others")
def test_a_partys_staff_see_nothing_of_others(browsers):
    """Nor by what they ask for: filters, searches, ids, exports."""
    addresses = [
        *(reverse(f"admin:{table}_changelist") for table, who in TABLES.items() if "P" in who),
        *("/admin/messages/", "/admin/messages/?party=DE-MSP", "/admin/messages/?failed=on"),
        *("/admin/messages/exchange/?correlation_id=theirs", "/admin/api/messages"),
        *("/admin/messages/exchange/?correlation_id=ours", "/admin/api/messages?failed=1"),
        *("/admin/messages/?object=S-00000", "/admin/export/"),
        f"/admin/search/?s={LEAK}&extended=1",
    ]
    own = browsers["P"]
    for address in addresses:
        with case(address):
            html = own.get(address).content.decode()
            assert LEAK not in html.replace(f"s={LEAK}", "")
            for name in ("Bornes du Sud", "FR-BDS", "Autostrom"):
                assert name not in html
    for table, who in TABLES.items():
        if "P" not in who:
            continue
        with case(table):
            listed = own.get(reverse(f"admin:{table}_changelist")).content.decode()
            everybodys = browsers["O"].get(reverse(f"admin:{table}_changelist")).content.decode()
            assert LEAK in everybodys
            model = next(m for m in admin.site._registry if m._meta.db_table == table)
            for row in model._default_manager.all():
                address = reverse(f"admin:{table}_change", args=[row.pk])
                is_own = address in listed
                found = own.get(address, follow=False)
                assert (found.status_code == 200) is is_own, address
                assert LEAK not in found.content.decode()
    assert "our own" in own.get("/admin/messages/").content.decode()
    ours = own.get("/admin/messages/exchange/?correlation_id=ours").content.decode()
    assert "our own" in ours
    theirs = Delivery.objects.get(outcome=LEAK)
    assert own.get(f"/admin/hub/delivery/{theirs.pk}/send_again/").status_code == 403
    own.post(
        reverse("admin:hub_delivery_changelist"),
        {"action": "send_selected_again", "_selected_action": [theirs.pk]},
    )
    theirs.refresh_from_db()
    assert theirs.state == DeliveryState.FAILED
    msp = Party.objects.get(party_id="MSP")
    assert own.get(f"/admin/hub/party/{msp.pk}/check_party/").status_code == 403


@pytest.mark.usefixtures("_of_others")
def test_a_platform_of_several_parties_is_not_shown_to_the_staff_of_one(browsers):
    """Unless they are the staff of all of them."""
    page = reverse("admin:deviations_deviationcount_changelist")
    account = Account.objects.get(role=Role.PARTY)
    for parties, is_seen in ((["DE-MSP"], False), (["DE-AUT", "DE-MSP"], True)):
        account.parties = parties
        account.save()
        with case(parties):
            assert (LEAK in browsers["P"].get(page).content.decode()) is is_seen


def test_a_list_is_narrowed_by_its_filters_alone(browsers):
    """What a page masks is not read out of the number of its rows, character by character."""
    for table, query, status in (
        ("ocpi_tokens_token", "object_id__startswith=04A", 400),
        ("ocpi_tokens_token", "object_id__gte=04A", 400),
        ("ocpi_sessions_session", "token_uid__startswith=04A", 400),
        ("ocpi_sessions_session", "document__contains=04A", 400),
        ("flex_flexagreement", "token_uid=04A2B3C4D5E680", 400),
        ("hub_delivery", "path__contains=04A", 400),
        ("hub_delivery", "receiver__token_c_hash__isnull=0", 400),
        (
            "ocpi_tokens_token",
            "owner=DE-MSP&last_updated__gte=2026-01-01%2000:00:00%2B00:00",
            200,
        ),
        ("ocpi_cdrs_cdr", "priced__result__exact=DIFFERENT", 200),
        ("hub_delivery", "again=yes&module=sessions&receiver__id__exact=1", 200),
        ("hub_stalecopy", "state=REFUSED&module=sessions&receiver__id__exact=1", 200),
        ("flex_fspassignment", "ended_at__isempty=1", 200),
    ):
        with case(table, query):
            found = browsers["R"].get(f"{reverse(f'admin:{table}_changelist')}?{query}")
            assert found.status_code == status


def test_metrics_are_no_matter_of_staff_without_rights(browsers, settings):
    settings.METRICS_TOKEN = "metrics-token"
    assert seen_by("/metrics") == "AOR"


def test_nobody_is_led_into_a_dead_end(browsers):
    """From the first page on: to what one may see, or to words that say whom to ask."""
    for letter, leads_to in (("P", "hub/party"), ("V", "messages"), ("R", None), ("N", None)):
        with case(letter):
            first = browsers[letter].get("/admin/")
            assert (first.url if first.status_code == 302 else None) == (
                leads_to and f"/admin/{leads_to}/"
            )
            shown = browsers[letter].get("/admin/", follow=True)
            assert shown.status_code == 200
    assert "An administrator" in shown.content.decode()
    menu = browsers["P"].get("/admin/", follow=True).content.decode()
    for link, is_there in (("/admin/messages/", True), ("/admin/hub/platform/", False)):
        assert (f'href="{link}"' in menu) is is_there


def test_permissions_that_were_given_one_by_one_count(browsers):
    user = User.objects.get(username="N")
    user.user_permissions.add(
        Permission.objects.get(codename="view_party", content_type__app_label="hub")
    )
    assert seen_by("/admin/hub/party/", "N") == "N"
    staff = User.objects.get(username="P")
    staff.user_permissions.add(
        Permission.objects.get(codename="view_platform", content_type__app_label="hub")
    )
    assert not seen_by("/admin/hub/platform/", "P")


def test_an_administrator_gives_roles(browsers):
    user = User.objects.create(username="new")
    page = reverse("admin:auth_user_change", args=[user.pk])
    sent = {
        "username": "new",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "10:00:00",
        "account-TOTAL_FORMS": "1",
        "account-INITIAL_FORMS": "0",
        "account-0-user": str(user.pk),
        "account-0-role": "PARTY",
    }
    for parties, told in (("", "Name the party"), ("NL-TOOLONG", "TOOLONG")):
        answer = browsers["A"].post(page, sent | {"account-0-parties": parties})
        assert told in answer.content.decode()
    assert (
        browsers["A"].post(page, sent | {"account-0-parties": "nl-abc,DE-MSP"}).status_code == 302
    )
    user.refresh_from_db()
    assert (user.is_staff, user.account.parties) == (True, ["DE-MSP", "NL-ABC"])
    # Who has the role already may be kept out of the console, and keep it.
    kept = {"account-INITIAL_FORMS": "1", "account-0-parties": "NL-ABC"}
    assert browsers["A"].post(page, sent | kept).status_code == 302
    user = User.objects.get(username="new")
    assert (user.is_staff, user.account.parties) == (False, ["NL-ABC"])
    assert browsers["O"].post(page, sent).status_code == 403
