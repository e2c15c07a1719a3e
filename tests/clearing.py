"""Takes all rows out of the test database, except those that the migrations leave there."""

from typing import Final

from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT: Final = {"auth_permission", "django_content_type"}
# Its rows cannot be deleted (hub/console/access/migrations/0003_append_only.py).
APPEND_ONLY: Final = {"access_auditentry"}
# Bytes of a table from which on TRUNCATE costs less: it makes a file anew for each index, which
# takes a hundred times as long as to delete the few rows of a usual module of tests.
LARGE: Final = 512 * 1024

_NUMBERS: Final = """
    SELECT setval(numbers.oid::regclass, 1, false)
    FROM pg_class AS numbers JOIN pg_depend AS owned ON owned.objid = numbers.oid
    WHERE numbers.relkind = 'S' AND owned.deptype IN ('a', 'i')
      AND owned.refobjid = ANY(%s::text[]::regclass[])
"""


def clear_tables(*, is_restarted: bool = True) -> None:
    """`is_restarted`: numbers begin at 1 again.

    Django's own `flush` truncates every table, and then fills `KEPT` anew.
    """
    quoted = connection.ops.quote_name
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    looks = [
        f"SELECT '{name}', {name in APPEND_ONLY} "
        f"OR pg_total_relation_size('{quoted(name)}') > {LARGE} "
        f"WHERE EXISTS (SELECT FROM {quoted(name)})"
        for name in tables
        if name not in KEPT
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(looks))
        filled = {quoted(name): is_large for name, is_large in cursor.fetchall()}
        if large := [name for name, is_large in filled.items() if is_large]:
            cursor.execute(f"TRUNCATE {', '.join(large)} CASCADE")
        for name, is_large in filled.items():
            if not is_large:
                cursor.execute(f"DELETE FROM {name}")
        if is_restarted:
            cursor.execute(_NUMBERS, [list(filled)])


def _after_a_test(_: TransactionTestCase) -> None:
    clear_tables(is_restarted=False)


# After each test that commits (`django_db(transaction=True)`), instead of `flush`.
TransactionTestCase._fixture_teardown = _after_a_test  # type: ignore[attr-defined]
