"""Switches of FSP, as an app with tables of its own."""

from django.apps import AppConfig


class SwitchingConfig(AppConfig):
    name = "flex.switching"
    label = "flex_switching"
    verbose_name = "Switches of FSP"
