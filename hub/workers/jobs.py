"""Jobs: a worker with a free thread claims some, runs their tasks, and deletes the rows."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from hub.celery import app
from hub.db import leases, sql
from hub.db.leases import NOW, Lease
from hub.models.workers import Job
from hub.workers.threads import Threads

logger = logging.getLogger(__name__)
# Pauses after failures, in seconds; after the last one the job is given up.
PAUSES: Final = (1, 5, 30, 120)
_CLAIM: Final = f"""
    UPDATE hub_job SET {leases.TAKEN}, attempts = attempts + 1
    WHERE id IN (
        SELECT id FROM hub_job WHERE queue = ANY(%s::text[]) AND due_at <= {NOW} AND {leases.free()}
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    RETURNING {sql.columns(Job)}
"""  # noqa: S608 - names of ours
_DONE: Final = "DELETE FROM hub_job WHERE id = %s AND fence = %s AND wakes = %s RETURNING id"
_ONCE_MORE: Final = f"UPDATE hub_job SET attempts = 0, due_at = {NOW} WHERE id = %s AND fence = %s"  # noqa: S608
_LATER: Final = f"""
    UPDATE hub_job SET due_at = {NOW} + %s * interval '1 second' WHERE id = %s AND fence = %s
"""  # noqa: S608 - names of ours
_GIVE_UP: Final = "DELETE FROM hub_job WHERE id = %s AND fence = %s"


def begin(queues: Sequence[str], threads: Threads) -> None:
    """Claim as many as there are threads free for, and begin them."""
    free = threads.free
    if free <= 0:
        return
    asked = leases.clock()
    for job in sql.rows(Job, _CLAIM, (list(queues), free)):
        threads.begin(partial(run, job, Lease(job.fence, asked)))


def run(job: Job, lease: Lease) -> None:
    """Run a job's task under its lease; what it raises is tried again a few times."""
    with leases.holding(job, lease):
        try:
            app.tasks[job.task](*job.arguments)
        except Exception:
            # A task may fail in any way; its row says that it is to be tried again.
            logger.exception("%s failed", job)
            _failed(job, lease)
            return
        mine: tuple[Any, ...] = (job.pk, lease.fence)
        if not sql.run(_DONE, (*mine, job.wakes)):
            # It was requested once more meanwhile, perhaps after its last look.
            sql.run(_ONCE_MORE, mine)


def _failed(job: Job, lease: Lease) -> None:
    if job.attempts <= len(PAUSES):
        pause = PAUSES[job.attempts - 1]
        sql.run(_LATER, (float(pause), job.pk, lease.fence))
    else:
        logger.error("%s is given up after %s attempts", job, job.attempts)
        sql.run(_GIVE_UP, (job.pk, lease.fence))
