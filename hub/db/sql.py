"""SQL written by hand, for what every message of a journey asks: one round trip, prepared.

Measured beside the ORM (docs/decisions/0009): a sixth of its time in our own process. Statements
run on Django's connection of the thread, so they are part of `transaction.atomic`.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, TypeVar, cast

import psycopg
from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)
# For a connection whose statements each find their rows by an index, whatever the planner was last
# told of their number; an array would have it plan each time anew, for longer than it then works.
BY_INDEX: Final = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; "
    "SET enable_mergejoin = off; SET jit = off; SET plan_cache_mode = force_generic_plan"
)
# Selected by a statement that is a transaction of its own: its commit does not wait for the disk.
# To wait costs a commit five times its CPU. Should the database's machine fail, the last half
# second of such commits is lost: they are of what is then done again, or was promised to nobody
# (docs/decisions/0041-commits-that-do-not-wait.md).
SOON: Final = "set_config('synchronous_commit', 'off', true)"
# The opposite, on a connection whose commits do not wait otherwise.
DURABLE: Final = "set_config('synchronous_commit', 'on', true)"
Parameters = Sequence[Any] | Mapping[str, Any]


class _Numbers(dict[str, str]):
    """`%(name)s` becomes `$1`, the same one wherever it stands."""

    def __missing__(self, name: str) -> str:
        self[name] = f"${len(self) + 1}"
        return self[name]


@cache
def numbered(query: str) -> tuple[str, list[str]]:
    """The statement as PostgreSQL reads it, and the names of its parameters in their order.

    For a raw cursor: psycopg itself reads a long statement anew each time, for longer than it runs.
    """
    numbers = _Numbers()
    return query % numbers, list(numbers)


def run(query: str, parameters: Parameters = (), *, prepare: bool = True) -> list[tuple[Any, ...]]:
    """The rows that a statement returns; psycopg binds the parameters in the server."""
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        psycopg.Cursor(cast("psycopg.Connection[Any]", connection.connection)) as cursor,
    ):
        cursor.execute(query, parameters, prepare=prepare, binary=True)
        # `description` would say the same, and make an object of each column for it.
        result = cursor.pgresult
        return cursor.fetchall() if result is not None and result.nfields else []


def rows(model: type[Row], query: str, parameters: Parameters = ()) -> list[Row]:
    """The same as objects; the statement returns `columns(model)`."""
    names = _attributes(model)
    return [model.from_db(None, names, row) for row in run(query, parameters)]


def insert(row: models.Model) -> None:
    """Write a new row whose primary key the database gives."""
    [(row.pk,)] = run(_insert(type(row)), values(row))


@cache
def _insert(model: type[models.Model]) -> str:
    return f"{insert_into(model)} RETURNING {model._meta.pk.column}"


def insert_all(rows: Sequence[Row], *, ignore_conflicts: bool = False) -> None:
    """Write new rows of one model in one statement; without conflicts they get their keys."""
    given = [value for row in rows for value in values(row)]
    keys = run(_insert_all(type(rows[0]), len(rows), ignore_conflicts), given)
    if not ignore_conflicts:
        for row, (key,) in zip(rows, keys, strict=True):
            row.pk = key


@lru_cache
def _insert_all(model: type[models.Model], number: int, ignore_conflicts: bool) -> str:
    more = ", ".join([f"({', '.join(['%s'] * len(_given(model)))})"] * (number - 1))
    conflicts = "ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    return (
        f"{insert_into(model)}{', ' if more else ''}{more} {conflicts} "
        f"RETURNING {model._meta.pk.column}"
    )


def insert_into(model: type[models.Model], **said: str) -> str:
    """The beginning of a statement that writes `values(row)`; `said` are columns told in SQL."""
    names = [str(field.column) for field in _given(model)]
    return (
        f"INSERT INTO {model._meta.db_table} ({', '.join(names)}) "  # noqa: S608 - names of ours
        f"VALUES ({', '.join(said.get(name, '%s') for name in names)})"
    )


def values(row: models.Model, *said: str) -> list[Any]:
    """What `insert_into` writes, except the columns that it was `said`."""
    return [getattr(row, field.attname) for field in _given(type(row)) if field.column not in said]


def by_column(row: models.Model) -> dict[str, Any]:
    """The same by the names of the columns."""
    return {str(field.column): getattr(row, field.attname) for field in _given(type(row))}


def column_names(model: type[models.Model]) -> list[str]:
    """The columns that a new row brings along."""
    return [str(field.column) for field in _given(model)]


@cache
def columns(model: type[models.Model], table: str = "") -> str:
    """All columns of a model, in the order in which `rows` reads them."""
    prefix = f"{table}." if table else ""
    return ", ".join(f'{prefix}"{field.column}"' for field in model._meta.concrete_fields)


@cache
def _attributes(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@cache
def _given(model: type[models.Model]) -> list[Any]:
    """The fields that a new row brings along."""
    return [
        field
        for field in model._meta.concrete_fields
        if not isinstance(field, (models.AutoField, models.BigAutoField))
    ]
