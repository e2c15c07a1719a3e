"""Single sign-on: who the provider vouches for, and an administrator has entered, gets in."""

import math
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client

from hub.console.access import oidc, sign_on
from hub.console.access.models import Account, AuditEntry, SingleSignOn
from hub.console.access.roles import Role
from hub.models import OneTimePassword
from tests.cases import case
from tests.hub.console import provider
from tests.hub.console.provider import SmallProvider

BEGIN, BACK = "/admin/single-sign-on/", "/admin/single-sign-on/return/"


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> Iterator[None]:
    sign_on.throttle._whole_at.clear()
    yield
    sign_on.throttle._whole_at.clear()


@pytest.fixture
def small(settings, db) -> Iterator[SmallProvider]:
    """A provider that vouches for Ada, whom an administrator has entered."""
    with provider.running() as found:
        settings.OIDC_ISSUER = found.issuer
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = provider.CLIENT, provider.SECRET
        found.claims = {"sub": "ada-1", "email": "Ada@party.example", "email_verified": True}
        User.objects.create(username="ada", email="ada@party.example", is_staff=True)
        yield found


def come(small: SmallProvider, browser: Client | None = None, **changes: str):
    """The whole way, there and back: the answer to the return."""
    browser = browser or Client()
    led = browser.get(BEGIN, {"next": "/admin/messages/"})
    assert led.status_code == 302
    brought = small.let_in(led["Location"])
    return browser.get(BACK, brought | changes)


def problem(browser: Client) -> str:
    return browser.get("/admin/login/").content.decode()


def test_who_is_entered_gets_in_and_is_known_from_then_on(small, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    browser = Client()
    assert "Single sign-on" in browser.get("/admin/login/").content.decode()
    assert come(small, browser).url == "/admin/messages/"
    user = User.objects.get()
    assert browser.get("/admin/").wsgi_request.user == user
    assert SingleSignOn.objects.get().subject == "ada-1"
    told = AuditEntry.objects.get()
    assert (told.who, told.act, told.detail) == ("ada", "login", "single sign-on")
    user.email = "other@party.example"
    user.save()
    assert come(small).url == "/admin/messages/", "by what the provider calls her"
    user.is_active = False
    user.save()
    assert come(small).url == "/admin/login/"


def test_an_account_that_was_entered_at_the_console_gets_to_its_pages(small, console):
    """Whether or not it was given a password: nobody told it to who comes by single sign-on."""
    password = {"password1": "correct-horse-7", "password2": "correct-horse-7"}
    for name, sent in (
        ("without", {"usable_password": "false"}),
        ("with", {"usable_password": "true"} | password),
    ):
        with case(name):
            made = console.post("/admin/auth/user/add/", {"username": name} | sent)
            assert made.status_code == 302, made.content
            assert OneTimePassword.objects.exists() is (name == "with")
            account = User.objects.filter(username=name)
            account.update(email=f"{name}@party.example", is_staff=True, is_superuser=True)
            small.claims |= {"sub": name, "email": f"{name}@party.example"}
            browser = Client()
            assert come(small, browser).url == "/admin/messages/"
            assert browser.get("/admin/messages/").status_code == 200
    browser.post("/admin/login/", {"username": "with", "password": password["password1"]})
    assert browser.get("/admin/messages/").url == "/admin/password_change/"


def test_who_is_not_entered_or_not_verified_does_not(small):
    User.objects.create(username="bob", email="bob@party.example")
    for name, claims in (
        ("nobody", {"email": "nobody@party.example"}),
        ("unverified", {"email_verified": False}),
        ("unverified, as a text", {"email_verified": "true"}),
        ("no address", {"email": None}),
        ("no staff", {"email": "bob@party.example", "sub": "bob"}),
    ):
        with case(name):
            former, small.claims = small.claims, small.claims | claims
            assert come(small).url == "/admin/login/"
            small.claims = former
    assert not User.objects.get(username="bob").is_staff
    assert User.objects.count() == 2
    come(small)
    small.claims |= {"sub": "ada-2"}
    browser = Client()
    assert come(small, browser).url == "/admin/login/"
    assert "belongs to another person" in problem(browser)


def test_a_token_that_is_not_right_does_not(small, settings):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for changes in (
        {"iss": "http://127.0.0.1:1"},
        {"aud": "another"},
        {"aud": [provider.CLIENT, "another"]},
        {"exp": int(time.time()) - 3600},
        {"nonce": "another"},
        {"nonce": None},
    ):
        with case(changes):
            small.changes = changes
            assert come(small).url == "/admin/login/"
    small.changes = {}
    small.signs_with = other
    assert come(small).url == "/admin/login/"
    small.signs_with = small.key
    for changes in ({"state": "another"}, {"code": "another"}, {"code": ""}):
        with case(changes):
            assert come(small, **changes).url == "/admin/login/"
    settings.OIDC_CLIENT_SECRET = "wrong"
    assert come(small).url == "/admin/login/"
    settings.OIDC_CLIENT_SECRET = provider.SECRET
    browser = Client()
    brought = small.let_in(browser.get(BEGIN).url)
    assert Client().get(BACK, brought).url == "/admin/login/", "begun in another browser"
    assert browser.get(BACK, brought).url == "/admin/"
    assert browser.get(BACK, brought).url == "/admin/login/", "an answer is for one time"
    assert SingleSignOn.objects.count() == 1


def test_a_new_key_of_the_provider_is_looked_up(small):
    come(small)
    small.key = small.signs_with = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    small.kid = "second"
    assert come(small).url == "/admin/messages/"


def test_groups_give_roles_and_nobody_is_made_staff(small, settings):
    settings.OIDC_ROLES = [("admins", "OPERATOR"), ("all", "READER")]
    user = User.objects.get()
    for groups, role in (
        (["all", "admins"], Role.OPERATOR),
        ("all", Role.READER),
        (["others"], None),
        (None, None),
    ):
        small.claims["groups"] = groups
        with case(groups):
            assert come(small).url == ("/admin/messages/" if role else "/admin/login/")
            if role:
                assert Account.objects.get(user=user).role == role
    small.claims["groups"] = ["admins"]
    Account.objects.filter(user=user).update(role=Role.PARTY, parties=["NL-CPO"])
    come(small)
    assert Account.objects.get(user=user).role == Role.PARTY
    Account.objects.all().delete()
    User.objects.update(is_superuser=True)
    come(small)
    assert not Account.objects.exists()


def test_without_the_setting_there_is_none(db):
    browser = Client()
    assert browser.get(BEGIN).status_code == 404
    assert "Single sign-on" not in problem(browser)


def test_a_provider_that_is_away_or_somebody_else_is_told(small, settings):
    browser = Client()
    settings.OIDC_ISSUER = f"{small.issuer}/tenant"
    assert urlsplit(browser.get(BEGIN).url).path == "/admin/login/"
    assert "calls itself otherwise" in problem(browser)
    settings.OIDC_ISSUER = "http://127.0.0.1:1"
    assert browser.get(BEGIN).url == "/admin/login/"
    assert "cannot be asked" in problem(browser)
    settings.OIDC_ISSUER, settings.IS_TRIAL = small.issuer, False
    assert browser.get(BEGIN).url == "/admin/login/", "https alone, except on trial"


def test_a_stranger_takes_no_room_and_little_time(small, settings):
    small.published = {"keys": [{"kty": "none"}]}
    browser = Client()
    assert browser.get(BEGIN).url == "/admin/login/"
    assert "no keys that can be read" in problem(browser)
    # As if that were just now, however slow this machine is: it is not asked again so soon.
    small.published, oidc.provider()._failed_at = None, math.inf
    assert browser.get(BEGIN).url == "/admin/login/"
    oidc.provider()._failed_at = -math.inf
    assert browser.get(BEGIN).url.startswith(small.issuer)
    assert settings.SESSION_COOKIE_NAME not in browser.cookies
    forged = Client()
    forged.cookies[sign_on.COOKIE] = "WyJmb3JnZWQiXQ:1:x"
    assert forged.get(BACK, {"code": "c", "state": "s"}).url == "/admin/login/"
    sign_on.throttle._whole_at["", "127.0.0.1"] = time.monotonic() + 10_000
    for address in (BEGIN, BACK):
        waits = Client().get(address)
        assert (waits.status_code, "Retry-After" in waits) == (429, True)
