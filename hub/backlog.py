"""Whether the hub owes so much that it takes no more broadcasts for now.

Measured at most once a second by each process, and less often when it takes long: refusing must be
cheaper than taking. Until the next look, what this process writes is added to what it saw.
"""

import logging
import threading
import time
from typing import Final

from django.conf import settings
from django.db import connection

from hub.models import Delivery, DeliveryState, DrainLease, Platform, Sharding
from hub.ocpi.errors import ServerError

logger = logging.getLogger(__name__)
LOOK_EVERY: Final = 1.0
# A look takes at most this part of a process's time.
LOOKING: Final = 0.02
RETRY_AFTER: Final = 5
# The rows that have waited longest for each receiver: one look at the index for each receiver.
_LATE: Final = """
WITH RECURSIVE head AS (
    (SELECT receiver_id, created_at FROM hub_delivery WHERE state = 'WAITING'
     ORDER BY receiver_id, id LIMIT 1)
    UNION ALL
    SELECT following.* FROM head CROSS JOIN LATERAL (
        SELECT receiver_id, created_at FROM hub_delivery
        WHERE state = 'WAITING' AND receiver_id > head.receiver_id
        ORDER BY receiver_id, id LIMIT 1
    ) AS following
)
SELECT receiver_id FROM head WHERE created_at < now() - make_interval(secs => %s)
"""


class Backlog:
    """What one process knows of the rows that wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._rows = 0
        self._problem = ""

    def check(self, more: int) -> None:
        """ServerError (3000) with Retry-After when `more` rows are too many, or others are late."""
        if time.monotonic() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        problem = self._problem
        if not problem and self._rows + more > settings.BACKLOG_MAX_ROWS:
            problem = f"{self._rows} messages to others are still to be delivered"
        if problem:
            raise ServerError(
                f"The hub takes no broadcasts for the moment: {problem}. Try again later.",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        self._rows += more

    def _look(self) -> None:
        began = time.monotonic()
        waiting = Delivery.objects.filter(state=DeliveryState.WAITING)
        self._rows = waiting[: settings.BACKLOG_MAX_ROWS + 1].count()
        problem = self._lateness() if self._rows else ""
        if problem and not self._problem:
            logger.warning("broadcasts are refused: %s", problem)
        self._problem = problem
        now = time.monotonic()
        self._look_at = now + max(LOOK_EVERY, (now - began) / LOOKING)

    def _lateness(self) -> str:
        """Why deliveries are late, if that is the hub's own doing.

        A receiver that is slow is late alone. All of a shard that nobody drains are late, or many.
        """
        seconds = settings.BACKLOG_MAX_SECONDS
        with connection.cursor() as cursor:
            cursor.execute(_LATE, [seconds])
            late = [receiver for (receiver,) in cursor.fetchall()]
        if not late:
            return ""
        held, shards = DrainLease.held(), Sharding.number()
        if any(DrainLease.shard_of(receiver, shards) not in held for receiver in late):
            return f"nobody has delivered anything for {seconds:g} s"
        registered = Platform.objects.filter(registered_at__isnull=False).count()
        if len(late) > 1 and 4 * len(late) > registered:
            return f"deliveries are more than {seconds:g} s late"
        return ""


backlog = Backlog()
