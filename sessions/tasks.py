"""By the clock: what a process that died left on its way (mod_sessions)."""

from celery import shared_task

from sessions import pushes


@shared_task(name="sessions.forget_left_behind")
def forget_left_behind() -> None:
    """End Sessions on their way whose answer nobody will ever tell. Safe to run twice."""
    pushes.end_left_behind()
