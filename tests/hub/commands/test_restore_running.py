"""manage.py restore beside a running hub, whose processes go on with what was restored."""

import time

from psycopg import sql

from hub.backup import programs
from hub.models import Platform
from tests.hub.commands.calling import run
from tests.hub.strangers import ask


def test_the_hub_answers_out_of_the_restored_database(hub, cpo, emsp, tmp_path):
    def asked() -> tuple[int, int | None]:
        return ask(hub, cpo, "GET", "sender/tokens", to=emsp).said

    assert asked() == (200, 1000)
    run("backup", str(tmp_path / "b"))
    Platform.objects.all().delete()
    limit = time.monotonic() + 60
    while asked() == (200, 1000):  # Until the web process has heard of it.
        assert time.monotonic() < limit
    told = run("restore", str(tmp_path / "b"), "--replace")
    limit = time.monotonic() + 60
    while asked() != (200, 1000):
        assert time.monotonic() < limit
    assert Platform.objects.count() == 2
    # What must be written is written too.
    answer = ask(hub, cpo, "PUT", "receiver/tariffs/XX/AAA/T1", to=emsp, body=b"{}")
    assert answer.said[0] == 200
    former = next(line.split()[6] for line in told.splitlines() if "kept as" in line).rstrip(";")
    with programs.connected("postgres") as db:
        db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(former)))
