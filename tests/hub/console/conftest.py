"""An operator at the console, and a hub full of rows."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from hub.routing.directory import holder
from tests.hub.console import rows


@pytest.fixture
def operator(db) -> User:
    """Without a password, which takes a second to make and is not asked for here."""
    return User.objects.create(username="operator", is_staff=True, is_superuser=True)


@pytest.fixture
def console(operator) -> Client:
    """The operator's browser."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def filled(db) -> None:
    """Rows of every kind and state."""
    rows.fill()


@pytest.fixture(autouse=True)
def _quick_passwords(settings) -> None:
    """Django's own hasher is slow on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _nothing_read() -> None:
    """The directory's version is raised by a commit, and most tests here never commit.

    What one has read would still be taken for true by the next.
    """
    holder._snapshot = None
