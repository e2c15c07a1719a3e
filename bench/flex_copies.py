"""Makes many live sessions out of a few, with all that the hub knows of them.

Run by `manage.py shell -c` in whichever checkout's hub: it reads the tables out of the catalogue.
It reads how many copies of each session, and how many more that have ended: [199, 0].
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

SESSIONS = "ocpi_sessions_session"
# More than any id that the few have used.
STRIDE = 1_000_000
_KEYS = """
    SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f'
"""
_COLUMNS = """
    SELECT column_name, is_identity FROM information_schema.columns
    WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position
"""
_PRIMARY = """
    SELECT a.attname FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'p' AND c.conrelid = %s::regclass
"""
# What has to differ, or would be due for all at once.
OTHER = {
    "session_id": "session_id || '.' || copy",
    "key": "md5(key || copy)",
    "session_id_sent": "session_id_sent || '.' || copy",
    "path": "path || '.' || copy",
    "lane": "lane || '.' || copy",
    "due_at": "due_at + random() * interval '15 minutes'",
}
DOCUMENT = {
    (SESSIONS, "document"): """convert_to(replace(convert_from(document, 'UTF8'),
        '"' || session_id || '"', '"' || session_id || '.' || copy || '"'), 'UTF8')"""
}
AFTER_ITS_END = {
    (SESSIONS, "status"): "'COMPLETED'",
    ("flex_fspassignment", "ended_at"): "coalesce(ended_at, now())",
    ("flex_knowledge_profileeffect", "due_at"): "NULL",
    ("flex_life_steeredsession", "due_at"): "NULL",
}


def tables(cursor: Any) -> tuple[list[str], dict[tuple[str, str], str]]:
    """Those that hang on a session, in an order in which they can be filled; their keys."""
    cursor.execute(_KEYS)
    keys = cursor.fetchall()
    found = [SESSIONS]
    for table in found:
        found += [of for of, _, to in keys if to == table and of not in found]
    return found, {(of, column): to for of, column, to in keys if to in found and of in found}


def copy(
    cursor: Any,
    found: Sequence[str],
    keys: Mapping[tuple[str, str], str],
    numbers: Sequence[int],
    other: Mapping[tuple[str, str], str],
) -> None:
    """The rows of the few, so many times; ids and keys between them are moved by the same."""
    for table in found:
        cursor.execute(_COLUMNS, [table])
        columns = cursor.fetchall()
        cursor.execute(_PRIMARY, [table])
        primary = cursor.fetchone()[0]
        here = OTHER | {column: value for (of, column), value in other.items() if of == table}
        values = [
            f'"{name}" + copy::bigint * {STRIDE}'
            if (table, name) in keys or (name == primary and identity == "YES")
            else here.get(name, f'"{name}"')
            for name, identity in columns
        ]
        names = ", ".join(f'"{name}"' for name, _ in columns)
        of_sessions = [
            f'"{column}" IS NOT NULL'
            for (of, column), to in keys.items()
            if (of, to) == (table, SESSIONS)
        ]
        which = " AND ".join([f"{primary} < {STRIDE}", *of_sessions])
        cursor.execute(
            f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE "  # noqa: S608 - the catalogue's
            f"SELECT {', '.join(values)} FROM {table}, generate_series(%s, %s) AS copy "
            f"WHERE {which}",
            numbers,
        )
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, primary])
        [sequence] = cursor.fetchone()
        if sequence:
            highest = f"SELECT setval(%s, (SELECT max({primary}) FROM {table}))"  # noqa: S608
            cursor.execute(highest, [sequence])


with connection.cursor() as cursor:
    cursor.execute("SET session_replication_role = replica")
    found, keys = tables(cursor)
    copies, ended = json.load(sys.stdin)
    copy(cursor, found, keys, [1, copies], DOCUMENT)
    if ended:
        copy(cursor, found, keys, [copies + 1, copies + ended], DOCUMENT | AFTER_ITS_END)
    cursor.execute("SET session_replication_role = DEFAULT")
    cursor.execute("VACUUM ANALYZE")
    cursor.execute(f"SELECT count(*) FROM {SESSIONS}")  # noqa: S608
    sys.stdout.write(f"{cursor.fetchone()[0]}\n")
