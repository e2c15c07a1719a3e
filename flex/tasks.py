"""Jobs of the flexibility rules: what a process that died left on its way (mod_sessions)."""

from celery import shared_task

from flex import relay


@shared_task(name="flex.forget_left_behind")
def forget_left_behind() -> None:
    """End Sessions on their way whose answer nobody will ever tell. Safe to run twice."""
    relay.end_left_behind()
