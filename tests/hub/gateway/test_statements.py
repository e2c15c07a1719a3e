"""The statements of the event loop, as PostgreSQL takes them (hub/db/batch_writer.py).

Of one that it does not take, the writer says so once a second, and all of them go over threads.
"""

import psycopg
import pytest

from hub.db import batch_writer
from hub.db.notify import connection_parameters
from hub.gateway import modules
from tests.cases import case


@pytest.mark.django_db
def test_each_statement_of_a_module_can_be_prepared_and_planned():
    """Only a plan finds the index that an `ON CONFLICT` names."""
    assert len({one.name for one in modules.STATEMENTS}) == len(modules.STATEMENTS)
    with psycopg.connect(autocommit=True, **connection_parameters()) as database:
        for setting in batch_writer._SETTINGS:
            database.execute(setting)
        for one in modules.STATEMENTS:
            name, nothing = one.name.decode(), ", ".join("NULL" for _ in one.parameters)
            with case(name):
                database.execute(one.prepare)
                given = f"({nothing})" if nothing else ""
                assert database.execute(f"EXPLAIN EXECUTE {name}{given}".encode()).fetchall()
