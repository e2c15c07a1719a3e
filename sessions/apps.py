"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions"
    label = "ocpi_sessions"
    verbose_name = "Sessions"
