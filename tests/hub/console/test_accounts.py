"""Operators' accounts: who may make whom an operator, and of what."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

# What a form of the clerk's account says that asks for all there is.
MORE = {
    "username": "clerk",
    "is_active": "on",
    "is_staff": "on",
    "is_superuser": "on",
    "date_joined_0": "2026-01-01",
    "date_joined_1": "10:00:00",
    "account-TOTAL_FORMS": "0",
    "account-INITIAL_FORMS": "0",
}


@pytest.fixture
def clerk(db) -> User:
    """May change accounts, and nothing else."""
    user = User.objects.create(username="clerk", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="auth", codename__endswith="_user")
    )
    return user


@pytest.fixture
def browser(clerk) -> Client:
    """The clerk's."""
    client = Client()
    client.force_login(clerk)
    return client


def _page(user: User, name: str = "change") -> str:
    return reverse(f"admin:auth_user_{name}", args=[user.pk])


def test_nobody_but_a_superuser_makes_one(browser, clerk):
    assert browser.post(_page(clerk), MORE | {"first_name": "A"}).status_code == 302
    clerk.refresh_from_db()
    assert (clerk.first_name, clerk.is_superuser, clerk.is_staff) == ("A", False, True)
    assert clerk.user_permissions.count() == 4


@pytest.mark.parametrize("sent", [{"username": "mine"}, {"username": "operator"}])
def test_a_superusers_account_is_a_superusers_matter(browser, operator, sent):
    assert browser.post(_page(operator), sent).status_code == 403
    assert browser.post(_page(operator, "delete"), {"post": "yes"}).status_code == 403
    password = {"password1": "quite-a-long-one", "password2": "quite-a-long-one"}
    change = reverse("admin:auth_user_password_change", args=[operator.pk])
    assert browser.post(change, password).status_code == 403
    operator.refresh_from_db()
    assert (operator.username, operator.password) == ("operator", "")


def test_a_superuser_may(console, operator, clerk):
    assert console.post(_page(clerk), MORE).status_code == 302
    clerk.refresh_from_db()
    assert clerk.is_superuser
