"""Simulated time of one session: wall-clock time at its arrival, faster from then on."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.ocpi.datatypes import utc


@dataclass(frozen=True)
class SessionClock:
    """Runs `speed_up` times faster from `start`, which is in wall-clock time.

    Every party that has the Session object and knows the factor reads the same clock, with no
    other message: `start_date_time` is the start. Power, energy and times stay consistent with
    each other, and with a factor of 1 all of it is ordinary time. Only `last_updated` is always
    wall-clock time, because others order and guard by it.
    """

    start: datetime
    speed_up: float = 1.0

    def now(self) -> datetime:
        """The session's time, in whole seconds, as a charging profile counts."""
        elapsed = (datetime.now(UTC) - self.start).total_seconds() * self.speed_up
        return self.start + timedelta(seconds=max(0, int(elapsed)))

    def wall_seconds_until(self, at: datetime) -> float:
        """How long to wait, in real seconds, for the session's time `at`."""
        elapsed = (datetime.now(UTC) - self.start).total_seconds() * self.speed_up
        return max(0.0, ((at - self.start).total_seconds() - elapsed) / self.speed_up)


def clock(session: dict[str, Any], speed_up: float) -> SessionClock:
    """The simulated time of a Session object."""
    return SessionClock(utc(datetime.fromisoformat(session["start_date_time"])), speed_up)
