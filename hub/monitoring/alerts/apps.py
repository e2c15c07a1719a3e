"""The Django app of the alerts' tables."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "hub.monitoring.alerts"
    label = "alerts"
    verbose_name = "Alerts"
