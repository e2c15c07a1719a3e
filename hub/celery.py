"""The Celery application: what outlives a request."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

app = Celery(
    "flexhub",
    include=["charging_profiles.tasks", "hub.delivery", "hub.still_alive", "hub.upkeep"],
)
app.config_from_object("django.conf:settings", namespace="CELERY")
