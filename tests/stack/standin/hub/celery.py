"""Stands in for the hub's Celery application."""

import os
import threading

from celery import Celery

app = Celery("hub", broker=os.environ["REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True


def _beat() -> None:
    """As a worker does (hub/workers/pulse.py)."""
    pause = threading.Event()
    while not pause.wait(1):
        os.write(int(os.environ["FLEXHUB_HEARTBEAT"]), b".")


if "FLEXHUB_HEARTBEAT" in os.environ:
    threading.Thread(target=_beat, daemon=True).start()
