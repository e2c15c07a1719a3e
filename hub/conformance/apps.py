"""The Django app of the conformance check's two tables."""

from django.apps import AppConfig


class ConformanceConfig(AppConfig):
    name = "hub.conformance"
    label = "conformance"
    verbose_name = "Conformance"
