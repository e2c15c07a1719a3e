"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class TariffsConfig(AppConfig):
    name = "tariffs"
    label = "ocpi_tariffs"
    verbose_name = "Tariffs"
