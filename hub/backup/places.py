"""Where backups are kept by the clock: a folder, or a bucket of an S3-compatible store.

Both know names alone. A name tells its time, so a retention needs no other memory, and touches
nothing that was not made here: another hub's, or another program's, may lie beside.
"""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from django.conf import settings

from hub.backup.archive import BackupError
from hub.backup.s3 import Bucket, Credentials

_SHAPE: Final = "%Y%m%dT%H%M%SZ"
_REST: Final = re.compile(r"(\d{8}T\d{6}Z)\.zip(?:\.age)?").fullmatch


class Kept(NamedTuple):
    """A backup in its place, and its size in bytes."""

    name: str
    size: int


class Place(Protocol):
    """Where whole files go; each error is a BackupError that says what the operator has to mend."""

    title: str

    def put(self, file: Path, name: str) -> None:
        """Move a file there, whole or not at all; it is not where it was any more."""

    def get(self, name: str, file: Path) -> None:
        """Copy a backup into a new file, for its owner alone."""

    def remove(self, name: str) -> None:
        """Forget one."""

    def listed(self) -> list[Kept]:
        """All that is there under this hub's names, oldest first."""


def hub_name() -> str:
    """NL-HUB, as it stands in names."""
    return f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}"


def name_of(moment: datetime) -> str:
    """flexhub-NL-HUB-20261129T020000Z.zip, with .age behind where it is encrypted."""
    ending = ".zip.age" if settings.BACKUP_AGE_RECIPIENT else ".zip"
    return f"flexhub-{hub_name()}-{moment.astimezone(UTC).strftime(_SHAPE)}{ending}"


def time_of(name: str) -> datetime | None:
    """When a backup of this hub was begun; None for what is not one."""
    begun = f"flexhub-{hub_name()}-"
    found = _REST(name.removeprefix(begun)) if name.startswith(begun) else None
    if not found:
        return None
    try:
        return datetime.strptime(found[1], _SHAPE).replace(tzinfo=UTC)
    except ValueError:
        return None


class Folder:
    """A folder of this machine, or of a disk that is mounted here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.title = str(folder)

    def put(self, file: Path, name: str) -> None:
        """By a copy that gets its name when it is whole: the folder may be on another disk."""
        part = self._folder / f"{name}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.touch(mode=0o600)
            shutil.copyfile(file, part)
            part.replace(self._folder / name)
            file.unlink()
        except OSError as error:
            raise BackupError(f"{error.filename or part}: {error.strerror or error}") from None
        finally:
            part.unlink(missing_ok=True)

    def get(self, name: str, file: Path) -> None:
        """See Place."""
        try:
            file.touch(mode=0o600, exist_ok=False)
            shutil.copyfile(self._folder / name, file)
        except OSError as error:
            raise BackupError(f"{error.filename or name}: {error.strerror or error}") from None

    def remove(self, name: str) -> None:
        """See Place."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise BackupError(f"{name}: {error.strerror or error}") from None

    def listed(self) -> list[Kept]:
        """See Place."""
        try:
            found = [Kept(file.name, file.stat().st_size) for file in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BackupError(f"{self._folder}: {error.strerror or error}") from None
        return list(_ours(found))


class S3:
    """A bucket, and a prefix in it."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.title = f"s3://{bucket.name}/{self._prefix}".rstrip("/")

    def put(self, file: Path, name: str) -> None:
        """See Place."""
        self._bucket.put(file, f"{self._prefix}{name}")
        file.unlink()

    def get(self, name: str, file: Path) -> None:
        """See Place."""
        self._bucket.get(f"{self._prefix}{name}", file)

    def remove(self, name: str) -> None:
        """See Place."""
        self._bucket.remove(f"{self._prefix}{name}")

    def listed(self) -> list[Kept]:
        """See Place."""
        found = self._bucket.listed(f"{self._prefix}flexhub-")
        return list(_ours(Kept(key.removeprefix(self._prefix), size) for key, size in found))


def _ours(found: "list[Kept] | Iterator[Kept]") -> Iterator[Kept]:
    return iter(sorted((one for one in found if time_of(one.name)), key=lambda one: one.name))


def place() -> Place:
    """What BACKUP_TO says; BackupError when it says nothing that can be used."""
    said: str = settings.BACKUP_TO
    if not said:
        raise BackupError(
            "BACKUP_TO is not set: give a FILE, or set it to a folder or s3://BUCKET."
        )
    if not said.startswith("s3://"):
        return Folder(Path(said))
    bucket, _, prefix = said.removeprefix("s3://").partition("/")
    credentials = Credentials(
        settings.BACKUP_S3_ACCESS_KEY, settings.BACKUP_S3_SECRET_KEY, settings.BACKUP_S3_REGION
    )
    return S3(Bucket(settings.BACKUP_S3_ENDPOINT, bucket, credentials), prefix.strip("/"))
