"""Passwords take idle time only, and not without end (hub/console/passwords.py)."""

import logging

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password

from hub.console import passwords
from hub.console.passwords import PatientHasher

WRONG, RIGHT = "wrong-horse-7", "córrect-\U0001f40e"


@pytest.fixture(autouse=True)
def _hashers(settings, monkeypatch) -> None:
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1000)
    settings.PASSWORD_HASHERS = ["hub.console.passwords.PatientHasher"]


def test_hashes_are_djangos_own_in_both_directions():
    djangos = PBKDF2PasswordHasher().encode(RIGHT, "salt", 1000)
    assert PatientHasher().encode(RIGHT, "salt", 1000) == djangos
    assert check_password(RIGHT, djangos)
    assert not check_password(WRONG, djangos)
    whole = make_password(RIGHT)
    assert whole.split("$")[:2] == ["pbkdf2_sha256", str(PBKDF2PasswordHasher.iterations)]
    assert PBKDF2PasswordHasher().verify(RIGHT, whole)


@pytest.mark.parametrize(
    ("name", "value"), [("PATIENCE", 0.001), ("_PROGRAM", "raise SystemExit(1)")]
)
def test_an_operator_gets_in_where_there_is_no_idle_time_or_no_process(
    monkeypatch, caplog, name, value
):
    monkeypatch.setattr(passwords, name, value)
    caplog.set_level(logging.WARNING)
    assert check_password(RIGHT, PBKDF2PasswordHasher().encode(RIGHT, "salt", 1000))
    assert RIGHT not in caplog.text
    assert ("CalledProcessError" in caplog.text) == (name == "_PROGRAM")
