"""What an operator settles of targets, at the console and by manage.py alike."""

from datetime import timedelta
from typing import Final

from django.utils import timezone

from hub.monitoring.alerts import channels, telling
from hub.monitoring.alerts.models import Channel, Target
from hub.ocpi.errors import InvalidParameters

# Of minutes almost two years, in the largest unit (days) still a date.
MOST: Final = 1_000_000


def keep(target: Target, address: str = "") -> Target:
    """Save it, with this address where one is given; what failed at the former one is forgotten.

    InvalidParameters for an address that can never be told.
    """
    if address:
        channels.check_address(Channel(target.channel), address)
        target.address = address
        target.failures, target.not_before, target.problem = 0, None, ""
    if target.channel == Channel.WEBHOOK and not target.secret_encrypted:
        target.secret = channels.new_secret()
    target.save()
    return target


def check_limit(limit: float) -> None:
    """InvalidParameters for what is no number, below zero, or longer than any time there is."""
    if not 0 <= limit <= MOST:
        raise InvalidParameters(f"A limit is a number from 0 to {MOST:,}.")


def test(target: Target) -> str:
    """Send a test now, quiet hours or not; "" when it was taken, else why not."""
    problem = telling.send(target, channels.of_test(target))
    now = timezone.now()
    target.problem = problem[:300]
    if problem:
        target.not_before = now + timedelta(seconds=telling.FIRST_PAUSE)
    else:
        target.failures, target.not_before, target.told_at = 0, None, now
    target.save(update_fields=["problem", "failures", "not_before", "told_at"])
    return problem
