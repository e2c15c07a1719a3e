"""By the clock: CDRs beside their Tariffs (mod_cdrs)."""

from celery import shared_task

from cdrs import checking


@shared_task(name="cdrs.check_new")
def check_new() -> None:
    """Compute what new CDRs should cost."""
    checking.check_new()
