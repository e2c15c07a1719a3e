"""What a party is told while the database is busy or away (status_codes, 3xxx)."""

import asyncio

import django.db
import psycopg
import pytest

from hub.db import sql
from hub.db.django_threads import DjangoThreads
from hub.db.notify import connection_parameters
from hub.db.trouble import refusal_of


def raised(statement: str) -> django.db.DatabaseError:
    try:
        with pytest.raises(django.db.DatabaseError) as found:
            sql.run(statement)
    finally:
        django.db.connection.close()
    return found.value


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_to_be_tried_again_and_an_error_is_not():
    error = refusal_of(raised("SELECT pg_terminate_backend(pg_backend_pid())"), "GET")
    assert error is not None
    assert (error.code, error.headers["Retry-After"]) == (3000, "1")
    assert "away" in error.message
    assert refusal_of(raised("SELECT 1 / 0"), "GET") is None
    assert refusal_of(ValueError("SELECT"), "GET") is None


def test_a_database_that_nobody_listens_for_is_away():
    nowhere = connection_parameters() | {"host": "127.0.0.1", "port": "1"}
    with pytest.raises(psycopg.OperationalError) as found:
        psycopg.connect(**nowhere)
    error = refusal_of(found.value, "GET")
    assert error is not None
    assert "away" in error.message


@pytest.mark.django_db(transaction=True)
def test_a_thread_whose_connection_was_ended_has_another_one():
    django_threads = DjangoThreads(1)

    def backend() -> int:
        [(pid,)] = asyncio.run(django_threads.run(sql.run, "SELECT pg_backend_pid()"))
        return pid

    first = backend()
    assert backend() == first
    sql.run("SELECT pg_terminate_backend(%s, 60000)", [first])
    assert backend() != first
    django_threads.close()
