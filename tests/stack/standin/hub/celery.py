"""Stands in for the hub's Celery application."""

import os

from celery import Celery

app = Celery("hub", broker=os.environ["REDIS_URL"])
app.conf.broker_connection_retry_on_startup = True
