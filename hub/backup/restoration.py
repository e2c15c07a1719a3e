"""Restoring a backup: into a database of its own, compared with the manifest, then swapped in.

Whatever goes wrong or is killed before the swap, the former database stays as it is; the swap is
one transaction. A user who may not create databases restores in place, in one transaction too.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from django.db import connections
from django.db.migrations.loader import MigrationLoader
from psycopg import errors, sql

from hub.backup import programs
from hub.backup.archive import Archive, BackupError, Manifest, opened
from hub.backup.dump import counted
from hub.backup.programs import Answers, Database
from hub.db import secret_box

SWAP_ATTEMPTS: Final = 5
# The database to connect to in order to create or rename others.
_MAINTENANCE: Final = "postgres"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back, and where the former database is now."""

    manifest: Manifest
    former: str
    needs_migration: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator allows."""

    replace: bool = False
    key: str | None = None  # The key to compare with; None: whatever it is.


def restore(file: Path, wish: Wish, tell: Callable[[str], object]) -> Restored:
    """Bring the backup's database back under the hub's own name."""
    with opened(file) as archive:
        needs_migration = _check_release(archive.manifest)
        if wish.key is not None:
            _check_fingerprint(archive.manifest, wish.key)
        connections.close_all()
        with programs.connected(_MAINTENANCE) as db:
            _alone(db)
            is_there = _exists(db, programs.name())
            if is_there and not wish.replace and _has_tables():
                raise BackupError(
                    f"The database {programs.name()} is not empty. Restore with --replace to put "
                    "the backup in its place."
                )
            is_aside = _may_create(db, is_there)
            former = (_aside if is_aside else _in_place)(db, archive, wish, tell)
        return Restored(archive.manifest, former, needs_migration)


# --- Is it fit? -------------------------------------------------------------------------------


def _check_release(manifest: Manifest) -> bool:
    """Whether migrations have to follow; BackupError when it comes from a newer release."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if unknown := sorted(set(manifest.migrations) - known):
        raise BackupError(
            f"The backup was made by another release ({manifest.release}) than this one: it does "
            f"not know {', '.join(unknown[:3])}. Restore with that release."
        )
    return bool(known - set(manifest.migrations))


def _check_fingerprint(manifest: Manifest, key: str) -> None:
    if manifest.key_fingerprint != secret_box.fingerprint(key):
        raise BackupError(
            "The backup's credentials tokens are encrypted with another key than this hub's "
            "(ENCRYPTION_KEY, or secret.key in FLEXHUB_DATA): bring that key back first, or "
            "restore with --with-key where the backup holds it. With --ignore-key the hub cannot "
            "call its parties until they register anew."
        )


def _alone(db: Database) -> None:
    """Two restorations at once would drop each other's database; held until `db` is closed."""
    lock = f"restore {programs.name()}"
    row = db.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [lock]).fetchone()
    if not row or not row[0]:
        raise BackupError("Another restoration is running.")


def _exists(db: Database, database: str) -> bool:
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    return db.execute(query, [database]).fetchone() is not None


def _has_tables() -> bool:
    with programs.connected(programs.name()) as db:
        return bool(db.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchone())


def _may_create(db: Database, is_there: bool) -> bool:
    """Whether we may make a database, and rename the one that is there."""
    may, owns = db.execute(
        "SELECT rolsuper OR rolcreatedb, rolsuper OR EXISTS (SELECT FROM pg_database "
        "WHERE datname = %s AND datdba = pg_roles.oid) FROM pg_roles WHERE rolname = current_user",
        [programs.name()],
    ).fetchone() or (False, False)
    if not may and not is_there:
        raise BackupError(
            f"There is no database {programs.name()}, and this user may not make one."
        )
    return bool(may and (owns or not is_there))


def _check_contents(db: Database, manifest: Manifest, key: str | None) -> None:
    """As many rows in each table as there were, and tokens that the key opens."""
    tokens = db.execute("SELECT token_b_encrypted FROM hub_platform WHERE token_b_encrypted <> ''")
    _compare(counted(db), manifest)
    _check_tokens([token for (token,) in tokens], key)


def _compare(found: Mapping[str, int], manifest: Manifest) -> None:
    differing = sorted(
        table
        for table in found.keys() | manifest.tables
        if found.get(table) != manifest.tables.get(table)
    )
    if differing:
        table = differing[0]
        raise BackupError(
            f"{len(differing)} tables differ from the manifest: {table} has {found.get(table)} "
            f"rows, it should have {manifest.tables.get(table)}."
        )


def _check_tokens(tokens: Iterable[bytes], key: str | None) -> None:
    if key is not None and not all(secret_box.opens(key, token) for token in tokens):
        raise BackupError("The key does not open the credentials tokens that were restored.")


# --- Into a database of its own ----------------------------------------------------------------


def _aside(db: Database, archive: Archive, wish: Wish, tell: Callable[[str], object]) -> str:
    new = f"{programs.name()[:50]}_restoring"
    # A restoration that was killed has left it.
    db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(new)))
    # From template0: what an operator has put into template1 may be in the dump too.
    db.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(new)))
    try:
        tell(f"Restoring into {new}; the former database is not touched until it is compared.")
        with archive.dump() as dump:
            programs.restore(programs.major(db), dump, new)
        with programs.connected(new) as restored:
            _check_contents(restored, archive.manifest, wish.key)
            restored.execute("ANALYZE")
        return _swap(db, new)
    finally:
        # By now it has the hub's name, or it is of no use.
        db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(new)))


def _swap(db: Database, new: str) -> str:
    """Give the hub's name to the new database; the name of the former one, empty without any."""
    own = programs.name()
    former = f"{own[:40]}_before_{datetime.now(UTC):%Y%m%dT%H%M%S}"
    renames = [(new, own)]
    if _exists(db, own):
        renames.insert(0, (own, former))
    for attempt in range(1, SWAP_ATTEMPTS + 1):
        for database, _ in renames:
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> pg_backend_pid()",
                [database],
            )
        try:
            with db.transaction():
                for old_name, new_name in renames:
                    names = sql.Identifier(old_name), sql.Identifier(new_name)
                    # It waits up to 5 s for connections to end, and lets no new one in.
                    db.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
            break
        except errors.ObjectInUse:
            if attempt == SWAP_ATTEMPTS:
                raise BackupError(
                    f"The hub connects to {own} faster than it can be renamed: stop its processes "
                    "and restore again."
                ) from None
    return former if len(renames) > 1 else ""


# --- In place ----------------------------------------------------------------------------------


def _in_place(db: Database, archive: Archive, wish: Wish, tell: Callable[[str], object]) -> str:
    """For a user who may not create databases; nobody else may be connected."""
    own, server = programs.name(), programs.major(db)
    others = db.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name <> %s",
        [own, programs.APPLICATION],
    ).fetchone()
    if others and others[0]:
        raise BackupError(
            f"{others[0]} connections to {own} are open: stop the hub's processes first, since "
            "this user may not create a database to restore into."
        )
    tell(f"Restoring into {own} in one transaction: all of it, or what was there stays.")
    with programs.connected(own) as present:
        # Needs an administrator where it is not trusted, who then has made it already.
        present.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        before = _drops(present, archive.manifest)
    with archive.dump() as dump:
        # An administrator's extension is not ours to drop and make anew.
        wanted = [line for line in programs.contents(server, dump) if " EXTENSION " not in line]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
        chosen.write("\n".join(wanted) + "\n")
        chosen.flush()
        with archive.dump() as dump:
            programs.replace(
                server,
                dump,
                own,
                chosen.name,
                before,
                partial(_check_answers, archive.manifest, wish.key),
            )
    with programs.connected(own) as restored:
        restored.execute("ANALYZE")
    return ""


def _check_answers(manifest: Manifest, key: str | None, answers: Answers) -> None:
    """The same as _check_contents before the COMMIT, of the tables that the dump has made."""
    found = {}
    for table in manifest.tables:
        name = sql.SQL("public.{}").format(sql.Identifier(table)).as_string()
        if answers(f"SELECT to_regclass({sql.Literal(name).as_string()})")[0]:
            found[table] = int(answers(f"SELECT count(*) FROM {name}")[0])  # noqa: S608 - quoted
    _compare(found, manifest)
    encrypted = answers(
        "SELECT encode(token_b_encrypted, 'hex') FROM public.hub_platform "
        "WHERE token_b_encrypted <> ''"
    )
    _check_tokens(map(bytes.fromhex, encrypted), key)


def _drops(db: Database, manifest: Manifest) -> str:
    """Statements that drop what the dump makes; what is not the hub's stays, or is in the way."""
    tables = sorted(counted(db).keys() & manifest.tables)
    functions = db.execute(
        "SELECT oid::regprocedure::text FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend "
        "WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')"
    )
    identifiers = [sql.SQL("public.{}").format(sql.Identifier(table)) for table in tables]
    dropped = sql.SQL("DROP TABLE {};\n").format(sql.SQL(", ").join(identifiers))
    signatures = [f"DROP FUNCTION {signature};\n" for (signature,) in functions]
    return (dropped.as_string(db) if tables else "") + "".join(signatures)
