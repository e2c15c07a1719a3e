"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class LocationsConfig(AppConfig):
    name = "locations"
    label = "ocpi_locations"
    verbose_name = "Locations"
