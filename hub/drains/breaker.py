"""When a receiver may be called: its breaker and rate (transport_and_format, Offline behaviour)."""

from dataclasses import dataclass
from math import inf
from typing import Final

# Before the second and the third look at a receiver that does not answer; after the third it is
# given up. "The client should not queue the message and retry the same message again later."
PAUSES: Final = (1.0, 3.0)


@dataclass(slots=True)
class Breaker:
    """Closed; open for a pause after a failure; then half open, which lets one call through.

    A failure only counts when the receiver has answered nothing since that call began: otherwise
    it is about that one object. All times are given by the caller.
    """

    strikes: int = 0
    # The receiver was given up, or was known to be away before: the next failure is the last.
    is_given_up: bool = False
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
        self.start_anew()
        self._is_probing = False

    def failed(self, began: float, now: float, *, is_probe: bool) -> bool:
        """A call got no answer; returns whether the receiver is to be given up."""
        if is_probe:
            self._is_probing = False
        if self._answered_at >= began or (self.strikes and not is_probe):
            return False
        self.strikes += 1
        if self.strikes > len(PAUSES):
            return True
        self.closed_from = now + PAUSES[self.strikes - 1]
        return False

    def hold(self, until: float) -> None:
        """The receiver has asked for a pause (Retry-After)."""
        self.closed_from = max(self.closed_from, until)

    def give_up(self) -> None:
        """One call finds out whether it is still away."""
        self.is_given_up = True
        self.strikes = len(PAUSES)

    def start_anew(self) -> None:
        """Others have found it to be back."""
        self.is_given_up = False
        self.strikes = 0


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
