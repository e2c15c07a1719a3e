"""The reference FSP as an OCPI party: an SCSP that plans and pushes (SCALE D2.3, section 11.4).

Receiver of Sessions, Sender of ChargingProfiles, and Sender of Sessions for the preferences that a
hub hands on. It knows no more than OCPI tells: the bounds come from the active profile.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from charging_profiles.objects import (
    ActiveChargingProfile,
    ChargingProfileResultType,
    ChargingRateUnit,
)
from fsp.needs import Bounds, Need
from fsp.planner import Grid, plan
from fsp.pushes import judge
from fsp.rates import VOLTS, Scale
from fsp.schedule import Schedule
from fsp.statements import Statements
from hub.ocpi.datatypes import InterfaceRole, Role, utc
from hub.ocpi.errors import InvalidParameters, OcpiError
from hub.ocpi.party import PartyId
from party.callbacks import CommandRefused
from party.charging_profiles import ChargingProfilesSender
from party.messages import Received, Reply
from party.ocpi_platform import Platform
from party.recent import Recent
from party.sessions_receiver import SessionsReceiver, is_active, owner
from sessions.objects import ChargingPreferences, ChargingPreferencesResponse

logger = logging.getLogger(__name__)

PARTY: Final = PartyId("NL", "FSP")
HORIZON: Final = 86_400
# IEC 61851: below it a car does not charge from AC.
LEAST_AMPERES: Final = 6.0
CLEARLY_LESS: Final = 0.9
# Nobody tells when a local limit ends: after so many seconds more is tried again.
TRIED_AGAIN: Final = 3600


@dataclass
class Steered:
    """One session: what is known of it, and what was pushed."""

    session_id: str
    session: dict[str, Any] | None = None
    asked: Need | None = None
    asked_at: int = 0
    kwh_when_asked: float = 0.0
    bounds: Bounds | None = None
    in_force: Schedule | None = None
    pushed_at: int | None = None
    is_dirty: bool = False
    is_running: bool = False
    waits: bool = False
    was_changed: bool = False

    @property
    def kwh(self) -> float:
        """The meter, as the CPO told it last."""
        return float((self.session or {}).get("kwh", 0))

    @property
    def driver(self) -> str:
        """Whose statements are remembered together."""
        token = (self.session or {}).get("cdr_token") or {}
        return str(token.get("contract_id") or token.get("uid") or "")


class ReferenceFsp(Platform):
    """`grid` says what is known of prices (and intensity) when it is asked."""

    def __init__(self, grid: Callable[[], Grid], party: PartyId = PARTY, **listen: Any) -> None:
        super().__init__([(party, Role.SCSP)], name="Reference FSP", **listen)
        self.grid = grid
        self.statements = Statements()
        self.steered: Recent[str, Steered] = Recent()
        self.profiles = ChargingProfilesSender(self)
        self.profiles.on_update = self._on_update
        sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
        self.serve("sessions", receiver, SessionsReceiver(self._on_session).handlers())
        self.serve("sessions", sender, {"PUT": self._put_preferences})
        self.serve("chargingprofiles", sender, self.profiles.handlers())

    def of(self, session_id: str) -> Steered:
        """What is known of a session; new when that is nothing yet."""
        key = session_id.upper()
        if key not in self.steered:
            self.steered[key] = Steered(session_id)
        return self.steered[key]

    # What comes in ------------------------------------------------------------------------------

    def _on_session(self, session: dict[str, Any]) -> None:
        one = self.of(session["id"])
        was_active = one.session is None or is_active(one.session)
        one.session = dict(session)
        if is_active(session):
            self._wake(one)
        elif was_active and one.asked is not None:
            self._learn_of(one, one.asked, _seconds(session.get("end_date_time")) or _now())

    def _learn_of(self, one: Steered, asked: Need, end: int) -> None:
        """A session is over. A car that took clearly less than it might have had was full."""
        taken = one.kwh - one.kwh_when_asked
        if one.bounds is None or end <= one.asked_at:
            return
        held = one.in_force or Schedule(((one.asked_at, one.bounds.maximum),))
        offered = held.course(one.bounds.scale, self.grid().prices, one.asked_at, end).kwh[-1]
        is_full = taken < CLEARLY_LESS * float(offered)
        self.statements.learn(one.driver, asked, one.asked_at, taken, end, is_full=is_full)

    async def _put_preferences(self, message: Received) -> Reply:
        if len(message.parts) != 2 or message.parts[1] != "charging_preferences":
            raise InvalidParameters("The URL has to end in /{session_id}/charging_preferences.")
        wanted = message.read(ChargingPreferences)
        one = self.of(message.parts[0])
        one.asked = Need(
            wanted.profile_type,
            None if wanted.energy_need is None else float(wanted.energy_need),
            None if wanted.departure_time is None else int(utc(wanted.departure_time).timestamp()),
            bool(wanted.discharge_allowed),
        )
        # OCPI does not say whether the need counts from the start or from now: now is taken.
        one.asked_at, one.kwh_when_asked = _now(), one.kwh
        self._wake(one)
        return Reply(ChargingPreferencesResponse.ACCEPTED)

    def _on_update(self, session_id: str, _: ActiveChargingProfile) -> None:
        """Something else has changed the active profile; how, is asked for the whole time."""
        one = self.of(session_id)
        one.was_changed = one.in_force is not None
        self._wake(one)

    # Learn, plan, push --------------------------------------------------------------------------

    def _wake(self, one: Steered) -> None:
        one.is_dirty = True
        if not one.is_running:
            one.is_running = True
            self.later(self._work(one))

    async def _work(self, one: Steered) -> None:
        """A step that fails is done again when the next message about the session comes."""
        try:
            while one.is_dirty:
                one.is_dirty = False
                try:
                    await self._step(one)
                except (CommandRefused, OcpiError, aiohttp.ClientError, TimeoutError) as error:
                    logger.warning("%s: %s", one.session_id, error or type(error).__name__)
        finally:
            one.is_running = False

    async def _step(self, one: Steered) -> None:
        if one.session is None or not is_active(one.session):
            return
        if one.bounds is None:
            one.bounds = _bounds(await self._active(one))
        elif one.was_changed:
            one.was_changed = False
            _compare(one, one.bounds, await self._active(one), _now())
        now, taken = _now(), max(0.0, one.kwh - one.kwh_when_asked)
        one.bounds = _present(one.bounds, one.session, now)
        if one.asked is None:
            return  # It charges at once, which needs no profile.
        energy = one.asked.energy_kwh
        left = replace(one.asked, energy_kwh=None if energy is None else max(0.0, energy - taken))
        grid = self.grid()
        need = self.statements.reliable_part(
            one.driver, left, one.bounds, grid, now, one.asked_at, taken
        )
        made = plan(need, one.bounds, grid, now)
        verdict = judge(made, one.in_force, need, one.bounds, grid, now, one.pushed_at)
        logger.info("%s: %s; %s", one.session_id, verdict.reason, made.unmet or "need met")
        if verdict.push:
            await self._push(one, made.schedule, now)
        elif verdict.again_at is not None and not one.waits:
            one.waits = True
            self.later(self._again(one, verdict.again_at - now))

    async def _again(self, one: Steered, seconds: int) -> None:
        await asyncio.sleep(seconds)
        one.waits = False
        self._wake(one)

    async def _push(self, one: Steered, schedule: Schedule, now: int) -> None:
        if one.session is None or one.bounds is None:
            return
        profile = schedule.profile(one.bounds.scale, one.bounds.minimum)
        one.pushed_at = now
        result = await self.profiles.put(one.session_id, owner(one.session), profile)
        if result.result is not ChargingProfileResultType.ACCEPTED:
            raise CommandRefused(f"PUT: result {result.result}")
        # What was in force before is kept too: it says what the car was offered.
        before = [step for step in (one.in_force.steps if one.in_force else ()) if step[0] < now]
        one.in_force = Schedule.of([*before, *schedule.steps])
        # What is active now is looked at: another limit may bind.
        one.was_changed = one.is_dirty = True

    async def _active(self, one: Steered) -> ActiveChargingProfile:
        cpo = owner(one.session) if one.session else None
        result = await self.profiles.get_active(one.session_id, cpo, HORIZON)
        if result.result is not ChargingProfileResultType.ACCEPTED or result.profile is None:
            raise CommandRefused(f"GET: result {result.result}")
        return result.profile


def _bounds(active: ActiveChargingProfile) -> Bounds:
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


def _compare(one: Steered, bounds: Bounds, active: ActiveChargingProfile, now: int) -> None:
    """A limit below what was pushed is learnt; where more is active, it is not in force."""
    if one.in_force is None:
        return
    real = Schedule.of_profile(active.charging_profile, utc(active.start_date_time)).since(now)
    seconds = sorted({s for s, _ in (*real.steps, *one.in_force.since(now).steps)})
    pairs = [(real.since(s).steps[0][1], one.in_force.since(s).steps[0][1]) for s in seconds]
    lower = [rate for rate, pushed in pairs if rate < pushed]
    if lower:
        one.bounds = replace(bounds, ceilings=((now, min(lower)),))
    elif any(rate > pushed for rate, pushed in pairs):
        one.in_force = None


def _present(bounds: Bounds, session: dict[str, Any], now: int) -> Bounds:
    """With the phases that are known by now, and without a local limit that is old."""
    ceilings = tuple(one for one in bounds.ceilings if now < one[0] + TRIED_AGAIN)
    return replace(bounds, scale=_scale(bounds.scale, session), ceilings=ceilings)


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


def _now() -> int:
    return int(datetime.now(UTC).timestamp())


def _seconds(text: object) -> int | None:
    return int(utc(datetime.fromisoformat(text)).timestamp()) if isinstance(text, str) else None
