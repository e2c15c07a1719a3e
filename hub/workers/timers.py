"""Turns by the clock: each task is run by whichever worker of its queue comes first."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from hub.celery import app
from hub.db import leases, sql
from hub.db.leases import NOW, Lease
from hub.models.workers import Timer
from hub.workers import sooner
from hub.workers.threads import Threads

logger = logging.getLogger(__name__)
_ADD: Final = f"""
    INSERT INTO hub_timer (task, due_at, fence)
    SELECT task, {NOW}, 0 FROM unnest(%s::text[]) AS task
    WHERE NOT EXISTS (SELECT FROM hub_timer WHERE hub_timer.task = task.task)
    ON CONFLICT (task) DO NOTHING
"""  # noqa: S608 - names of ours
_CLAIM: Final = f"""
    UPDATE hub_timer AS timer
    SET {leases.TAKEN}, due_at = {NOW} + mine.seconds * interval '1 second'
    FROM unnest(%s::text[], %s::float8[]) AS mine (task, seconds)
    WHERE timer.task = mine.task AND {leases.free("timer")}
      AND (due_at <= {NOW} OR timer.task = ANY(%s::text[]))
    RETURNING timer.id, timer.task, timer.fence, {sql.SOON}
"""  # noqa: S608 - names of ours


def add(timers: Mapping[str, float]) -> None:
    """Make rows for timers that have none yet; their first turn is now."""
    sql.run(_ADD, [list(timers)])


def begin(timers: Mapping[str, float], threads: Threads) -> None:
    """Begin those whose time has come, unless another worker has; `timers`: task to seconds.

    There is a thread for each: one that takes long holds none of the others up.
    """
    if not timers:
        return
    asked = leases.clock()
    seconds = [float(each) for each in timers.values()]
    parameters = (list(timers), seconds, sooner.asked_for(timers))
    for pk, task, fence, _ in sql.run(_CLAIM, parameters):
        timer = Timer(pk=pk, task=task, fence=fence)
        threads.begin(partial(run, timer, Lease(fence, asked)))


def run(timer: Timer, lease: Lease) -> None:
    """Run one turn; a failed one is followed by the next."""
    with leases.holding(timer, lease):
        app.tasks[timer.task]()
