"""manage.py backup and restore: what was there comes back, or what is there stays."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError
from django.db import connection, connections
from django.utils import timezone
from msgspec.structs import replace
from psycopg import sql

from hub.backup import programs, restoration
from hub.backup.archive import BackupError, opened
from hub.models import Party, Platform
from hub.record import partitions
from hub.record.models import Message
from stack.__main__ import CHECKOUT
from tests.flows.processes import _database_url
from tests.hub.commands.calling import run
from tests.hub.console import rows
from tests.hub.stored import cdr
from tests.hub.strangers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def filled(transactional_db) -> None:
    """A hub with rows of every kind, messages of several days among them."""
    rows.fill()
    cdr("BILL")
    partitions.make_ahead()
    for days in (0, 1, 40):
        Message.objects.create(
            at=timezone.now() + timedelta(days=days),
            is_failed=False,
            milliseconds=1,
            request_bytes=1,
            answer_bytes=1,
        )


@pytest.fixture(autouse=True)
def _no_database_is_left() -> Iterator[None]:
    """Those that restorations keep."""
    yield
    with programs.connected("postgres") as db:
        for database in databases(db):
            if "_before_" in database or database.endswith("_restoring"):
                db.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))


def databases(db) -> list[str]:
    """Those of this test's own database, whose name they begin with."""
    query = "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY datname"
    return [found for (found,) in db.execute(query, [f"{programs.name()[:40]}%"])]


def contents() -> dict[str, str]:
    """A checksum of each table's rows, and where its sequence stands."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(
                f"SELECT count(*) || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') "
                f'FROM "{table}" t'
            )
            found[table] = cursor.fetchone()[0]
        cursor.execute(
            "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
        )
        found |= {name: str(value) for name, value in cursor.fetchall()}
    return found


def structure() -> set[str]:
    """Indexes, constraints, triggers and partitions by their definition."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid "
            "WHERE relnamespace = 'public'::regnamespace "
            "UNION SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace "
            "UNION SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal "
            "UNION SELECT relname || pg_get_expr(relpartbound, oid) FROM pg_class "
            "WHERE relispartition"
        )
        # A condition comes back in other words that mean the same.
        return {re.split(" WHERE |CHECK ", text)[0] for (text,) in cursor.fetchall() if text}


def test_there_and_back(filled, tmp_path):
    file = tmp_path / "hub.backup"
    before, shape = contents(), structure()
    assert any("hub_message_2" in text for text in shape)
    told = run("backup", str(file))
    assert f"is not in it; it is in {settings.FLEXHUB_DATA / 'secret.key'}" in told
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["hub.backup"]
    Platform.objects.all().delete()
    Message.objects.all().delete()
    told = run("restore", str(file), "--replace")
    assert contents() == before
    assert structure() == shape
    assert "as of 20" in told
    former = next(line.split()[6] for line in told.splitlines() if "kept as" in line).rstrip(";")
    with programs.connected(former) as db:
        assert db.execute("SELECT count(*) FROM hub_platform").fetchone() == (0,)


def test_the_manifest_says_what_is_in_it(filled, tmp_path):
    file = tmp_path / "hub.backup"
    run("backup", str(file))
    with ZipFile(file) as archive:
        assert archive.namelist() == ["database.dump", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["hub"] == "NL-HUB"
    assert manifest["tables"]["hub_platform"] == Platform.objects.count()
    assert manifest["tables"]["hub_message"] == 3
    assert not any(name.startswith("hub_message_") for name in manifest["tables"])
    assert settings.ENCRYPTION_KEY not in file.read_bytes().decode("latin-1")


def test_a_database_with_tables_is_not_replaced_by_mistake(filled, tmp_path):
    run("backup", str(tmp_path / "b"))
    with pytest.raises(CommandError, match="is not empty"):
        run("restore", str(tmp_path / "b"))
    with pytest.raises(CommandError, match="exists already"):
        run("backup", str(tmp_path / "b"))


@pytest.mark.parametrize("harm", ["cut short", "another dump", "no manifest", "no zip", "missing"])
def test_a_harmed_file_is_not_restored(filled, tmp_path, harm):
    whole, file = tmp_path / "whole", tmp_path / "harmed"
    run("backup", str(whole))
    shutil.copy(whole, file)
    if harm == "cut short":
        os.truncate(file, file.stat().st_size // 2)
    elif harm == "no zip":
        file.write_text("PGDMP")
    elif harm == "missing":
        file.unlink()
    else:
        with ZipFile(whole) as old, ZipFile(file, "w") as new:
            manifest = old.read("manifest.json")
            new.writestr("database.dump", b"PGDMP" if harm == "another dump" else b"")
            if harm == "another dump":
                new.writestr("manifest.json", manifest)
    before = contents()
    with pytest.raises(CommandError, match="Not restored"):
        run("restore", str(file), "--replace")
    assert contents() == before


def rewritten(file: Path, **changes: object) -> Path:
    """The same backup with another manifest."""
    new = file.with_name("rewritten")
    with ZipFile(file) as old, ZipFile(new, "w") as archive:
        manifest = json.loads(old.read("manifest.json"))
        archive.writestr("database.dump", old.read("database.dump"))
        archive.writestr("manifest.json", json.dumps(manifest | changes))
    return new


def test_what_differs_from_the_manifest_does_not_take_the_place(filled, tmp_path):
    file = tmp_path / "b"
    run("backup", str(file))
    Party.objects.all().delete()
    before = contents()
    with pytest.raises(CommandError, match="tables differ from the manifest"):
        run("restore", str(rewritten(file, tables={"hub_platform": 1000})), "--replace")
    with pytest.raises(CommandError, match="does not know hub"):
        run("restore", str(rewritten(file, migrations=["hub.9999_future"])), "--replace")
    with pytest.raises(CommandError, match="Its format is 2"):
        run("restore", str(rewritten(file, format=2)), "--replace")
    assert contents() == before
    with programs.connected("postgres") as db:
        assert databases(db) == [programs.name()]
    told = run("restore", str(rewritten(file, migrations=[])), "--replace")
    assert "run manage.py migrate now" in told


def test_another_key_is_told_before_anything_is_replaced(filled, tmp_path, settings):
    file = tmp_path / "b"
    run("backup", str(file))
    Party.objects.all().delete()
    settings.ENCRYPTION_KEY = "of another hub"
    with pytest.raises(CommandError, match="encrypted with another key"):
        run("restore", str(file), "--replace")
    with pytest.raises(CommandError, match="does not hold the encryption key"):
        run("restore", str(file), "--replace", "--with-key")
    assert not Party.objects.exists()
    run("restore", str(file), "--replace", "--ignore-key")
    assert Party.objects.exists()


def test_the_key_comes_along_on_demand(filled, tmp_path, settings):
    file, key = tmp_path / "b", settings.ENCRYPTION_KEY
    told = run("backup", str(file), "--with-key")
    assert "The encryption key is in it" in told
    settings.FLEXHUB_DATA = tmp_path
    settings.ENCRYPTION_KEY = "generated on a new machine"
    (tmp_path / "secret.key").write_text("generated on a new machine")
    run("restore", str(file), "--replace", "--with-key")
    assert (tmp_path / "secret.key").read_text() == key
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert (tmp_path / "secret.key.before-restore").read_text() == "generated on a new machine"


def test_a_key_that_does_not_open_the_tokens_is_found_out(filled, tmp_path):
    """The fingerprint fits, but a row was encrypted with a key that came before."""
    Platform.objects.filter(token_c_hash__isnull=False).update(token_b_encrypted=b"of another key")
    run("backup", str(tmp_path / "b"))
    before = contents()
    with pytest.raises(CommandError, match="does not open the credentials tokens"):
        run("restore", str(tmp_path / "b"), "--replace")
    assert contents() == before


# --- As processes -------------------------------------------------------------------------------


def manage(*arguments: str, url: str = "") -> "subprocess.Popen[str]":
    env = {**os.environ, "DATABASE_URL": url or _database_url()}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said, _ = process.communicate(timeout=90)
    return process.returncode, said


def test_killed_in_the_middle_the_former_database_stays(filled, tmp_path):
    file = tmp_path / "b"
    run("backup", str(file))
    Party.objects.all().delete()
    before = contents()
    connections.close_all()
    restoring = manage("restore", str(file), "--replace")
    try:
        with programs.connected("postgres") as db:
            while len(databases(db)) < 2:
                assert restoring.poll() is None
    finally:
        restoring.send_signal(signal.SIGKILL)
        ended(restoring)
    assert contents() == before
    with programs.connected("postgres") as db:
        assert databases(db) == [programs.name(), f"{programs.name()}_restoring"]
    run("restore", str(file), "--replace")
    assert Party.objects.exists()


def test_killed_while_it_is_made_a_backup_does_not_exist(filled, tmp_path):
    file = tmp_path / "b"
    making = manage("backup", str(file))
    try:
        while not os.listdir(tmp_path):
            assert making.poll() is None
    finally:
        making.send_signal(signal.SIGKILL)
        ended(making)
    assert not file.exists()
    run("backup", str(file))
    assert os.listdir(tmp_path) == ["b"]


@pytest.fixture
def clerk(django_db_setup) -> Iterator[str]:
    """The URL of an empty database whose owner may not make databases."""
    user = database = f"{programs.name()[:40]}_clerk"
    with programs.connected("postgres") as db:
        name = sql.Identifier(user)
        db.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'clerk'").format(name))
        db.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(name))
    own = connection.settings_dict
    yield f"postgresql://{user}:clerk@{own['HOST']}:{own['PORT']}/{database}"
    with programs.connected("postgres") as db:
        db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        db.execute(sql.SQL("DROP ROLE {}").format(name))


def test_in_place_for_a_user_who_may_not_make_databases(filled, tmp_path, clerk):
    file = tmp_path / "b"
    run("backup", str(file))
    code, said = ended(manage("restore", str(file), url=clerk))
    assert code == 0, said
    assert "in one transaction" in said
    with psycopg.connect(clerk, autocommit=True) as db:
        assert db.execute("SELECT count(*) FROM hub_platform").fetchone()[0] > 0
        db.execute("DELETE FROM hub_party")
        code, said = ended(manage("restore", str(file), "--replace", url=clerk))
        assert (code, "stop the hub's processes first" in said) == (1, True)
    code, said = ended(manage("restore", str(file), "--replace", url=clerk))
    assert code == 0, said
    with psycopg.connect(clerk, autocommit=True) as db:
        assert db.execute("SELECT count(*) FROM hub_party").fetchone()[0] > 0
        # What the dump does not know hangs on a table of it: all is taken back.
        db.execute("CREATE TABLE mine (party bigint REFERENCES hub_party)")
        db.execute("DELETE FROM hub_party")
    code, said = ended(manage("restore", str(file), "--replace", url=clerk))
    assert (code, "Not restored" in said) == (1, True)
    with psycopg.connect(clerk, autocommit=True) as db:
        assert db.execute("SELECT count(*) FROM hub_party").fetchone() == (0,)


def test_in_place_what_is_not_as_it_should_be_is_taken_back(filled, tmp_path):
    run("backup", str(tmp_path / "b"))
    Party.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE mine (of_an_operator text)")
    before = contents()
    alone()
    with opened(tmp_path / "b") as archive:
        manifest = archive.manifest
        more = {**manifest.tables, "hub_platform": 1000, "hub_gone": 1}
        for harmed, key, problem in (
            (replace(manifest, tables=more), None, "2 tables differ .* hub_gone has None"),
            (manifest, "another", "does not open the credentials tokens"),
        ):
            with pytest.raises(BackupError, match=problem):
                _in_place(archive, harmed, key)
            assert contents() == before
            alone()
        _in_place(archive, manifest, settings.ENCRYPTION_KEY)
    assert Party.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE mine")


def alone() -> None:
    """No connection of this process is open, nor one that the server is still ending."""
    connections.close_all()
    with programs.connected("postgres") as db:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        until(lambda: db.execute(others, [programs.name()]).fetchone() == (0,))


def _in_place(archive, manifest, key) -> None:
    archive.manifest = manifest
    with programs.connected("postgres") as db:
        wish = restoration.Wish(replace=True, key=key)
        restoration._in_place(db, archive, wish, lambda told: None)


def test_in_place_an_input_that_ends_early_changes_nothing(filled, tmp_path):
    run("backup", str(tmp_path / "b"))
    with ZipFile(tmp_path / "b") as archive:
        dump = archive.read("database.dump")
    with programs.connected(programs.name()) as db:
        server = programs.major(db)
    chosen = tmp_path / "list"
    chosen.write_text("\n".join(programs.contents(server, BytesIO(dump))))
    before = contents()
    connections.close_all()
    drops = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n"
    half = BytesIO(dump[: len(dump) * 9 // 10])
    with pytest.raises(BackupError, match=r"unexpected end of file|could not"):
        programs.replace(server, half, programs.name(), str(chosen), drops, pytest.fail)
    assert contents() == before


# --- Programs ------------------------------------------------------------------------------------


def test_programs_that_are_too_old_are_named(tmp_path, monkeypatch):
    for program in ("pg_dump", "pg_restore"):
        path = tmp_path / program
        path.write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) 12.3'\n")
        path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with (
        open(os.devnull, "rb") as nothing,
        pytest.raises(BackupError, match="PostgreSQL 99, and pg_restore of that version or newer"),
    ):
        programs.contents(99, nothing)


def test_a_server_that_is_away_is_told_in_one_line(tmp_path):
    for command in ("backup", "restore"):
        code, said = ended(
            manage(command, str(tmp_path / "b"), url="postgresql://hub:secret@127.0.0.1:9/hub")
        )
        assert code == 1
        assert len(said.splitlines()) == 1, said
        assert "secret" not in said
    assert os.listdir(tmp_path) == []
