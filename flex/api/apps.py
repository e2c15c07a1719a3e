"""The flex API, as an app with tables of its own."""

from django.apps import AppConfig


class FlexApiConfig(AppConfig):
    name = "flex.api"
    label = "flex_api"
    verbose_name = "Flex API"

    def ready(self) -> None:
        """The data coverage shows what apps have told; its models load after the apps."""
        from flex.api.wishes import for_coverage  # noqa: PLC0415
        from flex.knowledge import coverage  # noqa: PLC0415

        coverage.wishes_from(for_coverage)
