"""The data folder: who uses it, and the small facts that outlast a run."""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.errors import SetupError

# Below 32768, where Linux starts to hand out ports to outgoing connections.
PORTS = range(20000, 32768)


def make(folder: Path) -> Path:
    """The folder, closed to other users when it is made here."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Say which file it is about: a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


def write(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    with named(file):
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        new.replace(file)


def password(folder: Path) -> str:
    """The folder's random password, made on first use."""
    file = folder / "password"
    if not file.exists():
        write(file, secrets.token_hex(24))
    return file.read_text()


def port(folder: Path) -> int:
    """The folder's port, another one when somebody else has taken it meanwhile."""
    file = folder / "port"
    remembered = file.read_text() if file.exists() else ""
    if remembered.isdigit() and _is_free(int(remembered)):
        return int(remembered)
    for _ in range(1000):
        chosen = secrets.choice(PORTS)
        if _is_free(chosen):
            write(file, str(chosen))
            return chosen
    raise SetupError(f"no free port between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


class Lock:
    """One running server per data folder; the kernel drops the lock with its process."""

    def __init__(self, folder: Path) -> None:
        path = make(folder) / "lock"
        self.file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.seek(0)
            holder = self.file.read().decode().strip() or "unknown"
            raise SetupError(
                f"the data folder {folder} is in use by another running server (process {holder}): "
                "stop that one, or set FLEXHUB_DATA to another folder"
            ) from None
        with named(path):
            self.file.truncate(0)
            self.file.write(str(os.getpid()).encode())
