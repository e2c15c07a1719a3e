"""How fast a car charges: the limits of EVSE, EV, site and set profiles, over time.

mod_charging_profiles: the ActiveChargingProfile "is the result of the calculation of all smart
charging inputs present in the EVSE". Everything is computed in watts, and written in the unit that
the EVSE uses. A three-phase site is taken as balanced, and a single-phase car as sitting on the
phase that is fullest, so a share of the site is always safe.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from charging_profiles.objects import (
    ActiveChargingProfile,
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingRateUnit,
)
from simulators.driving_data import REAL_DAY, Day, next_hour

VOLTS: Final = 230
UNLIMITED: Final = math.inf


@dataclass(frozen=True)
class Ev:
    """A car: it takes no current below `min_amps` per phase (IEC 61851: 6 A)."""

    battery_kwh: float = 60.0
    charged_kwh: float = 20.0
    max_amps: float = 16.0
    phases: int = 3
    min_amps: float = 6.0
    # What it takes at most by itself, of which the EVSE knows nothing (a cold battery, a setting).
    takes_amps: float = UNLIMITED

    @property
    def room_kwh(self) -> float:
        """What fits into the battery at arrival."""
        return self.battery_kwh - self.charged_kwh


@dataclass(frozen=True)
class Evse:
    """A socket of the site."""

    uid: str
    max_amps: float = 32.0
    phases: int = 3
    unit: ChargingRateUnit = ChargingRateUnit.A
    capabilities: tuple[str, ...] = ("CHARGING_PROFILE_CAPABLE", "CHARGING_PREFERENCES_CAPABLE")


@dataclass
class Plug:
    """One car at one socket, with its share of the site and the profiles that were set."""

    evse: Evse
    ev: Ev
    arrival: datetime
    share_amps: float = UNLIMITED
    set_profiles: list[ChargingProfile] = field(default_factory=list)
    # An EVSE that accepts profiles and does nothing; and one that claims what it does not do.
    ignores_profiles: bool = False
    claims_profiles: bool = False

    @property
    def watts_per_amp(self) -> int:
        """A is the current per phase; the cable uses the phases that both sides have."""
        return VOLTS * min(self.evse.phases, self.ev.phases)

    @property
    def local_limit(self) -> float:
        """The least of EVSE, EV and share of the site, in watts; none below the EV's minimum."""
        amps = min(self.evse.max_amps, self.ev.max_amps, self.share_amps)
        return amps * self.watts_per_amp if amps >= self.ev.min_amps else 0.0

    def limit_at(self, at: datetime) -> float:
        """The active limit in watts."""
        return self._limit_at(at, [] if self.ignores_profiles else self.set_profiles)

    def power_at(self, at: datetime) -> float:
        """What the car takes of it, in watts."""
        return min(self.limit_at(at), self.ev.takes_amps * self.watts_per_amp)

    def _limit_at(self, at: datetime, profiles: Sequence[ChargingProfile]) -> float:
        limit = self.local_limit
        for profile in profiles:
            limit = min(limit, self._set_limit(profile, at))
        # A car offered less than its minimum pauses; an EVSE signals that as no current at all.
        return limit if limit >= self.ev.min_amps * self.watts_per_amp else 0.0

    def changes(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Moments strictly between `begin` and `end` at which a set profile may change."""
        moments = {
            moment
            for profile in self.set_profiles
            for moment in self._bounds(profile)
            if begin < moment < end
        }
        yield from sorted(moments)

    def active_profile(self, begin: datetime, duration: int) -> ActiveChargingProfile:
        """What the EVSE plans for `duration` seconds from `begin`."""
        end = begin + timedelta(seconds=duration)
        periods: list[ChargingProfilePeriod] = []
        for moment in (begin, *self.changes(begin, end)):
            limit = self._in_unit(self._told_at(moment))
            if not periods or periods[-1].limit != limit:
                offset = int((moment - begin).total_seconds())
                periods.append(ChargingProfilePeriod(offset, limit))
        return ActiveChargingProfile(
            start_date_time=begin,
            charging_profile=ChargingProfile(
                charging_rate_unit=self.evse.unit,
                start_date_time=begin,
                duration=duration,
                min_charging_rate=self._in_unit(self.ev.min_amps * self.watts_per_amp),
                charging_profile_period=periods,
            ),
        )

    def _told_at(self, at: datetime) -> float:
        return self._limit_at(at, self.set_profiles) if self.claims_profiles else self.limit_at(at)

    def _bounds(self, profile: ChargingProfile) -> Iterator[datetime]:
        begin = profile.start_date_time or self.arrival
        yield begin
        for period in profile.charging_profile_period:
            yield begin + timedelta(seconds=period.start_period)
        if profile.duration:
            yield begin + timedelta(seconds=profile.duration)

    def _set_limit(self, profile: ChargingProfile, at: datetime) -> float:
        offset = (at - (profile.start_date_time or self.arrival)).total_seconds()
        if offset < 0 or (profile.duration and offset >= profile.duration):
            return UNLIMITED
        limit = UNLIMITED
        for period in profile.charging_profile_period:
            if period.start_period > offset:
                break
            limit = float(period.limit)
        return (
            limit
            if profile.charging_rate_unit == ChargingRateUnit.W
            else (limit * self.watts_per_amp)
        )

    def _in_unit(self, watts: float) -> Decimal:
        value = watts if self.evse.unit == ChargingRateUnit.W else watts / self.watts_per_amp
        return one_decimal(value)


@dataclass
class MeterPeriod:
    """A stretch of constant power within one hour of the price."""

    begin: datetime
    watts: float
    hours: float = 0.0
    kwh: float = 0.0
    # The car asks for no more. What a profile holds back is a pause, and not parking (mod_cdrs,
    # CdrDimensionType, as the erratum of 2026-05 has it).
    is_full: bool = False


@dataclass
class Meter:
    """Counts what flows; `periods` become the ChargingPeriods of Session and CDR."""

    read_until: datetime
    kwh: float = 0.0
    cost: float = 0.0
    periods: list[MeterPeriod] = field(default_factory=list)
    is_cut: bool = False
    day: Day = REAL_DAY

    def cut(self) -> None:
        """Let the next stretch be a period of its own: those so far are going to be sent."""
        self.is_cut = True

    def advance(self, plug: Plug, until: datetime) -> None:
        """Let the car charge up to `until`, as far as the active profile and its battery go."""
        while self.read_until < until:
            begin = self.read_until
            end = min(next_hour(begin), until)
            end = min([end, *plug.changes(begin, end)])
            self._charge(begin, end, plug.power_at(begin), plug.ev.room_kwh - self.kwh)
            self.read_until = end

    def _charge(self, begin: datetime, end: datetime, watts: float, room_kwh: float) -> None:
        hours = (end - begin).total_seconds() / 3600
        kwh = min(watts * hours / 1000, max(0.0, room_kwh))
        is_full = room_kwh <= 0
        if kwh <= 0:
            watts = 0.0
        last = self.periods[-1] if self.periods else None
        if (
            last is None
            or self.is_cut
            or (last.watts, last.is_full) != (watts, is_full)
            or begin == next_hour(last.begin)
        ):
            last = MeterPeriod(begin, watts, is_full=is_full)
            self.periods.append(last)
            self.is_cut = False
        last.hours += hours
        last.kwh += kwh
        self.kwh += kwh
        self.cost += kwh * self.day.eur_per_kwh(begin)


def one_decimal(value: float) -> Decimal:
    """Limits accept at most one digit fraction; never rounded up over a limit."""
    return Decimal(math.floor(value * 10 + 1e-6)) / 10


def site_shares(site_amps: float, arrivals: Sequence[Ev]) -> list[float]:
    """Share a site's amperes per phase: equally, and only among as many as get their minimum.

    In the order of arrival: who came last waits when it is not enough for all.
    """
    if not arrivals:
        return []
    served = len(arrivals)
    while served and site_amps / served < max(ev.min_amps for ev in arrivals[:served]):
        served -= 1
    share = site_amps / served if served else 0.0
    return [share if position < served else 0.0 for position in range(len(arrivals))]


def cost_at_once(plug: Plug, kwh: float, day: Day) -> float:
    """What `kwh` would have cost, charged from the arrival on at the local limit."""
    if plug.local_limit <= 0:
        return 0.0
    unhindered = Plug(
        plug.evse,
        Ev(battery_kwh=kwh, charged_kwh=0.0, max_amps=plug.ev.max_amps, phases=plug.ev.phases),
        plug.arrival,
        plug.share_amps,
    )
    meter = Meter(plug.arrival, day=day)
    hours = math.ceil(kwh * 1000 / plug.local_limit) + 1
    meter.advance(unhindered, plug.arrival + timedelta(hours=hours))
    return meter.cost
