"""What can be said of an accepted profile, and the profile while it holds (judging.py). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from flex.knowledge.active import Seen
from flex.knowledge.facts import Facts
from flex.knowledge.metering import Metered
from flex.knowledge.profiles import Profile

# Limits have one digit of fraction, and charge points round.
_SAME: Final = {"A": Decimal("0.15"), "W": Decimal(60)}
_SAME_SHARE: Final = Decimal("0.01")
# A car needs some seconds for a new limit; so long after a change its power says nothing.
SETTLES: Final = timedelta(seconds=60)
# What the active profile plans beyond its own end is asked no more.
AHEAD: Final = timedelta(hours=24)


class Effect(StrEnum):
    """What the hub says of an accepted profile."""

    IN_FORCE = "IN_FORCE"
    LIMITED = "LIMITED"
    NOTHING = "NOTHING"
    UNKNOWN = "UNKNOWN"


class Verdict(NamedTuple):
    """The effect, why, and what else limits, where that is known.

    `seen` is the active profile it is based on; `pause` who holds the car back now: "profile",
    "car", or "" where nobody does or nobody knows.
    """

    effect: Effect
    because: str
    limited_by: str = ""
    seen: Seen | None = None
    pause: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A profile while it holds, by the CPO's clock, and what is known of its session."""

    facts: Facts
    profile: Profile
    since: datetime
    until: datetime
    sent_at: datetime

    @property
    def metered(self) -> list[Metered]:
        """The periods that ended while it held."""
        return [
            each
            for each in self.facts.metered
            if each.end is not None and self.since < each.end <= self.until
        ]


def is_same(one: Decimal, other: Decimal, unit: str) -> bool:
    """Whether two limits of one unit are the same except for rounding."""
    allowed = max(_SAME[unit], max(abs(one), abs(other)) * _SAME_SHARE)
    return abs(one - other) <= allowed
