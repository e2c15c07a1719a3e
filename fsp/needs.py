"""What a plan is made for: the driver's need, and the bounds of EV, EVSE and site.

Times are seconds of the epoch, energies kWh as in ChargingPreferences, rates in the unit of the
session's CPO (mod_sessions, mod_charging_profiles).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fsp.rates import Scale, one_decimal
from hub.ocpi.datatypes import ProfileType


@dataclass(frozen=True)
class Need:
    """What the driver asked for, from now on; None is what nobody has said."""

    profile_type: ProfileType = ProfileType.CHEAP
    energy_kwh: float | None = None
    departure: int | None = None
    discharge_allowed: bool = False
    first: "First | None" = None

    def is_urgent(self, now: int) -> bool:
        """Nothing can be shifted: FAST, or too little is known, or the time is over."""
        unknown = self.energy_kwh is None or self.departure is None or self.departure <= now
        return self.profile_type is ProfileType.FAST or unknown


@dataclass(frozen=True)
class First:
    """A part of the need that is met by an earlier time: a reserve, or a lowest state of charge."""

    energy_kwh: float
    until: int


@dataclass(frozen=True)
class Battery:
    """Of a car that is able to discharge; the limits are positive, in the unit of the session."""

    maximum: float
    available_kwh: float  # may be taken out
    room_kwh: float  # may be put in
    minimum: float = 0.0
    round_trip_efficiency: float = 0.85


@dataclass(frozen=True)
class Bounds:
    """A rate is 0, or from `minimum` to `maximum`, which EV and EVSE allow.

    `ceilings` are what a site allows, as (second from which on, rate) in the order of time; the
    last one holds for good. `battery` is None for a car that is not known to be able to discharge.
    """

    scale: Scale
    maximum: float
    minimum: float = 0.0
    ceilings: tuple[tuple[int, float], ...] = ()
    battery: Battery | None = None

    def rate(self, maximum: float) -> float:
        """The highest rate under a maximum: one decimal, and 0 where the minimum does not fit."""
        rate = one_decimal(min(maximum, self.maximum))
        return rate if rate > 0 and rate >= self.minimum else 0.0

    def rates(self, seconds: Sequence[int]) -> list[float]:
        """The highest rate at each of these seconds, which are in the order of time."""
        rates, following, current = [], list(self.ceilings), self.maximum
        for second in seconds:
            while following and following[0][0] <= second:
                current = following.pop(0)[1]
            rates.append(self.rate(current))
        return rates

    def rate_for_good(self, since: int, maximum: float | None = None) -> float:
        """The highest rate that holds from a second on whatever ceiling comes."""
        later = [since, *(second for second, _ in self.ceilings if second > since)]
        lowest = min(self.rates(later))
        return lowest if maximum is None else min(lowest, self.rate(maximum))
