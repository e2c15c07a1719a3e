"""The app of accounts' roles; its label is short, since permissions begin with it."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "hub.console.access"
    label = "access"
    verbose_name = "Access"
