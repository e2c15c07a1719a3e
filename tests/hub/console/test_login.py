"""The console's login: who guesses waits, no account is locked, and every failure is told."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from hub.console import login as login_module
from hub.console.throttle import ACCOUNT, ADDRESS, MOST_KEPT, Allowance, Throttle
from hub.db.django_threads import CALLER

RIGHT = "correct-horse-7"
LOGIN = "/admin/login/"
HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def _operators(db) -> None:
    for name in ("operator", "other"):
        User.objects.create_superuser(name, password=RIGHT)


@pytest.fixture(autouse=True)
def _nobody_has_tried(caplog) -> Iterator[None]:
    """On a busy machine so much time could pass between two tries that one is given back."""
    throttle = login_module.throttle
    throttle._whole_at.clear()
    login_module._first_refusal.__init__()  # type: ignore[misc]
    caplog.set_level(logging.INFO, "hub.console.login")
    clock, now = throttle._clock, throttle._clock()
    throttle._clock = lambda: now
    yield
    throttle._clock = clock


def attempt(name: str, password: str, address: str = HERE):
    """One POST of the form, from a browser of its own."""
    caller: Any = {CALLER: address}
    return Client().post(LOGIN, {"username": name, "password": password}, **caller)


def failures(caplog) -> list[str]:
    return [line for line in caplog.messages if "failed" in line]


def test_the_right_password_opens_the_console(caplog):
    for _ in range(ADDRESS.at_once + 1):
        opened = attempt("operator", RIGHT)
        assert (opened.status_code, opened["Location"]) == (302, "/admin/")
    assert not failures(caplog)
    assert f"login of 'operator' from {HERE}" in caplog.messages


def test_no_page_takes_a_script_of_its_own_or_of_others():
    for address in (LOGIN, "/admin/", "/metrics"):
        policy = Client().get(address).headers["Content-Security-Policy"]
        rules = dict(one.split(" ", 1) for one in policy.split("; "))
        assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == "'self' 'unsafe-eval'"


def test_it_is_the_page_that_the_console_leads_to():
    assert reverse("admin:login") == LOGIN
    page = Client().get(LOGIN)
    assert page.status_code == 200
    assert b'name="password"' in page.content


def test_who_guesses_an_account_waits_and_its_owner_does_not(caplog):
    for _ in range(ACCOUNT.at_once):
        assert attempt("operator", "wrong").status_code == 200
    refused = attempt("operator", RIGHT)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= ACCOUNT.pause
    # The account is open to whoever comes from elsewhere, and the address has other accounts.
    assert attempt("operator", RIGHT, ELSEWHERE).status_code == 302
    assert attempt("other", RIGHT).status_code == 302


def test_spellings_of_a_name_are_one_account():
    for name in ("operator", "OPERATOR", "Operator", "oPERATOR", "operatoR"):
        assert attempt(name, "wrong").status_code == 200
    assert attempt("operator", "wrong").status_code == 429


def test_who_tries_many_names_waits_for_all_of_them():
    for number in range(ADDRESS.at_once):
        assert attempt(f"name{number}", "wrong").status_code == 200
    assert attempt("operator", RIGHT).status_code == 429
    assert attempt("operator", RIGHT, ELSEWHERE).status_code == 302


def test_addresses_of_one_line_are_one_address():
    for number in range(ACCOUNT.at_once):
        assert attempt("operator", "wrong", f"2001:db8:1:2::{number}").status_code == 200
    assert attempt("operator", "wrong", "2001:db8:1:2:ffff::").status_code == 429
    assert attempt("operator", "wrong", "2001:db8:1:3::").status_code == 200


def test_every_failure_is_a_line_and_refusals_are_one_a_minute(caplog):
    for _ in range(ACCOUNT.at_once):
        attempt("operator", "wrong")
    for _ in range(10):
        attempt("operator", "wrong")
    told = failures(caplog)
    assert (
        told[: ACCOUNT.at_once]
        == [f"login of 'operator' from {HERE} failed: wrong name or password"] * ACCOUNT.at_once
    )
    assert ACCOUNT.at_once < len(told) <= ACCOUNT.at_once + 2
    assert "too many tries" in told[-1]


def test_a_name_cannot_spoil_the_log(caplog):
    attempt("a\nWARNING hub forged\x1b[2J" + "x" * 5000, "wrong")
    (line,) = failures(caplog)
    assert line.isprintable()
    assert "\\nWARNING hub forged\\x1b[2J" in line
    assert len(line) < 400
    assert "wrong" not in line.replace("wrong name or password", "")


def test_a_password_is_not_looked_at_while_it_has_to_wait(settings):
    """Looking is what costs; here it would also replace the stored hash by the first hasher's."""
    for _ in range(ACCOUNT.at_once):
        attempt("operator", "wrong")
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    assert attempt("operator", RIGHT).status_code == 429
    assert User.objects.get(username="operator").password.startswith("md5$")
    assert attempt("operator", RIGHT, ELSEWHERE).status_code == 302
    assert User.objects.get(username="operator").password.startswith("scrypt$")


def test_a_form_of_another_site_takes_no_try():
    browser = Client(enforce_csrf_checks=True)
    for _ in range(ADDRESS.at_once + 1):
        assert browser.post(LOGIN, {"username": "operator", "password": "x"}).status_code == 403
    assert attempt("operator", RIGHT).status_code == 302


# --- The throttle itself -------------------------------------------------------------------------


class Clock:
    """Goes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_try_comes_back_after_each_pause(clock):
    throttle = Throttle(Allowance(2, 10), Allowance(100, 1), clock)
    assert [throttle.try_("a", "x") for _ in range(2)] == [0, 0]
    assert throttle.try_("a", "x") == pytest.approx(10)
    clock.now += 9
    assert throttle.try_("a", "x") == pytest.approx(1)
    clock.now += 1
    assert throttle.try_("a", "x") == 0
    assert throttle.try_("a", "x") == pytest.approx(10)
    clock.now += 1000
    assert [throttle.try_("a", "x") for _ in range(2)] == [0, 0]
    assert throttle.try_("a", "x") > 0


def test_waiting_longer_is_what_counts_and_a_refused_try_costs_nothing(clock):
    throttle = Throttle(Allowance(1, 10), Allowance(2, 100), clock)
    assert throttle.try_("a", "x") == 0
    for _ in range(50):
        assert throttle.try_("a", "x") == pytest.approx(10)
    assert throttle.try_("b", "x") == 0
    assert throttle.try_("c", "x") == pytest.approx(100)
    throttle.was_right("b", "x")
    assert throttle.try_("c", "x") == 0


def test_all_tries_are_had_whatever_the_clock_says(clock):
    for number in range(200):
        clock.now = 1000 + number / 7
        throttle = Throttle(clock=clock)
        assert not any(throttle.try_("a", "x") for _ in range(ACCOUNT.at_once)), clock.now
        assert throttle.try_("a", "x") == pytest.approx(ACCOUNT.pause)


def test_its_memory_is_bounded():
    throttle = Throttle()
    for number in range(MOST_KEPT):
        throttle.try_("operator", f"address {number}")
    assert len(throttle._whole_at) == MOST_KEPT
