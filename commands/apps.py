"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class CommandsConfig(AppConfig):
    name = "commands"
    label = "ocpi_commands"
    verbose_name = "Commands"
