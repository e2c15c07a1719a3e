"""Turns by the clock: each task is run by whichever worker of its queue comes first."""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Final

from hub.celery import app
from hub.db import leases, sql
from hub.db.leases import NOW, Lease
from hub.models.workers import Timer
from hub.workers import sooner
from hub.workers.threads import Threads

_ADD: Final = f"""
    INSERT INTO hub_timer (task, due_at, fence)
    SELECT task, {NOW}, 0 FROM unnest(%s::text[]) AS task
    WHERE NOT EXISTS (SELECT FROM hub_timer WHERE hub_timer.task = task.task)
    ON CONFLICT (task) DO NOTHING
"""  # noqa: S608 - names of ours
# Those whose time has come, or that were asked for, unless another process has them; and back goes
# what this one has had and ended.
_CLAIM: Final = f"""
    UPDATE hub_timer AS timer
    SET fence = {leases.NEXT_FENCE},
        lease_until = CASE WHEN due_at <= {NOW} OR mine.is_asked_for THEN {leases.UNTIL} END,
        due_at = CASE WHEN due_at <= {NOW} OR mine.is_asked_for
                      THEN {NOW} + mine.seconds * interval '1 second' ELSE due_at END
    FROM unnest(%s::text[], %s::float8[], %s::bool[], %s::bigint[])
         AS mine (task, seconds, is_asked_for, ended)
    WHERE timer.task = mine.task AND (timer.fence = mine.ended
          OR {leases.free("timer")} AND (due_at <= {NOW} OR mine.is_asked_for))
    RETURNING timer.id, timer.task, timer.fence, timer.lease_until IS NOT NULL, {sql.SOON}
"""  # noqa: S608 - names of ours
# By its fence: a renewal that is under way may come after it.
_GIVE_BACK: Final = f"""
    UPDATE hub_timer SET fence = {leases.NEXT_FENCE}, {leases.RELEASED}
    WHERE fence = ANY(%s::bigint[]) RETURNING {sql.SOON}
"""  # noqa: S608 - names of ours


class Timers:
    """The turns of one process: task to seconds. There is a thread for each: none waits for others.

    The lease of one that has ended is given back by the next look, not by a statement of its own:
    that look most often takes it anew.
    """

    def __init__(self, seconds: Mapping[str, float], threads: Threads) -> None:
        self._seconds = seconds
        self._threads = threads
        self._lock = threading.Lock()
        self._ended: dict[str, int] = {}
        self._is_stopping = False

    def add(self) -> None:
        """Make rows for those that have none yet; their first turn is now."""
        if self._seconds:
            sql.run(_ADD, [list(self._seconds)])

    def begin(self) -> None:
        """Begin those whose time has come, unless another process has."""
        if not self._seconds:
            return
        asked = leases.clock()
        asked_for = sooner.asked_for(self._seconds)
        with self._lock:
            ended, self._ended = self._ended, {}
        parameters = (
            list(self._seconds),
            [float(each) for each in self._seconds.values()],
            [task in asked_for for task in self._seconds],
            [ended.get(task) for task in self._seconds],
        )
        for pk, task, fence, is_due, _ in sql.run(_CLAIM, parameters):
            if is_due:
                timer = Timer(pk=pk, task=task, fence=fence)
                self._threads.begin(partial(self._run, timer, Lease(fence, asked)))

    def _run(self, timer: Timer, lease: Lease) -> None:
        """Run one turn; a failed one is followed by the next."""
        try:
            with leases.renewed(timer, lease):
                app.tasks[timer.task]()
        finally:
            with self._lock:
                self._ended[timer.task] = lease.fence
                is_last = self._is_stopping
            if is_last:  # No look follows.
                self.give_back()

    def give_back(self) -> None:
        """This process takes no more: others need not wait for the end of its leases.

        That of a turn which is still under way is given back at its end.
        """
        with self._lock:
            self._is_stopping = True
            ended, self._ended = self._ended, {}
        if ended:
            sql.run(_GIVE_BACK, [list(ended.values())])
