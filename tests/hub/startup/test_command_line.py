"""manage.py beside a stopped hub, or with another data folder: one line, and nothing is written."""

import os
import subprocess
import sys
from pathlib import Path

from stack.__main__ import CHECKOUT
from tests.cases import case


def manage(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """The exit code and what was said, without what this test's own environment knows."""
    hidden = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env=environment | {"FLEXHUB_DATA": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_where_no_hub_runs_one_line_says_so(tmp_path):
    other, stopped = tmp_path / "other", tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "secret.key").write_text("a key")
    url = "postgresql://flexhub:a-secret@127.0.0.1:1/flexhub"
    (stopped / "services.env").write_text(f"DATABASE_URL={url}\nREDIS_URL=redis://127.0.0.1:1/0\n")
    before = {path: path.read_bytes() for path in stopped.iterdir()}
    invite = ("invite_party", "NL", "ABC", "--role", "CPO", "--name", "A")
    for folder, command, said in (
        (other, invite, f"no hub was ever started with the data folder {other}."),
        (other, ("migrate",), f"no hub was ever started with the data folder {other}."),
        (stopped, invite, "the database at 127.0.0.1:1 does not answer."),
    ):
        with case(folder.name, command[0]):
            code, out, error = manage(folder, *command)
            assert (code, out) == (1, "")
            assert error.startswith(f"flexhub: {said}")
            assert error.count("\n") == 1
            assert "FLEXHUB_DATA" in error
            assert "a-secret" not in error
    assert not other.exists()
    assert {path: path.read_bytes() for path in stopped.iterdir()} == before
