"""The claim of commands: how it finds its rows."""

import psycopg
import pytest

from charging_profiles import carrier
from hub.db import sql
from hub.db.notify import connection_parameters


@pytest.mark.django_db
def test_commands_are_found_by_indexes_and_the_plan_is_made_once():
    asked = {"cpos": [1, 2], "open": [1, 1], "most": 16}
    with psycopg.connect(**connection_parameters()) as one:
        one.execute(sql.BY_INDEX)
        for _ in range(7):
            one.execute(carrier.CLAIM, asked, prepare=True)
        found = one.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
            "WHERE statement LIKE '%WITH candidate%'"
        )
        assert found.fetchall() == [(7, 0)]
    with psycopg.connect(**connection_parameters(), cursor_factory=psycopg.ClientCursor) as one:
        one.execute(sql.BY_INDEX)
        plan = "\n".join(line for (line,) in one.execute(f"EXPLAIN {carrier.CLAIM}", asked))
    assert "Seq Scan on ocpi_charging_profiles_profilecommand" not in plan
