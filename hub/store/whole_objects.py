"""The statements by which the store keeps whole objects, each a single one (hub/store/store.py).

Names in them are those of our own tables and columns.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hub.store.store import StoredObject

_GIVEN: Final = "%({})s"


def _given(kind: "type[StoredObject]", name: str) -> str:
    """A column's value; of one that is compared as well, with its type.

    When it came is the database's time: it is compared with that of other hosts' changes.
    """
    if name == "received_at":
        return "clock_timestamp()"
    is_compared = name in {*kind.IDENTITY, "audience", "told_by"}
    return f"%({name})s::text" if is_compared else f"%({name})s"


def _is_same(kind: "type[StoredObject]") -> str:
    return " AND ".join(f"kept.{name} = %({name})s::text" for name in kind.IDENTITY)


def _clean_until(kept: str, deviates: str, now: str) -> str:
    """The end of the time without deviations: the moment at which a deviating document comes."""
    return (
        f"CASE WHEN {deviates} AND {kept}.deviates THEN {kept}.clean_until "
        f"WHEN {deviates} THEN {now} END"
    )


@cache
def replace_statement(kind: "type[StoredObject]", names: tuple[str, ...]) -> str:
    """Replace what was broadcast and has no variants, unless it is newer."""
    key = (*kind.IDENTITY, "audience")
    return f"""
        UPDATE {kind._meta.db_table} AS kept
        SET {", ".join(f"{name} = {_given(kind, name)}" for name in names if name not in key)},
            clean_until = {_clean_until("kept", "%(deviates)s", "%(received_at)s::timestamptz")}
        WHERE {_is_same(kind)} AND kept.audience = '' AND NOT kept.has_variants
          AND {kind.gives_way("kept", _GIVEN)}
        RETURNING 1
    """  # noqa: S608 - names of our own tables and columns


# What the parameters of those below are, where a statement is prepared without them.
TYPES: Final = {"received_at": "timestamptz", "last_updated": "timestamptz", "deviates": "boolean"}


def variant_statement(kind: "type[StoredObject]", names: tuple[str, ...], guard: str) -> str:
    """Replace what its owner told one party alone, if nobody holds it and the `guard` is true.

    Where there is such a row, its object is marked to have variants already.
    """
    key = (*kind.IDENTITY, "audience")
    free = " AND ".join(f"{name} = %({name})s::text" for name in key)
    return f"""
        UPDATE {kind._meta.db_table} AS kept
        SET {", ".join(f"{name} = {_given(kind, name)}" for name in names if name not in key)},
            clean_until = {_clean_until("kept", "%(deviates)s", "%(received_at)s::timestamptz")}
        WHERE kept.id = (SELECT id FROM {kind._meta.db_table} WHERE {free}
                         FOR NO KEY UPDATE SKIP LOCKED)
          AND kept.told_by = '' AND {guard}
        RETURNING true
    """  # noqa: S608 - names of our own tables and columns


@cache
def insert_statement(kind: "type[StoredObject]", names: tuple[str, ...]) -> str:
    """Insert, or return nothing where such a row has come meanwhile."""
    key = ", ".join((*kind.IDENTITY, "audience"))
    return (
        f"INSERT INTO {kind._meta.db_table} ({', '.join(names)}) "  # noqa: S608 - names of ours
        f"VALUES ({', '.join(_given(kind, name) for name in names)}) "
        f"ON CONFLICT ({key}) DO NOTHING RETURNING 1"
    )


@cache
def keep_statement(kind: "type[StoredObject]", names: tuple[str, ...]) -> str:
    """Insert or replace, guarded by what the audience has: its variant, or what was broadcast.

    An aggregator's word is guarded by whatever the owner told to anybody.
    """
    table, key = kind._meta.db_table, (*kind.IDENTITY, "audience")
    given = ", ".join(_given(kind, name) for name in names)
    return f"""
        WITH stored AS (
            INSERT INTO {table} AS old ({", ".join(names)}, has_variants)
            SELECT {given}, %(audience)s::text = '' AND EXISTS (
                SELECT 1 FROM {table} AS kept WHERE {_is_same(kind)} AND kept.audience <> ''
                AND NOT {kind.gives_way("kept", _GIVEN)})
            WHERE NOT EXISTS (
                SELECT 1 FROM {table} AS kept WHERE {_is_same(kind)}
                AND (kept.audience = '' OR %(told_by)s::text <> '')
                AND NOT {kind.gives_way("kept", _GIVEN)})
            ON CONFLICT ({", ".join(key)}) DO UPDATE SET has_variants = EXCLUDED.has_variants,
                clean_until = {_clean_until("old", "EXCLUDED.deviates", "EXCLUDED.received_at")},
                {", ".join(f"{name} = EXCLUDED.{name}" for name in names if name not in key)}
            WHERE {kind.gives_way("old", "EXCLUDED.{}")}
            RETURNING old.xmax = 0 AS is_new
        ), superseded AS (
            DELETE FROM {table} AS kept USING stored
            WHERE {_is_same(kind)} AND %(audience)s::text = '' AND kept.audience <> ''
              AND {kind.gives_way("kept", _GIVEN)})
        SELECT is_new FROM stored
    """  # noqa: S608 - names of our own tables and columns


@cache
def all_statement(kind: "type[StoredObject]") -> str:
    """Insert or replace many that are for everybody, unless what is kept is newer.

    Parameters: told_by, a list for each column of IDENTITY, last_updated, documents,
    deviates, a list for each of MORE, and told_by again.
    """
    table, names = kind._meta.db_table, ", ".join(kind.IDENTITY)
    types = ", ".join(["%s::text[]"] * len(kind.IDENTITY))
    more = "".join(f", {name}" for name in kind.MORE)
    typed = "".join(f", {name}::{of}" for name, of in kind.MORE.items())
    return f"""
        WITH kept AS (
            INSERT INTO {table} AS old
                ({names}, audience, last_updated, document, received_at, told_by, has_variants,
                 deviates{more})
            SELECT {names}, '', last_updated, document, clock_timestamp(), %s, true, deviates{typed}
                   -- variants perhaps
            FROM unnest({types}, %s::timestamptz[], %s::bytea[], %s::boolean[]
                        {", %s::text[]" * len(kind.MORE)})
                 AS sent ({names}, last_updated, document, deviates{more})
            WHERE %s = '' OR NOT EXISTS (
                SELECT FROM {table} AS own WHERE own.told_by = ''
                AND {" AND ".join(f"own.{name} = sent.{name}" for name in kind.IDENTITY)})
            ON CONFLICT ({names}, audience) DO UPDATE
            SET last_updated = EXCLUDED.last_updated, document = EXCLUDED.document,
                received_at = EXCLUDED.received_at, told_by = EXCLUDED.told_by,
                deviates = EXCLUDED.deviates,
                {"".join(f"{name} = EXCLUDED.{name}," for name in kind.MORE)}
                clean_until = {_clean_until("old", "EXCLUDED.deviates", "EXCLUDED.received_at")}
            WHERE {kind.gives_way("old", "EXCLUDED.{}")}
            RETURNING {names}, last_updated, told_by, received_at{more}
        ), superseded AS (
            DELETE FROM {table} AS variant USING kept
            WHERE ({", ".join(f"variant.{name}" for name in kind.IDENTITY)})
                = ({", ".join(f"kept.{name}" for name in kind.IDENTITY)})
              AND variant.audience <> '' AND variant.last_updated < kept.last_updated
              AND {kind.gives_way("variant", "kept.{}")})
        SELECT {names} FROM kept
    """  # noqa: S608 - names of our own table and columns
