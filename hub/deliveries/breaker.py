"""When a lane of a receiver may be called: its breaker and rate (transport_and_format)."""

from dataclasses import dataclass
from math import inf
from typing import Final

# After a call that nobody answered the next one waits so long, then twice as long, and so on.
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
# After so many failures in a row the receiver is asked whether it is there at all, and what has
# failed so often lets others go first.
STRIKES: Final = 3


def pause_after(failures: int) -> float:
    """Seconds until the next attempt after so many failures in a row."""
    return min(FIRST_PAUSE * 2.0 ** (min(failures, 10) - 1), LONGEST_PAUSE)


@dataclass(slots=True)
class Breaker:
    """Closed; open for a pause after a failure; then half open, which lets one call through.

    A failure only counts when the lane has been answered nothing since that call began: otherwise
    it is about that one object. All times are given by the caller.
    """

    strikes: int = 0
    closed_from: float = -inf
    _answered_at: float = -inf
    _is_probing: bool = False

    def admits(self, now: float) -> bool:
        """Whether a call may begin now."""
        return now >= self.closed_from and not (self.strikes and self._is_probing)

    def begin(self) -> bool:
        """A call begins; returns whether it is the probe of a half-open breaker."""
        self._is_probing = self.strikes > 0
        return self._is_probing

    def answered(self, now: float) -> None:
        """The receiver is there."""
        self._answered_at = now
        self.strikes = 0
        self._is_probing = False

    def unused(self, *, is_probe: bool) -> None:
        """The call that was to be the probe is not sent."""
        if is_probe:
            self._is_probing = False

    def failed(self, began: float, now: float, *, is_probe: bool) -> bool:
        """A call got no answer; returns whether that says something about the receiver."""
        self.unused(is_probe=is_probe)
        if self._answered_at >= began or (self.strikes and not is_probe):
            return False
        self.strikes += 1
        self.closed_from = now + pause_after(self.strikes)
        return True

    def forget(self) -> None:
        """It was OFFLINE: what comes now is tried at once."""
        self.strikes = 0
        self.closed_from = -inf

    def hold(self, until: float) -> None:
        """The receiver has asked for a pause (Retry-After)."""
        self.closed_from = max(self.closed_from, until)


@dataclass(slots=True)
class Rate:
    """At most so many calls a second, a second's worth of them at once; 0 is no limit."""

    per_second: float
    _spent_until: float = -inf

    def ready_at(self, now: float) -> float:
        """When the next call may begin."""
        return max(now, self._spent_until - 1.0) if self.per_second else now

    def spend(self, now: float) -> None:
        """A call begins."""
        if self.per_second:
            self._spent_until = max(self._spent_until, now) + 1.0 / self.per_second
