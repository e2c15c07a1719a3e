"""The file of a backup: a zip of PostgreSQL's own dump, a manifest, and the key if asked for.

`unzip -p FILE database.dump | pg_restore …` reads it without the hub.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final
from zipfile import BadZipFile, ZipFile

import msgspec

FORMAT: Final = 1
DUMP: Final = "database.dump"
MANIFEST: Final = "manifest.json"
KEY: Final = "encryption.key"
_CHUNK: Final = 1 << 20


class BackupError(Exception):
    """An error whose text says what the person at the command line has to know."""


class Manifest(msgspec.Struct, kw_only=True):
    """What is in a backup, to be compared with what was restored."""

    format: int
    release: str
    hub: str
    made_at: datetime
    postgresql: int
    dump_bytes: int
    dump_sha256: str
    # The fingerprint of the key that encrypts its credentials tokens.
    key_fingerprint: str
    migrations: list[str]
    tables: dict[str, int]

    @property
    def rows(self) -> int:
        """The number of rows in all tables."""
        return sum(self.tables.values())


class Archive:
    """A backup that is read; its dump is as long and has the checksum that its manifest says."""

    def __init__(self, file: ZipFile) -> None:
        self._file = file
        try:
            self.manifest = msgspec.json.decode(file.read(MANIFEST), type=Manifest)
        except (KeyError, msgspec.DecodeError):
            raise BackupError("It has no manifest of a Flexhub backup.") from None
        if self.manifest.format != FORMAT:
            raise BackupError(f"Its format is {self.manifest.format}, this release knows {FORMAT}.")
        with self.dump() as dump:
            size, checksum = copied(dump, None)
        if (size, checksum) != (self.manifest.dump_bytes, self.manifest.dump_sha256):
            raise BackupError("Its dump is not the one that its manifest describes.")

    @property
    def key(self) -> str | None:
        """The encryption key, where the backup was made with it."""
        return self._file.read(KEY).decode() if KEY in self._file.namelist() else None

    def dump(self) -> IO[bytes]:
        """The dump, in PostgreSQL's own format; the caller closes it."""
        return self._file.open(DUMP)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Read a backup; BackupError says what is wrong with it."""
    try:
        with ZipFile(path) as file:
            yield Archive(file)
    except BadZipFile as error:
        raise BackupError(f"{path} is not a whole backup: {error}.") from None
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror or error}.") from None


def copied(source: IO[bytes], target: IO[bytes] | None) -> tuple[int, str]:
    """Copy to the end; how many bytes, and their checksum."""
    size, checksum = 0, hashlib.sha256()
    while chunk := source.read(_CHUNK):
        checksum.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return size, checksum.hexdigest()
