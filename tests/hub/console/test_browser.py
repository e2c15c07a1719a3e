"""The console as a browser shows it: readable, within its window, of this host alone."""

import pyotp
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.test import RequestFactory
from django.urls import reverse
from playwright.sync_api import Locator, ViewportSize, expect

from hub.conformance.check import queue
from hub.console.access.models import TotpSecret
from hub.db import secret_box
from hub.models import Platform
from sessions.models import Session
from simulators.cpo import Cpo
from simulators.testing import PATIENCE
from tests.hub.console import browser as browsers
from tests.hub.console import rows
from tests.hub.console.browser import NARROW, WIDE, Looking, looking
from tests.hub.newcomer import Newcomer, platform_of
from tests.hub.recording import recorded
from tests.hub.strangers import until
from tests.running_hub import new_party

expect.set_options(timeout=PATIENCE * 1000)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not browsers.executable(),
        reason="LEFT OUT: the console in a browser needs Chromium (CHROMIUM=/its/path)",
    ),
]


@pytest.fixture(scope="module")
def chromium():
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def _nothing_read() -> None:
    """Unlike the other tests here, these have a running hub, which keeps what it has read."""


@pytest.fixture
def operator(hub) -> User:
    """Committed, for the hub answers in threads of its own."""
    return User.objects.get_or_create(username="operator", is_staff=True, is_superuser=True)[0]


@pytest.fixture(scope="module")
def filled(hub) -> None:
    with transaction.atomic():
        rows.fill()


# The menu is the same on every page, and seen on the first.
MENU = "#nav-sidebar"
# Django's own lists of permissions, whose question marks have a name but no role.
TOOLTIPS = ".selector .help-tooltip"
OTHERS = (
    "admin:index",
    "messages",
    "export",
    "locations-map",
    "what-locations-lack",
    "owed",
    "second-factor",
    "second-factor-app",
    "admin:password_change",
    "admin:hub_platform_invite",
    "admin:hub_platform_connect",
)


LIGHT, DARK = (WIDE, False), (NARROW, True)
PARTS = 5


def of_tables(operator: User) -> list[str]:
    """Of each table its page, that of its first row, and its form for a new one."""
    request = RequestFactory().get("/admin/")
    request.user = operator
    found = []
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
        if page.has_add_permission(request):
            found.append(reverse(f"{name}_add"))
    return found


def wrong_with(tab: Looking, path: str, *looks: tuple[ViewportSize, bool]) -> list[str]:
    """What cannot be read or reached on this page, and by how much it is wider than its window."""
    wrong = []
    tab.open(path)
    for window, is_dark in looks:
        tab.page.set_viewport_size(window)
        tab.in_the_dark(is_dark)
        where = f"{path}, {window['width']} px"
        # The first page is looked at with its menu.
        without = (TOOLTIPS, MENU) if path != reverse("admin:index") else (TOOLTIPS,)
        wrong += [f"{where}: {one}" for one in tab.violations(*without)]
    tab.page.set_viewport_size(NARROW)
    if wide := tab.sideways():
        wrong.append(f"{path}: {wide} px wider than a narrow window")
    return wrong


def test_every_page_of_its_own_can_be_read_and_fits_its_window(hub, chromium, operator, filled):
    """By axe-core and WCAG 2.2 AA: light on a wide screen, dark on a narrow one."""
    invited = Platform.objects.get(name="Nieuwkomer")
    paths = [*map(reverse, OTHERS), reverse("joining", args=[invited.pk])]
    with looking(chromium, hub.url, operator) as tab:
        wrong = [one for path in paths for one in wrong_with(tab, path, LIGHT, DARK)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_table_can_be_read_and_fits_its_window(hub, chromium, operator, filled, part):
    """They are alike: each is seen one way, and of each kind of page some are seen either way."""
    wrong = []
    with looking(chromium, hub.url, operator) as tab:
        for number, path in enumerate(of_tables(operator)[part::PARTS]):
            wrong += wrong_with(tab, path, DARK if number % 2 else LIGHT)
    assert not wrong, "\n".join(wrong)


def test_a_party_is_onboarded_while_its_page_tells_it(hub, chromium, operator):
    """From the form of the invitation to a page on which all is done, without a reload."""
    party = new_party("NL")
    cpo = hub.running(Cpo(party))
    with looking(chromium, hub.url, operator) as tab:
        page = tab.open(reverse("admin:hub_platform_invite"))
        page.get_by_label("Country code").fill(party.country_code)
        page.get_by_label("Party id").fill(party.party_id)
        page.get_by_label("Name").fill("New B.V.")
        page.get_by_label("CPO: operates charge points").check()
        page.get_by_role("button", name="Invite", exact=True).click()
        token = page.locator("#token").inner_text()
        page.get_by_role("link", name="Watch it join").click()
        steps = page.locator(".console-steps > li")
        expect(steps.filter(has_text="It has not called yet.")).to_be_visible()

        cpo.register(hub.versions_url, token)
        check = queue(party, push=False)
        assert until(lambda: type(check).objects.get(pk=check.pk).ended_at)
        cpo.run(cpo.simulator.publish())
        recorded(1, sender=str(party), module="locations")
        expect(page.get_by_text("First messages done")).to_be_visible()
        expect(page.get_by_text(f"{party} as CPO is CONNECTED")).to_be_visible()
        expect(page.locator(".console-steps > li.done")).to_have_count(steps.count())


def test_a_failing_handshake_is_explained_while_it_fails(hub, chromium, operator):
    newcomer = Newcomer(hub)
    with looking(chromium, hub.url, operator) as tab:
        page = tab.open(reverse("joining", args=[platform_of(newcomer).pk]))
        nowhere = f"{newcomer.running.url}/nowhere"
        assert newcomer.post(url=nowhere).code == 3001
        recorded(1, module="credentials", sender=str(newcomer.party))
        failed = page.locator(".console-steps > li.failed")
        expect(failed).to_contain_text("Credentials are exchanged")
        expect(failed).to_contain_text(f"GET versions at {nowhere} was answered with HTTP 404")
        assert newcomer.post().code == 1000
        recorded(2, module="credentials", sender=str(newcomer.party))
        expect(failed).to_have_count(0)


def test_a_session_is_drawn_and_gets_another_fsp(hub, chromium, operator, filled):
    session = Session.objects.get(session_id="S-00000")
    address = reverse("admin:ocpi_sessions_session_change", args=[session.pk])
    with looking(chromium, hub.url, operator) as tab:
        page = tab.open(address)
        drawn = page.locator("#session-panels canvas")
        expect(drawn.first).to_be_visible()
        assert all(one["width"] > 300 for one in map(Locator.bounding_box, drawn.all()) if one)
        page.get_by_role("link", name="Set FSP").click()
        page.get_by_label("FSP").select_option("NONE")
        page.locator("#dialog button[type=submit]").click()
        expect(page.get_by_text("The FSP is nobody (agreement ")).to_be_visible()


def test_a_code_of_an_app_is_asked_for_after_the_password(hub, chromium):
    user = User.objects.create_user("careful", password="correct-horse-7", is_staff=True)
    user.is_superuser = True
    user.save()
    secret = pyotp.random_base32()
    TotpSecret.objects.create(user=user, secret_encrypted=secret_box.encrypt(secret))
    with looking(chromium, hub.url) as tab:
        page = tab.open("/admin/login/?next=/admin/export/")
        page.get_by_label("Username").fill("careful")
        page.get_by_label("Password").fill("correct-horse-7")
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Code of your app").fill(pyotp.TOTP(secret).now())
        page.get_by_role("button", name="Go on").click()
        expect(page).to_have_url(f"{hub.url}/admin/export/")
