"""One web process alone, for containers: it is started again when it ends or hangs.

Everything else that the hub needs runs elsewhere: settings as in docs/operations.md.
"""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from stack.processes import STOP_SIGNALS, log, stop
from stack.serve import host_of, listen, port_of, raise_file_limit, web_process, where
from stack.supervisor import Supervisor

# Answers that are being given may be finished; a container runtime waits as long.
GRACE = 40.0  # seconds


def run(env: Mapping[str, str], project: Path) -> int:
    """Until a signal ends it, on HOST and PORT."""
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
        for number in STOP_SIGNALS:
            signal.signal(number, _on_signal)
        try:
            child.start()
            log("runner", f"listens on {where(listener)}")
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
