"""The Django app of the table of deviations."""

from django.apps import AppConfig


class DeviationsConfig(AppConfig):
    name = "hub.deviations"
    label = "deviations"
    verbose_name = "Deviations"
