"""What the EV was offered, judged: no gap, no more than the larger limit, nothing stale.

It sees what reaches the CPO and what the CPO carries out, and knows nothing of how the hub works.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.flex.histories.cpo import Cpo, Profile, moments_of


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that has left the hub."""

    number: int
    method: str
    sender: str
    epoch: int
    profile: Profile | None
    # The FSP itself, or the hub where nobody steers or the FSP's driver leaves, wants full rate.
    is_release: bool = False
    # The hub clears what a former FSP has left.
    is_clearing: bool = False


@dataclass
class Judge:
    """Of one session."""

    cpo: Cpo
    faults: list[str] = field(default_factory=list)
    # A CPO that carries out late what it did not answer: the hub can only mend that.
    disorders: int = 0
    stale: int = 0
    gaps: int = 0
    _highest: int = 0
    _newest: int = 0
    _epochs: dict[int, Profile] = field(default_factory=dict)
    _is_wanted: bool = False
    _is_disordered: bool = False
    _checked: float = 0.0

    def leaves(self, sent: Sent, epoch_now: int, now: float) -> None:
        """It leaves the hub; `epoch_now`: of the assignment that is open, 0 without one."""
        if sent.method == "GET" or sent.is_release or sent.is_clearing:
            return
        if sent.epoch and sent.epoch != epoch_now:
            self.stale += 1
            self._fault(now, f"{sent} leaves in epoch {epoch_now}")

    def before(self, now: float) -> None:
        """Time has passed: what was offered until now is judged."""
        for moment in moments_of(self.cpo.profiles.values()):
            if self._checked < moment < now:
                self._offered(moment)
        self._checked = now

    def carried_out(self, sent: Sent, had: Sequence[Profile], now: float, *, is_overdue: bool):
        """The CPO has carried it out; `had`: what it kept before."""
        was_limited = any(one.at(now) is not None for one in had)
        if sent.number < self._newest:
            # The CPO itself has changed the order.
            if not is_overdue:
                self._fault(now, f"{sent} takes effect after command {self._newest}")
            self.disorders += 1
            self._is_disordered = True
            return
        self._is_disordered = False
        self._newest = sent.number
        if sent.epoch and sent.epoch < self._highest and not (sent.is_clearing or sent.is_release):
            self.stale += 1
            self._fault(now, f"{sent} takes effect after epoch {self._highest}")
        self._highest = max(self._highest, sent.epoch)
        if sent.method == "PUT" and sent.profile is not None and not sent.is_release:
            self._is_wanted = True
            self._epochs[sent.epoch] = sent.profile
        if sent.method == "DELETE" and not sent.is_clearing:
            self._is_wanted = False
        if sent.is_release:
            self._is_wanted = False
        if self._is_wanted and was_limited and self.cpo.limit(now) is None:
            self.gaps += 1
            self._fault(now, f"{sent} leaves the EV without a limit")
        self._offered(now)

    def last_of(self, epoch: int) -> Profile | None:
        """The profile that was carried out last, where it is of this epoch; None after a DELETE."""
        return self._epochs.get(epoch) if self._is_wanted and epoch == self._highest else None

    def _offered(self, now: float) -> None:
        """Not more than the larger of the limits of the last two epochs that have set one."""
        if not self._is_wanted or self._is_disordered:
            return
        last = [self._epochs[epoch] for epoch in sorted(self._epochs)[-2:]]
        limits = [one.at(now) for one in last]
        known = [limit for limit in limits if limit is not None]
        if len(known) < len(limits) or not known:
            return  # One of them says itself that there is no limit.
        offered = self.cpo.offered(now)
        if offered > max(known):
            self.gaps += 1
            self._fault(now, f"{offered} A are offered, above {known}")

    def _fault(self, now: float, what: str) -> None:
        self.faults.append(f"at {now:.1f}: {what}")
