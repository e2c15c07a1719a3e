"""App label rule of the module apps: ocpi_<module>, so that none shadows Django's own."""

from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"
    label = "ocpi_tokens"
    verbose_name = "Tokens"
