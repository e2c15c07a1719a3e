"""One-time passwords: nothing but choosing an own one, until one is chosen."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from hub.models import OneTimePassword
from tests.hub.commands.calling import run

CHANGE = "/admin/password_change/"
OWN = "correct-horse-7"


@pytest.fixture
def password(db) -> str:
    """Of the first operator."""
    return str(json.loads(run("first_operator"))["password"])


@pytest.fixture
def browser(password) -> Client:
    """Logged in with it."""
    client = Client()
    assert client.login(username="operator", password=password)
    return client


def change(browser: Client, old: str, new: str, again: str = ""):
    return browser.post(
        CHANGE, {"old_password": old, "new_password1": new, "new_password2": again or new}
    )


@pytest.mark.parametrize("page", ["index", "hub_platform_changelist", "hub_platform_invite"])
def test_every_page_leads_to_choosing_one(browser, page):
    for response in (browser.get(reverse(f"admin:{page}")), browser.post(reverse(f"admin:{page}"))):
        assert (response.status_code, response.url) == (302, CHANGE)
    assert "choose your own" in browser.get(CHANGE).content.decode()


def test_the_own_password_opens_the_console(browser, password):
    assert change(browser, password, OWN).status_code == 302
    assert not OneTimePassword.objects.exists()
    assert browser.get(reverse("admin:index")).status_code == 200
    assert User.objects.get().check_password(OWN)


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("wrong", OWN, OWN), (None, OWN, "other-horse-7"), (None, "short", "short")],
)
def test_a_change_that_fails_changes_nothing(browser, password, old, new, again):
    assert change(browser, old or password, new, again).status_code == 200
    assert OneTimePassword.objects.exists()
    assert User.objects.get().check_password(password)


def test_the_same_password_is_no_own_one(browser, password):
    assert change(browser, password, password).status_code == 302
    assert OneTimePassword.objects.exists()
    assert "Choose another password" in browser.get(CHANGE).content.decode()
    assert browser.get(reverse("admin:index")).status_code == 302


def test_leaving_is_possible_and_leaves_the_mark(browser):
    assert browser.post(reverse("admin:logout")).status_code == 200
    assert OneTimePassword.objects.exists()
    assert browser.get(reverse("admin:index")).url.startswith(reverse("admin:login"))


def test_logging_in_as_somebody_else_leaves_the_mark(browser):
    User.objects.create_superuser("other", password=OWN)
    browser.post(reverse("admin:login"), {"username": "other", "password": OWN})
    assert OneTimePassword.objects.exists()
    assert browser.get(reverse("admin:index")).status_code == 200


def test_ocpi_and_health_are_no_concern_of_it(browser):
    assert browser.get("/health").status_code == 200


def test_an_account_made_at_the_console_has_a_one_time_password(console):
    sent = {"username": "second", "usable_password": "true", "password1": OWN, "password2": OWN}
    assert console.post(reverse("admin:auth_user_add"), sent).status_code == 302
    assert OneTimePassword.objects.get().user.username == "second"
    page = reverse("admin:auth_user_change", args=[User.objects.get(username="second").pk])
    assert console.get(page).status_code == 200
    assert console.get(reverse("admin:auth_user_changelist")).status_code == 200
