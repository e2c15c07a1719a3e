"""What is wrong with a service from outside is told in one line, and its password never."""

import pytest

from stack.errors import SetupError
from stack.outside import check_database, check_redis


def test_a_working_database_is_accepted(postgres):
    check_database(postgres.start())


def test_a_working_redis_is_accepted(valkey):
    check_redis(valkey.start())


def test_each_fault_of_the_database_is_named(postgres):
    right = postgres.start()
    for url, reason in (
        (
            right.replace(postgres.password, "s3cr3t-s3cr3t"),
            'password authentication failed for user "flexhub"',
        ),
        (right.removesuffix("/flexhub") + "/nowhere", 'database "nowhere" does not exist'),
        ("postgresql://u:s3cr3t@127.0.0.1:1/x", "Connection refused"),
        ("postgresql://u:s3cr3t@nowhere.invalid/x", "nowhere.invalid"),
        ("postgresql://u:s3cr3t@s3cr3t@127.0.0.1:1/x", ""),
        ("postgresql://u:s3cr3t/s3cr3t@127.0.0.1:1/x", ""),
        ("sqlite:///s3cr3t", "must look like postgresql://user:password@host:5432/name"),
    ):
        with pytest.raises(SetupError, match=r"^DATABASE_URL ") as told:
            check_database(url)
        assert reason in str(told.value)
        assert "s3cr3t" not in str(told.value)
        assert "\n" not in str(told.value)


def test_each_fault_of_redis_is_named(valkey):
    right = valkey.start()
    for url, reason in (
        (right.replace(valkey.password, "s3cr3t"), "invalid username-password pair"),
        (right.replace("/0", "/99"), "DB index is out of range"),
        ("redis://:s3cr3t@127.0.0.1:1/0", "Connection refused"),
        ("redis://:s3cr3t@nowhere.invalid/0", "nowhere.invalid"),
        ("http://:s3cr3t@127.0.0.1/0", "redis://"),
    ):
        with pytest.raises(SetupError, match=r"^REDIS_URL ") as told:
            check_redis(url)
        assert reason in str(told.value)
        assert "s3cr3t" not in str(told.value)
        assert "\n" not in str(told.value)
