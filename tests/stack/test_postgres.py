"""Embedded PostgreSQL starts, stops, and recovers from whatever killed it."""

import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from stack.errors import SetupError
from stack.postgres import Postgres
from stack.processes import left_behind


def kill_all(postgres: Postgres) -> None:
    """As the kernel does when memory runs out: nothing gets to say goodbye."""
    for pid in left_behind(postgres.cluster):
        os.kill(pid, signal.SIGKILL)
    assert postgres.child
    assert postgres.child.wait(60)


def test_it_answers_and_stops(postgres):
    url = postgres.start()
    with psycopg.connect(url) as database:
        row = database.execute("SELECT current_user, current_database()").fetchone()
    assert row == ("flexhub", "flexhub")
    assert 20000 <= postgres.port < 32768
    assert stat.S_IMODE((postgres.folder / "password").stat().st_mode) == 0o600
    postgres.stop()
    assert left_behind(postgres.cluster) == []
    assert postgres.child.exit_code == 0


def test_a_killed_set_up_is_started_afresh(tmp_path):
    half_done = tmp_path / "postgres" / "cluster.new"
    (half_done / "base").mkdir(parents=True)
    (half_done / "PG_VERSION").write_text("18\n")
    postgres = Postgres(tmp_path / "postgres", durable=False)
    postgres.start()
    postgres.stop()
    assert not half_done.exists()


@pytest.mark.parametrize("holder", ["nobody", "a zombie", "a stranger", "cut short"])
def test_it_recovers_from_kill_9_whoever_has_its_process_id_now(postgres, holder):
    with psycopg.connect(postgres.start(), autocommit=True) as database:
        database.execute("CREATE TABLE kept AS SELECT 42 AS number")
        kill_all(postgres)
    pid_file = postgres.cluster / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as other:
        if holder == "a zombie":
            other.kill()
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        if holder in ("a zombie", "a stranger"):
            _, *rest = pid_file.read_text().splitlines()
            pid_file.write_text("\n".join([str(other.pid), *rest, ""]))
        if holder == "cut short":
            pid_file.write_text("")
        url = postgres.start()
        other.kill()
    with psycopg.connect(url) as database:
        assert database.execute("SELECT number FROM kept").fetchall() == [(42,)]


def test_it_ends_what_a_killed_runner_left_behind(postgres):
    postgres.start()
    before = left_behind(postgres.cluster)
    again = Postgres(postgres.folder)
    try:
        again.start()
        assert before
        assert not set(before) & set(left_behind(postgres.cluster))
    finally:
        again.stop()


def test_a_busy_port_is_left_to_its_holder(postgres):
    remembered = int((postgres.folder / "port").read_text())
    with socket.create_server(("127.0.0.1", remembered)):
        postgres.start()
        assert postgres.port != remembered
        assert (postgres.folder / "port").read_text() == str(postgres.port)


def test_parallel_queries_find_shared_memory(postgres):
    with psycopg.connect(postgres.start(), autocommit=True) as database:
        database.execute(
            "CREATE TABLE big AS SELECT n, md5(n::text) AS m FROM generate_series(1, 200000) n"
        )
        database.execute("ANALYZE big")
        for setting in (
            "min_parallel_table_scan_size",
            "parallel_setup_cost",
            "parallel_tuple_cost",
        ):
            database.execute(f"SET {setting} = 0")
        database.execute("SET work_mem = '256MB'")
        query = "SELECT count(*) FROM big a JOIN big b USING (m)"
        assert database.execute(query).fetchone() == (200000,)
        plan = "\n".join(row[0] for row in database.execute(f"EXPLAIN ANALYZE {query}"))
    assert "Parallel Hash Join" in plan
    assert "Workers Launched: 2" in plan


def test_a_lost_password_is_named(postgres):
    (postgres.folder / "password").unlink()
    with pytest.raises(SetupError, match="refuses the password in its file"):
        postgres.start()


def test_a_damaged_cluster_is_told_in_one_line(postgres):
    shutil.rmtree(postgres.cluster / "global")
    with pytest.raises(SetupError, match=r"^PostgreSQL did not start in .*: .*pg_control") as told:
        postgres.start()
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file/postgres"):
        Postgres(tmp_path / "file" / "postgres").start()
