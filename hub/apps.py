"""The hub's own app: platforms, parties, agreements, deliveries, the console."""

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "hub"
    verbose_name = "Hub"

    def ready(self) -> None:
        """Register the system checks."""
        from hub.startup import checks  # noqa: F401, PLC0415 - checks need the loaded settings
