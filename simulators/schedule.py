"""The cheapest hours before a departure, as a ChargingProfile (SCALE D2.3, 11.4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from charging_profiles.objects import ChargingProfile, ChargingProfilePeriod, ChargingRateUnit
from simulators.charging import VOLTS, one_decimal
from simulators.driving_data import REAL_DAY, Day, next_hour

MAX_PERIODS: Final = 20


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


@dataclass
class _Slot:
    begin: datetime
    end: datetime
    price: float
    rate: float = 0.0

    @property
    def hours(self) -> float:
        return (self.end - self.begin).total_seconds() / 3600


def cheapest_hours(
    now: datetime,
    departure: datetime,
    energy_kwh: float,
    limits: Limits,
    day: Day = REAL_DAY,
) -> ChargingProfile:
    """Fill the cheapest hours first, the earlier of two that cost the same.

    A rate is 0 or at least the minimum. From the departure on the full rate holds, so that a
    driver who stays longer is never stranded. Coarser hours are taken when more than 20 periods
    would come out.
    """
    departure = max(now, departure)
    for hours_together in range(1, 25):
        slots = _slots(now, departure, hours_together, day)
        _fill(slots, energy_kwh, limits)
        periods = _periods(now, departure, slots, limits)
        if len(periods) <= MAX_PERIODS:
            break
    return ChargingProfile(
        charging_rate_unit=limits.unit,
        start_date_time=now,
        min_charging_rate=one_decimal(limits.minimum),
        charging_profile_period=periods,
    )


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


def _slots(now: datetime, departure: datetime, hours_together: int, day: Day) -> list[_Slot]:
    slots: list[_Slot] = []
    begin = now
    while begin < departure:
        end = next_hour(begin)
        for _ in range(hours_together - 1):
            end = next_hour(end)
        end = min(end, departure)
        slots.append(_Slot(begin, end, _mean_price(begin, end, day)))
        begin = end
    return slots


def _mean_price(begin: datetime, end: datetime, day: Day) -> float:
    cost, at = 0.0, begin
    while at < end:
        until = min(next_hour(at), end)
        cost += day.eur_per_kwh(at) * (until - at).total_seconds()
        at = until
    return cost / (end - begin).total_seconds()


def _fill(slots: list[_Slot], energy_kwh: float, limits: Limits) -> None:
    missing = energy_kwh
    for slot in sorted(slots, key=lambda slot: (slot.price, slot.begin)):
        if missing <= 1e-6:
            return
        full_kwh = limits.rate * limits.watts_per_unit * slot.hours / 1000
        if full_kwh <= 0:
            return
        share = min(1.0, missing / full_kwh)
        slot.rate = max(limits.rate * share, min(limits.minimum, limits.rate))
        if slot.rate < limits.rate:
            # Rounding down to one decimal must not cost the driver energy.
            slot.rate = min(limits.rate, slot.rate + 0.1)
        missing -= slot.rate * limits.watts_per_unit * slot.hours / 1000


def _periods(
    now: datetime, departure: datetime, slots: list[_Slot], limits: Limits
) -> list[ChargingProfilePeriod]:
    after = _Slot(departure, departure + timedelta(hours=1), 0.0, limits.rate)
    periods: list[ChargingProfilePeriod] = []
    for slot in [*slots, after]:
        limit = one_decimal(slot.rate)
        if not periods or periods[-1].limit != limit:
            start = int((slot.begin - now).total_seconds())
            periods.append(ChargingProfilePeriod(start, limit))
    return periods
