"""PostgreSQL as operators run it: an archive of its log, a standby, a restore to a moment."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psycopg
import psycopg.sql

from stack.postgres import NAME, Postgres, binaries
from stack.processes import Child, keep_quiet

WAIT_SECONDS = 120


def until(is_so: Callable[[], bool], what: str) -> float:
    """Wait for it; how many seconds it took."""
    begun = time.monotonic()
    while not is_so():
        if time.monotonic() - begun > WAIT_SECONDS:
            raise RuntimeError(f"not within {WAIT_SECONDS} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begun


class Archiving(Postgres):
    """A server that copies each finished piece of its log into a folder, every second at most."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, sink=keep_quiet)
        # Below the cluster's own folder: who runs PostgreSQL may write there.
        self.archive = self.folder / "cluster" / "archive"

    def make_child(self) -> Child:
        """With the options of an operator's postgresql.conf."""
        child = super().make_child()
        copy = f"mkdir -p {self.archive} && test ! -f {self.archive}/%f && cp %p {self.archive}/%f"
        child.command += ["-c", "archive_mode=on", "-c", f"archive_command={copy}"]
        # Processes are killed here, not the machine: what was written is there.
        child.command += ["-c", "fsync=off", *self.more()]
        return child

    def more(self) -> list[str]:
        """Options beside these."""
        return []

    def is_ready(self) -> bool:
        """Of a standby the file says so, and it takes no writes."""
        file = self.cluster / "postmaster.pid"
        if file.exists() and file.read_text().rstrip().endswith("standby"):
            return self.says("SELECT pg_is_in_recovery()") is True
        return super().is_ready()

    def says(self, query: str) -> object:
        """The single value that a query gives; None while there is no answer."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as database:
                row = database.execute(query.encode()).fetchone()
        except psycopg.OperationalError:
            return None
        return row[0] if row else None

    def copied_to(self, other: Path, *options: str) -> None:
        """pg_basebackup into a new folder; with -R it will follow this server."""
        other.mkdir(mode=0o700, parents=True)
        (other / "password").write_text(self.password)
        source = self.url.rpartition("/")[0]
        subprocess.run(  # noqa: S603 - a program of PostgreSQL's
            [str(binaries() / "pg_basebackup"), "--pgdata", str(other / "cluster"), "--dbname",
             f"{source}/postgres", "--checkpoint=fast", "--wal-method=stream", *options],
            check=True, capture_output=True,
        )  # fmt: skip

    def die(self) -> None:
        """SIGKILL to all of it at once, as when a machine fails."""
        child = self.child
        assert child is not None  # noqa: S101 - it was started
        child.send(signal.SIGKILL)
        child.wait(WAIT_SECONDS)


class Restored(Archiving):
    """A copy that plays the log of another one's archive up to a moment, and goes on from there."""

    def __init__(self, folder: Path, archive: Path, moment: datetime) -> None:
        super().__init__(folder)
        self._from, self._moment = archive, moment

    def prepare(self) -> None:
        """The file that asks for a recovery; its settings are options."""
        shutil.rmtree(self.archive, ignore_errors=True)
        (self.cluster / "recovery.signal").touch()

    def more(self) -> list[str]:
        """Where the log is, and how far to play it."""
        return [
            "-c", f"restore_command=cp {self._from}/%f %p",
            "-c", f"recovery_target_time={self._moment.isoformat(sep=' ')}",
            "-c", "recovery_target_action=promote",
        ]  # fmt: skip


def rows(url: str) -> dict[str, int]:
    """How many rows each table has."""
    with psycopg.connect(url, autocommit=True) as database:
        tables = database.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
        ).fetchall()
        return {name: _count(database, name) for (name,) in tables}


def _count(database: "psycopg.Connection[tuple[object, ...]]", table: str) -> int:
    query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table))
    row = database.execute(query).fetchone()
    return int(str(row[0])) if row else 0


def of_both(first: Archiving, second: Archiving) -> str:
    """The URL by which libpq finds whichever of two takes writes."""
    hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
    query = "target_session_attrs=read-write&connect_timeout=2"
    return f"postgresql://{NAME}:{first.password}@{hosts}/{NAME}?{query}"
