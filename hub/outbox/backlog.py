"""Whether the hub can tell others what it is told: while nobody delivers it takes no broadcasts.

Of a slow receiver the drains take care, and what waits is bounded by the objects that there are. A
shard that nobody drains is the hub's own trouble. Each process looks at most once a second.
"""

import logging
import threading
import time
from typing import Final

from django.conf import settings

from hub.db import sql
from hub.db.leases import NOW
from hub.models import Sharding
from hub.ocpi.errors import ServerError

logger = logging.getLogger(__name__)
LOOK_EVERY: Final = 1.0  # seconds
RETRY_AFTER: Final = 5  # seconds
# Shards that nobody has had within the last seconds: whoever was killed, or ended, is followed
# soon. One that nobody has had ever is as new as the last of the others is old.
_IDLE: Final = f"""
SELECT number FROM generate_series(0, %s - 1) AS number
LEFT JOIN hub_drainlease ON shard = number
WHERE coalesce(lease_until, (SELECT max(lease_until) FROM hub_drainlease), '-infinity')
      <= {NOW} - make_interval(secs => %s)
"""  # noqa: S608 - a clock
_LATE: Final = """
SELECT EXISTS (SELECT FROM hub_stalecopy WHERE state = 'WAITING'
               AND receiver_id %% %s = ANY(%s) AND first_at < now() - make_interval(secs => %s))
    OR EXISTS (SELECT FROM hub_delivery WHERE state = 'WAITING'
               AND receiver_id %% %s = ANY(%s)
               AND coalesce(resent_at, created_at) < now() - make_interval(secs => %s))
"""


class Backlog:
    """What one process knows of the shards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._sent_at = 0.0
        self._is_late = False

    def check(self) -> None:
        """ServerError (3000) with Retry-After while what waits in some shard is not delivered."""
        if time.monotonic() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        if self._is_late:
            raise ServerError(
                "The hub takes no broadcasts for the moment: nobody has delivered anything for "
                f"{settings.BACKLOG_MAX_SECONDS:g} s. Try again later.",
                headers={"Retry-After": str(RETRY_AFTER)},
            )

    def is_clear(self) -> bool:
        """Whether `check` has nothing to refuse, and need not look it up just now.

        Once in a while the answer is no to one caller, who is to look; those that come meanwhile go
        by the last look.
        """
        now = time.monotonic()
        if self._is_late or now > self._look_at + LOOK_EVERY:
            return False
        if now < self._look_at or now < self._sent_at + LOOK_EVERY:
            return True
        self._sent_at = now
        return False

    def _look(self) -> None:
        shards, seconds = Sharding.number(), settings.BACKLOG_MAX_SECONDS
        idle = [number for (number,) in sql.run(_IDLE, [shards, seconds])]
        is_late = False
        if idle:
            [(is_late,)] = sql.run(_LATE, [shards, idle, seconds] * 2)
        if is_late and not self._is_late:
            logger.warning("broadcasts are refused: no worker drains the shards %s", idle)
        self._is_late = is_late
        self._look_at = time.monotonic() + LOOK_EVERY


backlog = Backlog()
