"""What the reference FSP steers: sessions, and sites whose sessions are planned together."""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from charging_profiles.objects import ActiveChargingProfile, ChargingRateUnit
from fsp.charge import Charge, wished
from fsp.flex_api import SiteTold, Wishes
from fsp.group import Site
from fsp.needs import Bounds, Need
from fsp.planner import Grid
from fsp.rates import VOLTS, Scale, one_decimal
from fsp.schedule import Schedule
from hub.ocpi.datatypes import ProfileType, utc
from party.sessions_receiver import is_active

# IEC 61851: below it a car does not charge from AC.
LEAST_AMPERES: Final = 6.0
# Nobody tells when a local limit ends: after so many seconds more is tried again.
TRIED_AGAIN: Final = 3600
# What others take of a site is counted in such steps, rounded up: W, or A of each phase.
STEPS: Final = {ChargingRateUnit.W: 500.0, ChargingRateUnit.A: 1.0}
# Of 100: from here on the driver wants green energy more than cheap energy.
GREEN: Final = 50


@dataclass
class Work:
    """Something that is looked at again when it is `is_dirty`; one look at a time."""

    is_dirty: bool = False
    is_running: bool = False
    waits: bool = False


@dataclass
class Steered(Work):
    """One session: what is known of it, and what was pushed."""

    session_id: str = ""
    session: dict[str, Any] | None = None
    asked: Need | None = None
    asked_at: int = 0
    kwh_when_asked: float = 0.0
    wishes: Wishes | None = None
    charge: Charge = field(default_factory=Charge)
    bounds: Bounds | None = None
    in_force: Schedule | None = None
    pushed_at: int | None = None
    was_changed: bool = False

    @property
    def is_active(self) -> bool:
        """It may be steered."""
        return self.session is not None and is_active(self.session)

    @property
    def kwh(self) -> float:
        """The meter, as the CPO told it last."""
        return float((self.session or {}).get("kwh", 0))

    @property
    def taken(self) -> float:
        """Since the driver asked, in kWh."""
        return max(0.0, self.kwh - self.kwh_when_asked)

    @property
    def driver(self) -> str:
        """Whose statements are remembered together."""
        token = (self.session or {}).get("cdr_token") or {}
        return str(token.get("contract_id") or token.get("uid") or "")

    def told(self, session: dict[str, Any]) -> None:
        """The Session as its CPO tells it now."""
        self.session = dict(session)
        self.charge.take(session)

    def left(self, now: int) -> tuple[Need, tuple[str, ...]]:
        """What is to be done yet, and why a wish of the app's is not obeyed.

        Without preferences it charges at once.
        """
        if self.asked is None:
            return Need(), ()
        energy = self.asked.energy_kwh
        left = None if energy is None else max(0.0, energy - self.taken)
        need = replace(self.asked, energy_kwh=left, profile_type=self._wanted(self.asked))
        bounds = self.bounds
        kw = 0.0 if bounds is None else bounds.maximum * bounds.scale.least_kw
        return wished(need, self.wishes, self.charge, kw, now)

    def unobeyed_together(self, need: Need) -> list[str]:
        """What a plan of many sessions has no place for."""
        found = []
        if self.wishes is not None and self.wishes.tariff_override is not None:
            found.append("tariff_override: the sessions of a site have one price")
        if need.first is not None and self.wishes is not None and self.wishes.min_soc is not None:
            found.append("min_soc: the sessions of a site are planned by their departure")
        return found

    def grid(self, grid: Grid) -> Grid:
        """Under the price that the app told in place of all others, if it told one."""
        price = None if self.wishes is None else self.wishes.tariff_override
        if price is None:
            return grid
        return replace(
            grid, prices=replace(grid.prices, values=np.full_like(grid.prices.values, price))
        )

    def _wanted(self, asked: Need) -> ProfileType:
        """The app's wishes say more than the profile_type of OCPI."""
        if self.wishes is None:
            return asked.profile_type
        if self.wishes.priority_charging:
            return ProfileType.FAST
        if self.wishes.green_level is not None and asked.profile_type is not ProfileType.FAST:
            return ProfileType.GREEN if self.wishes.green_level >= GREEN else ProfileType.CHEAP
        return asked.profile_type

    def compare(self, active: ActiveChargingProfile, now: int) -> None:
        """A limit below what was pushed is learnt; where more is active, it is not in force."""
        if self.in_force is None or self.bounds is None:
            return
        pushed = self.in_force.since(now)
        real = Schedule.of_profile(active.charging_profile, utc(active.start_date_time)).since(now)
        seconds = sorted({s for s, _ in (*real.steps, *pushed.steps)})
        pairs = [(real.since(s).steps[0][1], pushed.since(s).steps[0][1]) for s in seconds]
        lower = [rate for rate, wanted in pairs if rate < wanted]
        if lower:
            self.bounds = replace(self.bounds, ceilings=((now, min(lower)),))
        elif any(rate > wanted for rate, wanted in pairs):
            self.in_force = None

    def refresh(self, now: int) -> Bounds | None:
        """With the phases that are known by now, and without a local limit that is old."""
        if self.bounds is not None:
            ceilings = tuple(one for one in self.bounds.ceilings if now < one[0] + TRIED_AGAIN)
            scale = _scale(self.bounds.scale, self.session or {})
            self.bounds = replace(self.bounds, scale=scale, ceilings=ceilings)
        return self.bounds


@dataclass
class SteeredSite(Work):
    """A site with a limit, and those of its sessions that we may steer, by id in upper case."""

    name: str = ""
    site: Site = field(default_factory=lambda: Site(Scale.watts()))
    sessions: tuple[str, ...] = ()
    # Under which limit its profiles were pushed last, and when.
    pushed_under: Site | None = None
    pushed_at: int | None = None


def site_of(told: SiteTold) -> Site | None:
    """Its limit; None where it has none. Of two units it is that in W, which counts all phases."""
    limits = sorted(told.limits, key=lambda one: one.unit is not ChargingRateUnit.W)
    # In steps: a car that draws a little more than a moment ago is no reason for other profiles.
    others = {one.unit: _in_steps(one.taken, STEPS[one.unit]) for one in told.strangers}
    for one in limits:
        steps = [
            (int(period.start.timestamp()), _left(period.limit, others.get(one.unit, 0.0)))
            for period in one.periods
        ]
        if any(limit != float("inf") for _, limit in steps):
            is_watts = one.unit is ChargingRateUnit.W
            return Site(Scale.watts() if is_watts else Scale.amperes(), tuple(steps))
    return None


def _in_steps(taken: float, step: float) -> float:
    return math.ceil(taken / step) * step


def _left(limit: float | None, taken: float) -> float:
    """By what the sessions of others take now: nobody knows what they will take later."""
    return float("inf") if limit is None else max(0.0, one_decimal(limit - taken))


def bounds_of(active: ActiveChargingProfile) -> Bounds:
    """The active profile before any set one shows what EVSE, site and EV allow."""
    profile = active.charging_profile
    is_amperes = profile.charging_rate_unit is ChargingRateUnit.A
    minimum = profile.min_charging_rate
    least = LEAST_AMPERES if is_amperes else 0.0
    return Bounds(
        Scale.amperes() if is_amperes else Scale.watts(),
        max((float(p.limit) for p in profile.charging_profile_period), default=0.0),
        least if minimum is None else float(minimum),
    )


def _scale(scale: Scale, session: dict[str, Any]) -> Scale:
    """POWER and CURRENT of one ChargingPeriod tell how many phases the car uses."""
    if scale.unit is ChargingRateUnit.W:
        return scale
    for period in reversed(session.get("charging_periods") or []):
        volumes = {d["type"]: float(d["volume"]) for d in period["dimensions"]}
        amperes, kw = volumes.get("CURRENT", 0.0), volumes.get("POWER", 0.0)
        if amperes >= 1 and kw > 0:
            return Scale.amperes(min(3, max(1, round(kw * 1000 / (VOLTS * amperes)))))
    return scale


def seconds_of(text: object) -> int | None:
    """Of the epoch; None where a Session tells no moment."""
    return int(utc(datetime.fromisoformat(text)).timestamp()) if isinstance(text, str) else None
