"""Tells targets what waits for them: one at a time, in its order, again while it fails.

A target is leased while it is told, so that no two processes tell the same. Should one die between
the answer and the note of it, the message is sent once more with the same id.
"""

import logging
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from hub.db import leases
from hub.db.one_by_one import each
from hub.monitoring.alerts import channels
from hub.monitoring.alerts.models import Notice, Severity, Target

logger = logging.getLogger(__name__)
# Of one target in one turn.
_A_TURN: Final = 20
FIRST_PAUSE: Final = 5.0  # seconds, then twice as long each time
_LONGEST_PAUSE: Final = 600.0  # seconds
GIVEN_UP_AFTER: Final = timedelta(days=3)


def tell() -> None:
    """Tell every target that something waits for, unless it is quiet or was not reached lately."""
    now = timezone.now()
    waiting = Notice.objects.filter(told_at__isnull=True, withdrawn="")
    waiting.filter(made_at__lt=now - GIVEN_UP_AFTER).update(
        withdrawn="The target could not be told for days."
    )
    targets = Target.objects.filter(is_on=True, pk__in=waiting.values("target"))
    due = targets.filter(Q(not_before=None) | Q(not_before__lte=now))
    each(due.order_by("pk"), _tell, is_atomic=False)


def _tell(target: Target) -> None:
    lease = leases.take(target)
    if lease is None:
        return  # Another process tells it.
    with leases.holding(target, lease):
        # Read again under the lease: what another process has told meanwhile is told.
        waiting = target.notices.filter(told_at__isnull=True, withdrawn="")
        if target.is_quiet(timezone.now()):
            waiting = waiting.filter(alert__rule__severity=Severity.CRITICAL)
        for notice in waiting.select_related("alert__rule", "target").order_by("pk")[:_A_TURN]:
            if not lease.is_held or not _told(notice):
                return


def _told(notice: Notice) -> bool:
    target, now = notice.target, timezone.now()
    problem = send(target, channels.of_notice(notice))
    notice.attempts += 1
    if not problem:
        notice.told_at = now
    notice.save(update_fields=["attempts", "told_at"])
    target.problem = problem[:300]
    target.failures = min(target.failures + 1, 20) if problem else 0
    target.not_before = None
    if problem:
        pause = min(FIRST_PAUSE * 2 ** (target.failures - 1), _LONGEST_PAUSE)
        target.not_before = now + timedelta(seconds=pause)
        logger.warning("alerts wait for %s: %s", target, problem)
    else:
        target.told_at = now
    target.save(update_fields=["problem", "failures", "not_before", "told_at"])
    return not problem


def send(target: Target, message: channels.Message) -> str:
    """Send one message; "" when it was taken, else why not."""
    try:
        channels.send(target, message)
    except channels.NotTold as error:
        return str(error)
    return ""
