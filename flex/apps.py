"""App label rule of the module apps; and the flexibility layer installs itself."""

from django.apps import AppConfig


class FlexConfig(AppConfig):
    name = "flex"
    label = "flex"
    verbose_name = "Flexibility"

    def ready(self) -> None:
        """Let the modules ask and tell it; its models load after the apps."""
        from flex.hooks import FlexHooks  # noqa: PLC0415
        from sessions import flexibility  # noqa: PLC0415

        flexibility.install(FlexHooks())
