"""An SCSP: learns the limit, plans the cheapest hours, pushes them (SCALE D2.3, section 11.4)."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp

from charging_profiles.objects import (
    ActiveChargingProfile,
    ChargingProfile,
    ChargingProfileResultType,
    ProfileResult,
)
from hub.ocpi.datatypes import InterfaceRole, Role, utc
from hub.ocpi.errors import InvalidParameters, OcpiError
from hub.ocpi.party import PartyId
from party.callbacks import CommandRefused
from party.charging_profiles import ChargingProfilesSender
from party.messages import Received, Reply
from party.recent import Recent
from party.sessions_receiver import SessionsReceiver, is_active, owner
from sessions.objects import ChargingPreferences, ChargingPreferencesResponse, ProfileType
from simulators.charging import VOLTS
from simulators.clock import clock
from simulators.documents import called
from simulators.driving_data import REAL_DAY, Day
from simulators.faulty_platform import FaultyPlatform
from simulators.schedule import Limits, charge_now, cheapest_hours

logger = logging.getLogger(__name__)
story = logging.getLogger("simulators.story")

PARTY: Final = PartyId("NL", "SCS")
HORIZON: Final = timedelta(hours=24)


@dataclass
class Task:
    """All that the SCSP knows of one session, and what it has done about it."""

    session_id: str
    session: dict[str, Any] | None = None
    preferences: ChargingPreferences | None = None
    kwh_when_asked: float = 0.0
    limits: Limits | None = None
    pushed: ChargingProfile | None = None
    active: ActiveChargingProfile | None = None
    follows: bool = False
    is_dirty: bool = True
    is_running: bool = False

    @property
    def cpo(self) -> PartyId | None:
        """To whom the commands go; unknown before the Session has come."""
        return owner(self.session) if self.session else None


class Scsp(FaultyPlatform):
    """Sessions as Receiver, preferences as Sender, ChargingProfiles as Sender."""

    def __init__(
        self,
        party: PartyId = PARTY,
        *,
        speed_up: float = 1.0,
        verify: bool = True,
        day: Day = REAL_DAY,
        name: str = "Simulated SCSP",
        more_roles: Iterable[tuple[PartyId, Role]] = (),
        **listen: Any,
    ) -> None:
        super().__init__([(party, Role.SCSP), *more_roles], name=name, **listen)
        self.party = party
        self.speed_up = speed_up
        self.verify = verify
        self.day = day
        self.tasks: Recent[str, Task] = Recent()
        self.kept = SessionsReceiver(self._on_session)
        self.profiles = ChargingProfilesSender(self)
        self.profiles.on_update = self._on_update
        sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
        self.serve("sessions", receiver, self.kept.handlers())
        self.serve("sessions", sender, {"PUT": self._put_preferences})
        self.serve("chargingprofiles", sender, self.profiles.handlers())

    def task(self, session_id: str) -> Task:
        """The task of a session, new when there is none yet."""
        key = session_id.upper()
        if key not in self.tasks:
            self.tasks[key] = Task(session_id)
        return self.tasks[key]

    # What comes in ------------------------------------------------------------------------------

    def _on_session(self, session: dict[str, Any]) -> None:
        task = self.task(session["id"])
        is_new, task.session = task.session is None, session
        learnt = self._learn_phases(task)
        unfinished = task.limits is None or (task.preferences is not None and task.pushed is None)
        if is_active(session) and (is_new or learnt or unfinished):
            self._wake(task)

    async def _put_preferences(self, message: Received) -> Reply:
        if len(message.parts) != 2 or message.parts[1] != "charging_preferences":
            raise InvalidParameters("The URL has to end in /{session_id}/charging_preferences.")
        task = self.task(message.parts[0])
        task.preferences = message.read(ChargingPreferences)
        # OCPI does not say whether the need counts from the start or from now: now is taken.
        task.kwh_when_asked = float((task.session or {}).get("kwh", 0))
        self._wake(task)
        return Reply(ChargingPreferencesResponse.ACCEPTED)

    def _on_update(self, session_id: str, profile: ActiveChargingProfile) -> None:
        """Something local has changed the active profile: plan anew under the lower limit."""
        task = self.tasks.get(session_id)
        if task is None or task.pushed is None or task.limits is None:
            return
        task.active = profile
        cap = lower_cap(profile, task.pushed)
        if cap is not None:
            limits = task.limits
            task.limits = Limits(limits.unit, cap, min(limits.minimum, cap), limits.phases)
            self._wake(task)
        elif not is_within(profile, task.pushed):
            # More than was pushed: the profile is not in force, so it is pushed again.
            task.pushed = None
            self._wake(task)

    # The loop: learn, plan, push, verify ----------------------------------------------------------

    def _wake(self, task: Task) -> None:
        task.is_dirty = True
        if not task.is_running:
            task.is_running = True
            self.later(self._work(task))

    async def _work(self, task: Task) -> None:
        try:
            while task.is_dirty:
                task.is_dirty = False
                await self._try(task)
        finally:
            task.is_running = False

    async def _try(self, task: Task) -> None:
        """A step that fails is done again when the next message about the session comes."""
        try:
            await self._step(task)
        except (CommandRefused, OcpiError, aiohttp.ClientError, TimeoutError, LookupError) as error:
            logger.warning("session %s: %s", called(task.session_id), error or type(error).__name__)

    async def _step(self, task: Task) -> None:
        if task.session is not None and not is_active(task.session):
            return
        if task.limits is None:
            await self._learn(task)
        if task.preferences is None or task.limits is None or task.session is None:
            # Only the session is known: charge now, which needs no profile.
            return
        now = clock(task.session, self.speed_up).now()
        profile = self._plan(task, task.limits, now)
        if task.pushed is not None and same_course(task.pushed, profile):
            return
        result = await self.profiles.put(task.session_id, task.cpo, profile)
        if result.result is not ChargingProfileResultType.ACCEPTED:
            raise CommandRefused(f"PUT: result {result.result}")
        task.pushed = profile
        story.info("%s schedule pushed: %s", called(task.session_id), told(profile))
        if self.verify:
            task.active = await self._active(task, self._seconds(task, now))
            task.follows = is_within(task.active, profile)
            story.info(
                "%s active profile %s the schedule",
                called(task.session_id),
                "now follows" if task.follows else "does NOT follow",
            )

    async def _learn(self, task: Task) -> None:
        """The active profile before any set profile shows what EVSE, site and EV allow."""
        task.active = await self._active(task, self._seconds(task, None))
        charging_profile = task.active.charging_profile
        rate = highest(task.active)
        minimum = charging_profile.min_charging_rate
        default = 6.0 if charging_profile.charging_rate_unit == "A" else 6.0 * VOLTS
        task.limits = Limits(
            unit=charging_profile.charging_rate_unit,
            rate=rate,
            minimum=min(rate, float(minimum) if minimum is not None else default),
        )
        self._learn_phases(task)
        story.info(
            "%s active profile learnt: at most %s %s",
            called(task.session_id), f"{rate:g}", charging_profile.charging_rate_unit,
        )  # fmt: skip

    async def _active(self, task: Task, duration: int) -> ActiveChargingProfile:
        result: ProfileResult = await self.profiles.get_active(task.session_id, task.cpo, duration)
        if result.result is not ChargingProfileResultType.ACCEPTED or result.profile is None:
            raise CommandRefused(f"GET: result {result.result}")
        return result.profile

    def _plan(self, task: Task, limits: Limits, now: datetime) -> ChargingProfile:
        wanted = task.preferences
        if wanted is None or wanted.profile_type is ProfileType.FAST:
            return charge_now(now, limits)
        if wanted.departure_time is None or wanted.energy_need is None:
            return charge_now(now, limits)
        charged = float((task.session or {}).get("kwh", 0)) - task.kwh_when_asked
        missing = max(0.0, float(wanted.energy_need) - charged)
        return cheapest_hours(now, utc(wanted.departure_time), missing, limits, self.day)

    def _seconds(self, task: Task, now: datetime | None) -> int:
        wanted = task.preferences
        if now is None or wanted is None or wanted.departure_time is None:
            return int(HORIZON.total_seconds())
        until_departure = (utc(wanted.departure_time) - now).total_seconds()
        return int(max(3600.0, min(until_departure, HORIZON.total_seconds())))

    def _learn_phases(self, task: Task) -> bool:
        """POWER and CURRENT of one ChargingPeriod tell how many phases the car uses."""
        if task.limits is None or task.session is None or task.limits.unit != "A":
            return False
        for period in reversed(task.session.get("charging_periods") or []):
            volumes = {d["type"]: float(d["volume"]) for d in period["dimensions"]}
            amps, kilowatts = volumes.get("CURRENT", 0.0), volumes.get("POWER", 0.0)
            if amps >= 1 and kilowatts > 0:
                phases = min(3, max(1, round(kilowatts * 1000 / (VOLTS * amps))))
                if phases == task.limits.phases:
                    return False
                limits = task.limits
                task.limits = Limits(limits.unit, limits.rate, limits.minimum, phases)
                return True
        return False


def highest(active: ActiveChargingProfile) -> float:
    """The highest limit that an active profile offers."""
    return max((float(p.limit) for p in active.charging_profile.charging_profile_period), default=0)


def course(profile: ChargingProfile, start: datetime) -> list[tuple[datetime, float]]:
    """The profile as (moment, limit)."""
    return [
        (start + timedelta(seconds=period.start_period), float(period.limit))
        for period in profile.charging_profile_period
    ]


def limit_at(steps: list[tuple[datetime, float]], at: datetime) -> float:
    """The limit in force at a moment; before the first step the first one."""
    return next((limit for since, limit in reversed(steps) if since <= at), steps[0][1])


def same_course(old: ChargingProfile, new: ChargingProfile) -> bool:
    """Whether `new` asks for nothing that `old` does not ask for from its start on."""
    if old.start_date_time is None or new.start_date_time is None:
        return False
    before, after = course(old, old.start_date_time), course(new, new.start_date_time)
    moments = {new.start_date_time} | {at for at, _ in before + after if at > new.start_date_time}
    return all(limit_at(before, at) == limit_at(after, at) for at in moments)


def lower_cap(active: ActiveChargingProfile, pushed: ChargingProfile) -> float | None:
    """The local limit that shows where the active profile stays below the pushed one."""
    if pushed.start_date_time is None:
        return None
    planned = course(pushed, pushed.start_date_time)
    real = course(active.charging_profile, utc(active.start_date_time))
    caps = [limit for at, limit in real if 0 < limit < limit_at(planned, at)]
    return min(caps, default=None)


def is_within(active: ActiveChargingProfile, pushed: ChargingProfile) -> bool:
    """Whether the active profile nowhere exceeds the pushed one."""
    if pushed.start_date_time is None or not active.charging_profile.charging_profile_period:
        return False
    begin = utc(active.start_date_time)
    planned, real = course(pushed, pushed.start_date_time), course(active.charging_profile, begin)
    moments = [at for at, _ in real] + [at for at, _ in planned if at >= begin]
    return all(limit_at(real, at) <= limit_at(planned, at) for at in moments)


def told(profile: ChargingProfile) -> str:
    """A profile in a few words: `0 A from 18:05, 16 A from 02:00`."""
    if profile.start_date_time is None:
        return "relative profile"
    return ", ".join(
        f"{limit:g} {profile.charging_rate_unit} from {at:%H:%M}"
        for at, limit in course(profile, profile.start_date_time)
    )
