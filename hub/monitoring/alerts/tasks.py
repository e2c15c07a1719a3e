"""Turns by the clock: rules are looked at, and what they found is told.

In two queues, so that the end of all workers of one is told by those of the other.
"""

from celery import shared_task

from hub.monitoring.alerts import certificates, telling, watching


@shared_task(name="alerts.watch")
def watch() -> None:
    """Look, then tell, whatever became of looking: what waits is told."""
    try:
        watching.watch()
    finally:
        telling.tell()


@shared_task(name="alerts.look_at_certificates")
def look_at_certificates() -> None:
    """Twice a day for each host."""
    certificates.look()
