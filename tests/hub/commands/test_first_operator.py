"""manage.py first_operator."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.db import connection

from hub.models import OneTimePassword
from tests.hub.commands.calling import run


@pytest.mark.django_db
def test_the_first_start_makes_an_operator_with_a_one_time_password():
    told = json.loads(run("first_operator"))
    assert told["created"] is True
    operator = User.objects.get(username=told["username"])
    assert operator.username == "operator"
    assert operator.is_superuser
    assert operator.check_password(told["password"])
    assert OneTimePassword.objects.filter(user=operator).exists()


@pytest.mark.django_db
def test_later_starts_make_none():
    run("first_operator")
    assert json.loads(run("first_operator")) == {"created": False}
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_user_of_that_name_is_left_alone():
    User.objects.create_user("operator", password="some-password-1")
    with pytest.raises(CommandError, match="is not one"):
        run("first_operator")
    assert not User.objects.get().is_superuser


@pytest.mark.django_db(transaction=True)
def test_two_runners_at_once_make_one():
    def start(_: int) -> bool:
        try:
            return bool(json.loads(run("first_operator"))["created"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(start, range(4))) == [False, False, False, True]
    assert User.objects.count() == 1
