"""By the clock: ends commands that can wait no longer. `carrier.py` carries the others."""

from celery import shared_task

from charging_profiles import verification
from charging_profiles.models import ProfileCommand


@shared_task(name="charging_profiles.end_overdue")
def end_overdue() -> None:
    """End what waited long enough, verify what followed it. Safe to run twice."""
    ProfileCommand.end_overdue()
    verification.advance()
