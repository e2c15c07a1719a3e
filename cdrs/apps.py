"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class CdrsConfig(AppConfig):
    name = "cdrs"
    label = "ocpi_cdrs"
    verbose_name = "CDRs"
