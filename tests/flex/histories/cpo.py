"""A CPO with a driven clock: what it keeps of a session, and what the EV is offered.

mod_charging_profiles, Smart Charging Topologies. One slot, or one of each sender ("the result will
be the minimum of all the Charging Profiles"). It carries out a command when it is told to, which
may be long after it came, and answers as it is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

SITE: Final = 32.0  # amperes that the EV gets with no profile


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits in amperes, each from so many seconds after `begin`, until `end`."""

    begin: float
    steps: tuple[tuple[float, float], ...]
    end: float | None = None

    def at(self, moment: float) -> float | None:
        """The limit; None where it does not limit."""
        if moment < self.begin or (self.end is not None and moment >= self.end):
            return None
        limit = None
        for start, amperes in self.steps:
            if self.begin + start <= moment:
                limit = amperes
        return limit

    def moments(self) -> list[float]:
        """When it changes."""
        ends = [] if self.end is None else [self.end]
        return [self.begin, *(self.begin + start for start, _ in self.steps), *ends]

    def document(self) -> dict[str, Any]:
        """As OCPI has it."""
        said: dict[str, Any] = {
            "charging_rate_unit": "A",
            "start_date_time": when(self.begin),
            "charging_profile_period": [
                {"start_period": int(start), "limit": amperes} for start, amperes in self.steps
            ],
        }
        return said if self.end is None else said | {"duration": int(self.end - self.begin)}


def profile_of(document: dict[str, Any], now: float) -> Profile:
    """Read it back."""
    begin = document.get("start_date_time")
    start = now if begin is None else datetime.fromisoformat(begin).timestamp()
    seconds = document.get("duration")
    return Profile(
        start,
        tuple(
            (float(one["start_period"]), float(one["limit"]))
            for one in document["charging_profile_period"]
        ),
        start + seconds if seconds else None,
    )


def when(moment: float) -> str:
    """A DateTime."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Cpo:
    """What one CPO keeps of one session."""

    keeps_one_per_sender: bool = False
    ignores_delete: bool = False
    site: float = SITE
    profiles: dict[str, Profile] = field(default_factory=dict)

    def carry_out(self, method: str, sender: str, profile: Profile | None) -> str:
        """Carry out a PUT or DELETE; its result."""
        if method == "PUT":
            assert profile is not None
            if not self.keeps_one_per_sender:
                self.profiles.clear()
            self.profiles[sender] = profile
            return "ACCEPTED"
        if self.ignores_delete:
            return "ACCEPTED"
        gone = [sender] if self.keeps_one_per_sender else list(self.profiles)
        found = [self.profiles.pop(one) for one in gone if one in self.profiles]
        return "ACCEPTED" if found else "UNKNOWN"

    def limit(self, now: float) -> float | None:
        """The least of all that limit now; None without one."""
        found = [limit for one in self.profiles.values() if (limit := one.at(now)) is not None]
        return min(found) if found else None

    def offered(self, now: float) -> float:
        """What the EV is offered."""
        limit = self.limit(now)
        return self.site if limit is None else min(limit, self.site)

    def active(self, now: float, seconds: float) -> dict[str, Any]:
        """An ActiveChargingProfile."""
        changes = {now, *(m for one in self.profiles.values() for m in one.moments())}
        periods: list[dict[str, Any]] = []
        for moment in sorted(m for m in changes if now <= m < now + seconds):
            offered = self.offered(moment)
            if not periods or periods[-1]["limit"] != offered:
                periods.append({"start_period": int(moment - now), "limit": offered})
        profile = {
            "charging_rate_unit": "A",
            "start_date_time": when(now),
            "duration": int(seconds),
            "charging_profile_period": periods,
        }
        return {"start_date_time": when(now), "charging_profile": profile}


def moments_of(profiles: Iterable[Profile]) -> list[float]:
    """When any of these changes."""
    return sorted({moment for one in profiles for moment in one.moments()})
