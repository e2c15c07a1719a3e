"""The test database of this process: of those that run side by side one makes it, all copy that.

To migrate takes as long as a hundred tests. What came of it is kept beside what else pytest keeps,
and restored as long as the migrations are the same.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import django
import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connection
from psycopg import sql

from hub.backup import programs
from hub.db.notify import connection_parameters

_WORKER: Final = os.environ.get("PYTEST_XDIST_WORKER", "")
_RUN: Final = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:8]
# Any number: nobody else locks anything in that database.
_LOCK: Final = 20_221


def create(kept: Path) -> str:
    """Create it and use it from here on; returns the name of the database that it stands for.

    `kept` is the folder of what was made before.
    """
    before = str(connection.settings_dict["NAME"])
    if not _WORKER:
        _make(kept)
        return before
    template = f"test_{before}_{_RUN}"
    with _one_at_a_time() as server:
        if _exists(server, template):
            _use(template)
        else:
            connection.settings_dict["TEST"]["NAME"] = template
            _make(kept)
        connection.creation.clone_test_db(_WORKER, verbosity=0)
    _use(f"{template}_{_WORKER}")
    return before


def _make(kept: Path) -> None:
    """By a restored dump, or by all migrations; either way Django has the last look."""
    dump = kept / f"{_migrations()}.dump"
    is_known = dump.exists()
    if is_known:
        name = connection.creation._create_test_db(verbosity=0, autoclobber=True)  # type: ignore[attr-defined]
        with programs.connected(name) as database, dump.open("rb") as file:
            programs.restore(programs.major(database), file, name)
    connection.creation.create_test_db(
        verbosity=0, autoclobber=True, serialize=False, keepdb=is_known
    )
    if not is_known:
        for former in kept.glob("*.dump"):
            former.unlink(missing_ok=True)
        _keep(dump)


def _keep(dump: Path) -> None:
    part = dump.with_suffix(f".{os.getpid()}")
    with programs.connected(programs.name()) as database, part.open("w+b") as file:
        database.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot,) = database.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        programs.dump(database, snapshot, file)
    part.replace(dump)


def _migrations() -> str:
    """Of all migrations, and whose they are: another one with any change."""
    seen = hashlib.sha256(django.__version__.encode())
    for app in apps.get_app_configs():
        for file in sorted(Path(app.path, "migrations").glob("*.py")):
            seen.update(f"{app.label} {file.name}".encode() + file.read_bytes())
    return seen.hexdigest()


def drop(before: str) -> None:
    """Drop it, and go back to the one before; the last process drops the migrated one too."""
    with connection.cursor() as cursor:
        # Celery's threads leave their connections to the end of the process.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.creation.destroy_test_db(before, verbosity=0)
    template = f"test_{before}_{_RUN}"
    if _WORKER:
        with _one_at_a_time() as server:
            if not _exists(server, f"{template}_gw%"):
                name = sql.Identifier(template)
                server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))


def _use(name: str) -> None:
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


def _exists(server: psycopg.Connection, pattern: str) -> bool:
    query = "SELECT FROM pg_database WHERE datname LIKE %s"
    return server.execute(query, [pattern]).fetchone() is not None


@contextmanager
def _one_at_a_time() -> Iterator[psycopg.Connection]:
    """A connection beside the databases; the others wait as long as the block takes."""
    beside = connection_parameters() | {"dbname": "postgres", "options": ""}
    with psycopg.connect(**beside, autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield server
