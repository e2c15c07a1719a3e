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

from hub.db import sql
from hub.db.batch_writer import Statement, Writer
from hub.db.leases import NOW

# Of each queue one, with the queue's name behind: who works for another does not wake up.
CHANNEL: Final = "flexhub_work_"
# One process notifies a queue so often at most: whoever works there looks on for longer than that.
NUDGE_EVERY: Final = 1.0  # seconds
_WAKE: Final = f"""
    INSERT INTO hub_job AS job (queue, task, arguments, due_at, wakes, attempts, fence)
    VALUES (%s, %s, %s::jsonb, {NOW}, 1, 0, 0)
    ON CONFLICT (task, arguments) DO UPDATE
    SET wakes = job.wakes + 1, due_at = least(job.due_at, {NOW})
    RETURNING pg_notify('{CHANNEL}' || queue, queue)
"""  # noqa: S608 - names of ours

NUDGE: Final = Statement(
    "nudge", f"SELECT pg_notify('{CHANNEL}' || %(queue)s::text, %(queue)s::text)::text"
)

_lock = threading.Lock()
_nudged: dict[str, float] = {}


def wake(task: str, *arguments: object) -> None:
    """Have a worker run a task soon; whatever happens to this process, it is run.

    A job that was requested already and has not begun is one job.
    """
    sql.run(_WAKE, [queue_of(task), task, json.dumps(arguments)])


def nudge(queue: str) -> None:
    """Tell those who work for a queue to look: what waits for them is in rows of its own."""
    if _is_due(queue):
        sql.run("SELECT pg_notify(%s, %s)", [f"{CHANNEL}{queue}", queue])


def nudge_at_once(writer: Writer, queue: str) -> None:
    """The same from the event loop, which does not wait for it."""
    if _is_due(queue):
        writer.ask(NUDGE, {"queue": queue})


def _is_due(queue: str) -> bool:
    now = time.monotonic()
    with _lock:
        if now - _nudged.get(queue, -NUDGE_EVERY) < NUDGE_EVERY:
            return False
        _nudged[queue] = now
        return True


@cache
def queue_of(task: str) -> str:
    """The queue of a task, by the longest pattern of CELERY_TASK_ROUTES that fits."""
    routes: dict[str, dict[str, str]] = settings.CELERY_TASK_ROUTES
    fitting = [pattern for pattern in routes if task.startswith(pattern.removesuffix("*"))]
    if not fitting:
        return str(settings.CELERY_TASK_DEFAULT_QUEUE)
    return routes[max(fitting, key=len)]["queue"]
