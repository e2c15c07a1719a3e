"""What is known of sessions, as an app with tables of its own."""

from django.apps import AppConfig


class KnowledgeConfig(AppConfig):
    name = "flex.knowledge"
    label = "flex_knowledge"
    verbose_name = "Knowledge of sessions"
