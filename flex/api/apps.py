"""The flex API, as an app with tables of its own."""

from django.apps import AppConfig


class FlexApiConfig(AppConfig):
    name = "flex.api"
    label = "flex_api"
    verbose_name = "Flex API"
