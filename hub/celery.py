"""The Celery application: what outlives a request."""

import gc
import os

from celery import Celery
from celery.signals import setup_logging, task_prerun, worker_ready
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

app = Celery(
    "flexhub",
    include=[
        "cdrs.tasks",
        "charging_profiles.tasks",
        "flex.knowledge.tasks",
        "flex.tasks",
        "hub.backup.by_the_clock",
        "hub.conformance.check",
        "hub.deliveries.keeper",
        "hub.deviations.jobs",
        "hub.monitoring.alerts.tasks",
        "hub.sync.pull_tasks",
        "hub.record.stream_to_table",
        "hub.sync.replay",
        "hub.sync.tell_pulled",
        "hub.parties.still_alive",
        "hub.keeping.tasks",
        "hub.workers.process",
        "sessions.tasks",
    ],
)
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery would close a thread's database connection after each task, and a new one costs more than
# most tasks: they last, and are looked at before each use, as in the web processes.
app.conf["CELERY_DB_REUSE_MAX"] = 2**60


@setup_logging.connect
def _leave_logging_alone(**_: object) -> None:
    """Workers log as LOGGING in the settings says; Celery would raise the root's level."""


@worker_ready.connect
def _spare_the_collector(**_: object) -> None:
    """What was loaded at start-up lives as long as the process: never look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@task_prerun.connect
def _look_at_connection(**_: object) -> None:
    """A connection that the database has dropped is replaced before the task needs it."""
    close_old_connections()
