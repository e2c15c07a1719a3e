"""App label rule of the module apps, and the hook into charging profiles."""

from django.apps import AppConfig


class FlexConfig(AppConfig):
    name = "flex"
    label = "flex"
    verbose_name = "Flexibility"

    def ready(self) -> None:
        """Install who may set profiles and see sessions; models load after the apps."""
        from charging_profiles import authority  # noqa: PLC0415
        from flex.authority import FlexAuthority  # noqa: PLC0415
        from flex.models import FspAssignment  # noqa: PLC0415
        from sessions import visibility  # noqa: PLC0415

        authority.install(FlexAuthority())
        visibility.install(FspAssignment.sessions_of)
