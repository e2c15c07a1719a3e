"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class ChargingProfilesConfig(AppConfig):
    name = "charging_profiles"
    label = "ocpi_charging_profiles"
    verbose_name = "ChargingProfiles"
