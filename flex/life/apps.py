"""The life of profile commands, as an app with tables of its own."""

from django.apps import AppConfig


class LifeConfig(AppConfig):
    name = "flex.life"
    label = "flex_life"
    verbose_name = "Life of profile commands"
