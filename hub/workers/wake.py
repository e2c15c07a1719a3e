"""Telling workers that something waits: a row where it must not be lost, and a notification.

The row is written in the caller's transaction and on its connection. No broker is asked; workers
that hear nothing look each second (docs/decisions/0026).
"""

import json
import threading
import time
from functools import cache
from typing import Final

from django.conf import settings

from hub import statements
from hub.leases import NOW

CHANNEL: Final = "flexhub_work"
# One process notifies a queue so often at most: whoever works there looks on for longer than that.
NUDGE_EVERY: Final = 1.0
_WAKE: Final = f"""
    INSERT INTO hub_job AS job (queue, task, arguments, due_at, wakes, attempts, fence)
    VALUES (%s, %s, %s::jsonb, {NOW}, 1, 0, 0)
    ON CONFLICT (task, arguments) DO UPDATE
    SET wakes = job.wakes + 1, due_at = least(job.due_at, {NOW})
    RETURNING pg_notify('{CHANNEL}', queue)
"""  # noqa: S608 - names of ours

_lock = threading.Lock()
_nudged: dict[str, float] = {}


def wake(task: str, *arguments: object) -> None:
    """Have a worker run a task soon; whatever happens to this process, it is run.

    What was asked for already and has not begun is asked for once.
    """
    statements.run(_WAKE, [queue_of(task), task, json.dumps(arguments)])


def nudge(queue: str) -> None:
    """Tell those who work for a queue to look: what waits for them is in rows of its own."""
    now = time.monotonic()
    with _lock:
        if now - _nudged.get(queue, -NUDGE_EVERY) < NUDGE_EVERY:
            return
        _nudged[queue] = now
    statements.run(f"SELECT pg_notify('{CHANNEL}', %s)", [queue])


@cache
def queue_of(task: str) -> str:
    """Whose work it is, by the longest pattern of CELERY_TASK_ROUTES that fits."""
    routes: dict[str, dict[str, str]] = settings.CELERY_TASK_ROUTES
    fitting = [pattern for pattern in routes if task.startswith(pattern.removesuffix("*"))]
    if not fitting:
        return str(settings.CELERY_TASK_DEFAULT_QUEUE)
    return routes[max(fitting, key=len)]["queue"]
