"""One process alone, for containers: it is started again when it ends or hangs.

Everything else that the hub needs runs elsewhere: settings as in docs/operations.md.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from stack.processes import STOP_SIGNALS, Child, log, stop
from stack.serve import host_of, listen, port_of, raise_file_limit, web_process, where, worker
from stack.supervisor import Supervisor

# Answers that are being given may be finished; a container runtime waits as long.
GRACE = 40.0  # seconds
# Work that is under way may be finished (hub/workers/process.py); what is left is another's soon.
WORKER_GRACE = 20.0  # seconds


def run(env: Mapping[str, str], project: Path) -> int:
    """A web process on HOST and PORT, until a signal ends it."""
    raise_file_limit()
    with listen(host_of(env), port_of(env)) as listener:
        port = listener.getsockname()[1]
        child = web_process(
            env.get("FLEXHUB_WORKER") or "web",
            listener,
            {**os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"},
            project.resolve(),
            GRACE,
        )
        return _minded(child, f"listens on {where(listener)}")


def run_worker(env: Mapping[str, str], project: Path, group: str) -> int:
    """A worker of one queue, until a signal ends it."""
    raise_file_limit()
    child = Child(
        env.get("FLEXHUB_WORKER") or group,
        [sys.executable, *worker(group)],
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
        cwd=project.resolve(),
        grace=WORKER_GRACE,
        beats=True,
    )
    return _minded(child, f"minds a worker of {group}")


def _minded(child: Child, told: str) -> int:
    for number in STOP_SIGNALS:
        signal.signal(number, _on_signal)
    try:
        child.start()
        log("runner", told)
        Supervisor([child]).run()
    except KeyboardInterrupt as interrupt:
        log("runner", f"{interrupt}: stopping")
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        stop([child])
    return 0


def _on_signal(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
