"""Making a backup: one snapshot of the database, whole or not at all."""

import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, LiteralString
from zipfile import ZipFile, ZipInfo

import msgspec
from django.conf import settings
from psycopg import sql

from hub.backup import programs
from hub.backup.archive import DUMP, FORMAT, KEY, MANIFEST, BackupError, Manifest
from hub.backup.programs import Database
from hub.db import secret_box

# Partitions are counted with their table.
_TABLES: Final[LiteralString] = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    ORDER BY relname
"""


def make(file: Path, *, with_key: bool = False) -> Manifest:
    """Write the backup under another name, for its owner alone, and rename it when it is whole."""
    if file.exists():
        raise BackupError(f"{file} exists already.")
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as out:
            manifest = _written(out, with_key)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError as error:
        raise BackupError(f"{error.filename or file}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _written(out: IO[bytes], with_key: bool) -> Manifest:
    with programs.connected(programs.name()) as db, ZipFile(out, "w") as archive:
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = str(db.execute("SELECT pg_export_snapshot()").fetchone()[0])  # type: ignore[index]
        with archive.open(ZipInfo(DUMP), "w", force_zip64=True) as member:
            size, checksum = programs.dump(db, snapshot, member)
        manifest = Manifest(
            format=FORMAT,
            release=release(),
            hub=f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}",
            made_at=datetime.now(UTC),
            postgresql=programs.major(db),
            dump_bytes=size,
            dump_sha256=checksum,
            key_fingerprint=secret_box.fingerprint(settings.ENCRYPTION_KEY),
            migrations=migrations(db),
            tables=counted(db),
        )
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        if with_key:
            archive.writestr(KEY, settings.ENCRYPTION_KEY)
        return manifest


def release() -> str:
    """The version of this Flexhub."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def migrations(db: Database) -> list[str]:
    """The migrations that the database has had."""
    rows = db.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
    return [f"{app}.{name}" for app, name in rows]


def counted(db: Database) -> dict[str, int]:
    """How many rows each table has."""
    counts = {}
    for (table,) in db.execute(_TABLES).fetchall():
        query = sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(table))
        counts[table] = db.execute(query).fetchone()[0]  # type: ignore[index]
    return counts
