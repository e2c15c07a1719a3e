"""Second factors: set up, asked for at each login, throttled, reset on the machine."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from hub.console.access import factor_check
from hub.console.access.models import (
    AuditEntry,
    RecoveryCode,
    SecurityKey,
    TotpSecret,
)
from hub.console.throttle import ACCOUNT
from hub.models import OneTimePassword
from tests.cases import case
from tests.hub.commands.calling import run
from tests.hub.console.authenticator import SoftwareKey

CHECK, MAKE, KEY = (
    "/admin/second-factor/check/",
    "/admin/second-factor/",
    "/admin/second-factor/key/",
)
PAGE = "/admin/hub/platform/"


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    """A code is right for half a minute, which a slow machine can take."""
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture(autouse=True)
def _nobody_has_tried() -> None:
    factor_check.throttle._whole_at.clear()


def logged_in(user: User) -> Client:
    """A browser after the password."""
    browser = Client()
    browser.force_login(user)
    return browser


def with_app(browser: Client) -> tuple[str, list[str]]:
    """Set up an app: its secret, and the recovery codes."""
    html = browser.get("/admin/second-factor/app/").content.decode()
    secret = re.search(r'id="secret">([^<]+)<', html)[1].replace(" ", "")  # type: ignore[index]
    answer = browser.post("/admin/second-factor/app/", {"code": pyotp.TOTP(secret).now()})
    return secret, re.findall(r"\b(?:[0-9a-f]{5}-){3}[0-9a-f]{5}\b", answer.content.decode())


def with_key(browser: Client, key: SoftwareKey, name: str = "blue") -> dict:
    """Set up a security key."""
    options = browser.post(KEY).json()
    return browser.post(
        f"{KEY}?name={name}", json.dumps(key.make(options)), content_type="application/json"
    ).json()


def present(browser: Client, key: SoftwareKey, **changes):
    """Use the key at the second step of the login."""
    answer = key.use(browser.post(f"{CHECK}key/").json())
    answer |= changes
    return browser.post(f"{CHECK}key/", json.dumps(answer), content_type="application/json")


def test_an_app_is_asked_for_at_the_next_login(console, operator, clock):
    secret, codes = with_app(console)
    assert len(set(codes)) == 10
    assert secret.encode() not in bytes(TotpSecret.objects.get().secret_encrypted)
    assert console.get(PAGE).status_code == 200, "who has set it up has shown that it is there"
    browser = logged_in(operator)
    led = browser.get(f"{PAGE}?q=a")
    assert led.url == f"{CHECK}?next=%2Fadmin%2Fhub%2Fplatform%2F%3Fq%3Da"
    for address in (PAGE, "/admin/password_change/", MAKE, "/admin/api/messages"):
        with case(address):
            assert browser.get(address).url.startswith(CHECK)
            assert browser.post(address).url.startswith(CHECK)
    assert browser.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 401
    polled = browser.get("/admin/", HTTP_HX_REQUEST="true")
    assert (polled.status_code, polled["HX-Refresh"]) == (401, "true")
    former = browser.session.session_key
    clock.shift(60)
    right = pyotp.TOTP(secret).now()
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    assert "not right" in browser.post(CHECK, {"code": wrong}).content.decode()
    passed = browser.post(CHECK, {"code": right, "next": f"{PAGE}?q=a"})
    assert passed.url == f"{PAGE}?q=a"
    assert browser.get(PAGE).status_code == 200
    assert browser.session.session_key != former
    again = logged_in(operator)
    assert "used before" in again.post(CHECK, {"code": right}).content.decode()


def test_nobody_is_led_to_another_host(console, operator):
    _, codes = with_app(console)
    browser = logged_in(operator)
    led = browser.post(CHECK, {"code": codes[0], "next": "https://evil.example/"})
    assert led.url == reverse("admin:index")


def test_a_recovery_code_is_for_one_time(console, operator):
    _, codes = with_app(console)
    assert not RecoveryCode.objects.filter(digest=codes[0].encode()).exists()
    for code, status in ((codes[0].upper().replace("-", " "), 302), (codes[0], 200)):
        assert logged_in(operator).post(CHECK, {"code": code}).status_code == status
    fresh = console.post("/admin/second-factor/codes/").content.decode()
    assert "shown only now" in fresh
    assert logged_in(operator).post(CHECK, {"code": codes[1]}).status_code == 200


def test_who_guesses_codes_waits_wherever_he_is(console, operator):
    secret, _ = with_app(console)
    for number in range(ACCOUNT.at_once):
        browser = logged_in(operator)
        tried = browser.post(CHECK, {"code": "000000"}, REMOTE_ADDR=f"192.0.2.{number}")
        assert tried.status_code == 200
    refused = browser.post(CHECK, {"code": pyotp.TOTP(secret).now()}, REMOTE_ADDR="198.51.100.1")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0


def test_a_security_key_is_asked_for_and_opens(console, operator):
    key = SoftwareKey()
    assert len(with_key(console, key)["codes"]) == 10
    assert "known already" in with_key(console, key)["problem"]
    browser = logged_in(operator)
    assert "security key or passkey" in browser.get(CHECK).content.decode()
    told = present(browser, key)
    assert told.json() == {"next": "/admin/"}
    assert browser.get(PAGE).status_code == 200
    assert SecurityKey.objects.get().sign_count == key.counter


def test_a_key_that_is_not_the_accounts_does_not_open(console, operator):
    key = SoftwareKey()
    with_key(console, key)
    elsewhere = SoftwareKey(origin="https://evil.example")
    elsewhere._key, elsewhere._id = key._key, key._id
    copied = SoftwareKey()
    copied._key, copied._id = key._key, key._id
    for name, one in (("another", SoftwareKey()), ("phished", elsewhere), ("copied", copied)):
        browser = logged_in(operator)
        with case(name):
            assert present(browser, one).status_code == 403
            assert browser.get(PAGE).status_code == 302
    browser = logged_in(operator)
    answer = json.dumps(key.use(browser.post(f"{CHECK}key/").json()))
    for status in (200, 409):
        told = browser.post(f"{CHECK}key/", answer, content_type="application/json")
        assert told.status_code == status, "an answer is for one question"
    for odd in ({"id": 1}, {"response": {}}, {"rawId": "%%%"}):
        with case(odd):
            assert present(logged_in(operator), key, **odd).status_code == 403


def test_a_hub_that_asks_everybody_for_one(settings, operator):
    settings.SECOND_FACTOR_REQUIRED = True
    browser = logged_in(operator)
    assert browser.get(PAGE).url == MAKE
    assert "asks everybody" in browser.get(MAKE).content.decode()
    assert browser.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 401
    with_app(browser)
    assert browser.get(PAGE).status_code == 200
    browser.post("/admin/second-factor/remove/", {"app": "1"})
    assert TotpSecret.objects.exists()
    with_key(browser, SoftwareKey())
    browser.post("/admin/second-factor/remove/", {"app": "1"})
    assert not TotpSecret.objects.exists()


def test_a_new_account_chooses_its_password_and_then_its_factor(settings, operator):
    settings.SECOND_FACTOR_REQUIRED = True
    operator.set_password("given-out-once")
    operator.save()
    OneTimePassword.objects.create(user=operator)
    browser = logged_in(operator)
    assert browser.get(PAGE, follow=True).redirect_chain[-1][0] == "/admin/password_change/"
    own = "correct-horse-7"
    sent = {"old_password": "given-out-once", "new_password1": own, "new_password2": own}
    changed = browser.post("/admin/password_change/", sent, follow=True)
    assert changed.redirect_chain[-1][0] == MAKE
    with_app(browser)
    assert browser.get("/admin/").status_code == 200


def test_what_is_removed_is_not_asked_for_any_more(console, operator):
    with_app(console)
    with_key(console, SoftwareKey())
    console.post("/admin/second-factor/remove/", {"key": str(SecurityKey.objects.get().pk)})
    console.post("/admin/second-factor/remove/", {"app": "1"})
    assert not RecoveryCode.objects.exists()
    assert logged_in(operator).get(PAGE).status_code == 200


def test_it_is_reset_on_the_machine_and_that_is_told(console, operator):
    with_app(console)
    with_key(console, SoftwareKey())
    assert "no second factor any more" in run("reset_second_factor", "operator")
    assert logged_in(operator).get(PAGE).status_code == 200
    told = AuditEntry.objects.get(act="reset_second_factor")
    assert (told.way, told.object_name) == ("COMMAND", "operator")
    for name in ("operator", "nobody"):
        with pytest.raises(CommandError):
            run("reset_second_factor", name)
    assert AuditEntry.objects.filter(act="reset_second_factor").count() == 1


def test_a_session_ends_when_nobody_is_there_and_after_some_hours(settings, operator, clock):
    settings.SESSION_IDLE_MINUTES, settings.SESSION_HOURS = 30, 2
    browser = logged_in(operator)
    assert browser.get(PAGE).status_code == 200
    for minutes, headers, is_open in (
        (25, {}, True),
        (25, {"HTTP_HX_REQUEST": "true"}, True),
        (10, {}, False),
    ):
        clock.shift(minutes * 60)
        with case(minutes, headers):
            assert (browser.get(PAGE, **headers).status_code == 200) is is_open
    browser.force_login(operator)
    for minutes in (0, 25, 25, 25, 25, 19):
        clock.shift(minutes * 60)
        assert browser.get(PAGE).status_code == 200
    clock.shift(120)
    ended = browser.get(PAGE)
    assert ended.url == "/admin/login/?next=%2Fadmin%2Fhub%2Fplatform%2F"
    assert "session has ended" in browser.get(ended.url).content.decode()


def test_another_browser_is_logged_out_by_a_change_of_the_password(operator):
    operator.set_password("former-horse-7")
    operator.save()
    here, there = logged_in(operator), logged_in(operator)
    own = "correct-horse-7"
    sent = {"old_password": "former-horse-7", "new_password1": own, "new_password2": own}
    here.post("/admin/password_change/", sent)
    assert here.get(PAGE).status_code == 200
    assert there.get(PAGE).url.startswith("/admin/login/")
