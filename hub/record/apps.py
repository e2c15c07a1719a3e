"""The message record: every message in and out, apart from the business data."""

from django.apps import AppConfig


class RecordConfig(AppConfig):
    name = "hub.record"
    label = "record"
    verbose_name = "Message record"
