"""The cheapest hours before a departure, as a ChargingProfile (SCALE D2.3, 11.4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from charging_profiles.objects import ChargingProfile, ChargingProfilePeriod, ChargingRateUnit
from fsp.needs import Bounds, Need
from fsp.planner import Grid, plan
from fsp.prices import Series
from fsp.rates import Scale
from simulators.charging import VOLTS, one_decimal
from simulators.driving_data import REAL_DAY, Day

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Limits:
    """What the active profile has taught: rates in its own unit."""

    unit: ChargingRateUnit
    rate: float
    minimum: float
    phases: int = 1  # A is per phase, and OCPI does not say how many: one is the safe guess.

    @property
    def watts_per_unit(self) -> float:
        """What one unit of rate is worth."""
        return 1.0 if self.unit is ChargingRateUnit.W else VOLTS * self.phases


def cheapest_hours(
    now: datetime,
    departure: datetime,
    energy_kwh: float,
    limits: Limits,
    day: Day = REAL_DAY,
) -> ChargingProfile:
    """As the reference FSP plans it, with the prices of the simulated day."""
    hour, prices = now.replace(minute=0, second=0, microsecond=0), []
    for ahead in range(int((departure - now) / HOUR) + 2):
        prices.append(day.eur_per_kwh(hour + ahead * HOUR))
    grid = Grid(Series(int(hour.timestamp()), 3600, np.array(prices or [0.0])))
    is_watts = limits.unit is ChargingRateUnit.W
    scale = Scale.watts() if is_watts else Scale.amperes(limits.phases)
    bounds = Bounds(scale, limits.rate, limits.minimum)
    need = Need(energy_kwh=energy_kwh, departure=int(departure.timestamp()))
    planned = plan(need, bounds, grid, int(now.timestamp()))
    return planned.schedule.profile(scale, limits.minimum)


def charge_now(now: datetime, limits: Limits) -> ChargingProfile:
    """The full rate, for as long as the car stays."""
    return ChargingProfile(
        charging_rate_unit=limits.unit,
        start_date_time=now,
        charging_profile_period=[ChargingProfilePeriod(0, one_decimal(limits.rate))],
    )


def planned_kwh(profile: ChargingProfile, departure: datetime, limits: Limits) -> float:
    """Energy that the profile lets through before the departure."""
    begin = profile.start_date_time or departure
    end = (departure - begin).total_seconds()
    starts = [min(float(p.start_period), end) for p in profile.charging_profile_period] + [end]
    return sum(
        float(period.limit) * limits.watts_per_unit * (until - since) / 3_600_000
        for period, since, until in zip(
            profile.charging_profile_period, starts, starts[1:], strict=False
        )
    )
