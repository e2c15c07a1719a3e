"""One worker process: what it does by itself for its queues, whatever becomes of the broker.

Celery runs the process and has the tasks; a task that a broker brings is run as ever. Nothing
depends on that: jobs, turns by the clock and permanent loops have threads of their own, which begin
before Celery asks for a connection, and PostgreSQL alone tells them what to do.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Collection
from typing import Any, Final, Protocol

import psycopg
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections, connection
from django.db.utils import Error as DatabaseError
from django.utils.module_loading import import_string

from hub.celery import app
from hub.db import leases, sql
from hub.db.leases import process_name
from hub.db.notify import connection_parameters, payloads
from hub.models.workers import QUEUES
from hub.startup.heartbeat import Heartbeat
from hub.workers import jobs, sooner
from hub.workers.pulse import pulse
from hub.workers.threads import Threads
from hub.workers.timers import Timers
from hub.workers.wake import CHANNEL

logger = logging.getLogger(__name__)
# A worker that hears nothing looks this often, in seconds.
LOOK_EVERY: Final = 1.0  # seconds
# A process confirms this often that it is there.
PRESENT_EVERY: Final = 2.0  # seconds
# Work that is under way when a process is told to stop may take so long.
STOP_SECONDS: Final = 8.0  # seconds
# Jobs at the same time: they wait for other people's servers.
JOBS_AT_ONCE: Final = 8
_PRESENT: Final = f"""
    INSERT INTO hub_workerprocess (name, queue, lease_until)
    SELECT %s, queue, {leases.UNTIL} FROM unnest(%s::text[]) AS queue
    ON CONFLICT (name, queue) DO UPDATE SET lease_until = excluded.lease_until
    RETURNING {sql.SOON}
"""  # noqa: S608 - names of ours
_GONE: Final = (
    f"DELETE FROM hub_workerprocess WHERE name = %s OR lease_until < {leases.NOW} - interval '1 h'"  # noqa: S608
)


class Loop(Protocol):
    """Work that never ends: it runs in a thread of its own until it is stopped."""

    def run(self) -> None:
        """Run until `stop`; what goes wrong meanwhile is tried again."""

    def look(self) -> None:
        """Tell it that something may wait; from any thread."""

    def stop(self) -> None:
        """End when what is under way has ended; from any thread."""


class Worker:
    """The work of some queues, in threads of this process."""

    def __init__(self, queues: Collection[str], *, by_the_clock: bool = True) -> None:
        app.loader.import_default_modules()
        self._queues = [queue for queue in QUEUES if queue in queues]
        by_queue: dict[str, dict[str, float]] = settings.TURNS_BY_THE_CLOCK if by_the_clock else {}
        turns = {
            task: seconds
            for queue in self._queues
            for task, seconds in by_queue.get(queue, {}).items()
        }
        loops: dict[str, str] = settings.PERMANENT_LOOPS
        self._loops: dict[str, Loop] = {
            queue: import_string(loops[queue])() for queue in self._queues if queue in loops
        }
        self._to_look = threading.Event()
        self._is_stopping = threading.Event()
        self._jobs = Threads("job", JOBS_AT_ONCE, self._to_look.set)
        self._turns = Threads("turn", max(1, len(turns)))
        self._timers = Timers(turns, self._turns)
        work = [loop.run for loop in self._loops.values()]
        self._threads = [
            threading.Thread(target=run, name="worker", daemon=True)
            for run in (self._listen, self._give_out, self._beat, *work)
        ]

    def start(self) -> None:
        """Start the threads, and return at once."""
        sooner.wake_by(self._to_look.set)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more. From any thread, and from a signal's handler."""
        self._is_stopping.set()
        sooner.wake_no_more(self._to_look.set)
        self._to_look.set()
        for loop in self._loops.values():
            loop.stop()

    def join(self, seconds: float = STOP_SECONDS) -> None:
        """Wait for what is under way, for a while; what is left behind is somebody else's soon."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for threads in (self._jobs, self._turns):
            threads.join(max(0.1, until - time.monotonic()))

    def _beat(self) -> None:
        pulse.beat(Heartbeat(os.environ), self._is_stopping)

    # --- Hearing that something waits -------------------------------------------------------------

    def _listen(self) -> None:
        while not self._is_stopping.is_set():
            try:
                with psycopg.connect(autocommit=True, **connection_parameters()) as database:
                    for queue in self._queues:
                        database.execute(f"LISTEN {CHANNEL}{queue}")
                    self._look_all()
                    waiting = select.poll()
                    waiting.register(database.pgconn.socket, select.POLLIN)
                    while not self._is_stopping.is_set():
                        if waiting.poll(1000 * LOOK_EVERY):
                            for queue in payloads(database):
                                self._look(queue)
            except psycopg.Error as error:
                logger.warning("listening for work: %s; trying again", error)
                self._is_stopping.wait(LOOK_EVERY)

    def _look(self, queue: str) -> None:
        """What a permanent loop works on is in rows of its own: jobs for its queue are rare."""
        if queue in self._loops:
            self._loops[queue].look()
        elif queue in self._queues:
            self._to_look.set()

    def _look_all(self) -> None:
        """Look for everything that was told while nobody listened."""
        self._to_look.set()
        for queue in self._loops:
            self._look(queue)

    # --- Jobs and turns ---------------------------------------------------------------------------

    def _give_out(self) -> None:
        presented_at = -PRESENT_EVERY
        while not self._is_stopping.is_set():
            pulse.turned("giving out work")
            self._to_look.clear()
            try:
                if time.monotonic() - presented_at >= PRESENT_EVERY:
                    presented_at = time.monotonic()
                    self._timers.add()
                    sql.run(_PRESENT, (process_name(), self._queues))
                self._timers.begin()
                jobs.begin(self._queues, self._jobs)
            except (DatabaseError, psycopg.Error) as error:
                logger.warning("work waits for the database: %s", error)
                close_old_connections()
            except Exception:
                # The boundary of this thread: without it the process would live and do nothing.
                logger.exception("no work was given out; trying again")
            self._to_look.wait(LOOK_EVERY)
        pulse.ended("giving out work")
        self._leave()

    def _leave(self) -> None:
        try:
            self._timers.give_back()
            sql.run(_GONE, (process_name(),))
        except (DatabaseError, psycopg.Error) as error:
            logger.warning("this process is taken for present a little longer: %s", error)
        connection.close()


_started: list[Worker] = []


@worker_init.connect
def _start(sender: Any, **_: object) -> None:
    """Start before Celery connects to its broker, which may hang."""
    worker = Worker(sender.app.amqp.queues.consume_from)
    worker.start()
    _started.append(worker)


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    for worker in _started:
        worker.stop()


@worker_shutdown.connect
def _join(**_: object) -> None:
    """Stop it, also when the worker ends without having been told to."""
    for worker in _started:
        worker.stop()
        worker.join()
