"""PostgreSQL and Valkey for one command, in a temporary folder."""

import os
import secrets
import signal
import subprocess
import tempfile
from pathlib import Path
from types import FrameType

from stack import folder as data
from stack.postgres import Postgres
from stack.processes import STOP_SIGNALS, launched
from stack.valkey import Valkey


def run(command: list[str]) -> int:
    """The command's exit code."""
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="flexhub-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        postgres = Postgres(folder / "postgres", durable=False)
        valkey = Valkey(folder / "valkey", durable=False)
        try:
            env = {"DATABASE_URL": postgres.start(), "REDIS_URL": valkey.start()}
            data.write(data.make(folder / "data") / "secret.key", secrets.token_urlsafe(48))
            return _run({**os.environ, **env, "FLEXHUB_DATA": str(folder / "data")}, command)
        finally:
            valkey.stop()
            postgres.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(env: dict[str, str], command: list[str]) -> int:
    """In our own process group: Ctrl-C reaches it too, and its end is waited for."""
    process = subprocess.Popen(  # noqa: S603 - what the person typed
        launched(command, signal.SIGTERM), env=env
    )

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    for number in STOP_SIGNALS:
        signal.signal(number, pass_on)
    code = process.wait()
    return code if code >= 0 else 128 - code
