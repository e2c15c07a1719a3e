"""What is known of sessions, as an app with tables of its own."""

from django.apps import AppConfig


class KnowledgeConfig(AppConfig):
    name = "flex.knowledge"
    label = "flex_knowledge"
    verbose_name = "Knowledge of sessions"

    def ready(self) -> None:
        """Let CDRs be checked for pauses that a profile made; its models load after the apps."""
        from cdrs import checking  # noqa: PLC0415
        from flex.knowledge import pauses  # noqa: PLC0415

        checking.pauses_from(pauses.held_by_profile)
