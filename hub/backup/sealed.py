"""Backups in the format of age: sealed with a public key, opened with the private one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyrage

from hub.backup.archive import BackupError

_BEGINS: Final = b"age-encryption.org/v1"


def seal(file: Path, recipient: str) -> Path:
    """The file encrypted, in its stead; BackupError when `recipient` is not an age1… key."""
    sealed = file.with_name(f"{file.name}.sealed")
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
        sealed.touch(mode=0o600)
        pyrage.encrypt_file(str(file), str(sealed), [key])
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise BackupError(f"BACKUP_AGE_RECIPIENT: {error}") from None
    file.unlink()
    return sealed


def is_sealed(file: Path) -> bool:
    """Whether it is in age's format; BackupError when it cannot be read."""
    try:
        with file.open("rb") as begun:
            return begun.read(len(_BEGINS)) == _BEGINS
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror or error}") from None


def plain(file: Path, identity: Path) -> None:
    """Decrypt a file in its place; BackupError when the key is not its own."""
    opened = file.with_name(f"{file.name}.plain")
    try:
        lines = identity.read_text().splitlines()
        keys = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line and not line.startswith("#")
        ]
        opened.touch(mode=0o600)
        pyrage.decrypt_file(str(file), str(opened), keys)
        opened.replace(file)
    except OSError as error:
        raise BackupError(f"{error.filename or file}: {error.strerror or error}") from None
    except pyrage.IdentityError as error:
        raise BackupError(f"{identity}: {error}") from None
    except pyrage.DecryptError as error:
        raise BackupError(f"{identity} does not open {file.name}: {error}") from None
    finally:
        opened.unlink(missing_ok=True)


@contextmanager
def readable(file: Path, identity: Path | None) -> Iterator[Path]:
    """The file, or a copy of it decrypted beside it for as long as it is needed."""
    if not is_sealed(file):
        yield file
        return
    if identity is None:
        raise BackupError(f"{file.name} is encrypted: say --age-identity FILE.")
    copy = file.with_name(f"{file.name}.opened")
    try:
        copy.touch(mode=0o600, exist_ok=False)
        with file.open("rb") as source, copy.open("wb") as out:
            while chunk := source.read(1 << 20):
                out.write(chunk)
        plain(copy, identity)
        yield copy
    except OSError as error:
        raise BackupError(f"{error.filename or copy}: {error.strerror or error}") from None
    finally:
        copy.unlink(missing_ok=True)
