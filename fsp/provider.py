"""The reference FSP as an OCPI party: an SCSP that plans and pushes (SCALE D2.3, section 11.4).

Receiver of Sessions, Sender of ChargingProfiles, and Sender of Sessions for the preferences that a
hub hands on. What EV, EVSE and site allow comes from the active profile. With a key of the hub's
flex API it knows the limits of sites too, and plans the sessions of one together.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from charging_profiles.objects import ActiveChargingProfile, ChargingProfileResultType
from fsp import memory
from fsp.flex_api import FlexApi, Told
from fsp.group import Group, Member
from fsp.group_plan import GroupPlan, plan_group
from fsp.needs import Bounds, Need
from fsp.planner import Grid, plan
from fsp.pushes import FELL, GroupPushes, judge, judge_group
from fsp.schedule import Schedule
from fsp.statements import Statements
from fsp.steered import Steered, SteeredSite, Work, bounds_of, seconds_of, site_of
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
CLEARLY_LESS: Final = 0.9
# Seconds: a site of which not all has come into force is pushed again after so long.
SITE_AGAIN: Final = 10
# A CPO that keeps no profile is not pushed the same ones more often than this.
SITE_IGNORED: Final = 60
FAILURES: Final = (CommandRefused, OcpiError, aiohttp.ClientError, TimeoutError)


class ReferenceFsp(Platform):
    """`grid` says what is known of prices (and intensity) when it is asked.

    `api` is the hub's flex API, where it is to be used; `file` keeps what became of statements.
    """

    def __init__(
        self,
        grid: Callable[[], Grid],
        party: PartyId = PARTY,
        *,
        api: FlexApi | None = None,
        file: Path | None = None,
        **listen: Any,
    ) -> None:
        super().__init__([(party, Role.SCSP)], name="Reference FSP", **listen)
        self.grid = grid
        self.api, self.file = api, file
        self.statements = memory.read(file) if file else Statements()
        self.steered: Recent[str, Steered] = Recent()
        # By name; and which of them a session is at.
        self.sites: dict[tuple[str, str], SteeredSite] = {}
        self.site_of_session: dict[str, SteeredSite] = {}
        self.profiles = ChargingProfilesSender(self)
        self.profiles.on_update = self._on_update
        sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
        self.serve("sessions", receiver, SessionsReceiver(self._on_session).handlers())
        self.serve("sessions", sender, {"PUT": self._put_preferences})
        self.serve("chargingprofiles", sender, self.profiles.handlers())

    async def joined(self) -> None:
        """Follow the flex API from now on."""
        if self.api is not None:
            self.later(self.api.follow(self._on_told))

    def of(self, session_id: str) -> Steered:
        """What is known of a session; new when that is nothing yet."""
        key = session_id.upper()
        if key not in self.steered:
            self.steered[key] = Steered(session_id=session_id)
        return self.steered[key]

    # What comes in ------------------------------------------------------------------------------

    def _on_session(self, session: dict[str, Any]) -> None:
        one = self.of(session["id"])
        was_active = one.session is None or is_active(one.session)
        one.told(session)
        if not one.is_active and was_active and one.asked is not None:
            self._learn_of(one, one.asked, seconds_of(session.get("end_date_time")) or _now())
        if one.is_active or was_active:
            self._wake(one)

    def _learn_of(self, one: Steered, asked: Need, end: int) -> None:
        """A session is over. A car that took clearly less than it might have had was full."""
        if one.bounds is None or end <= one.asked_at:
            return
        held = one.in_force or Schedule(((one.asked_at, one.bounds.maximum),))
        offered = held.course(one.bounds.scale, self.grid().prices, one.asked_at, end).kwh[-1]
        is_full = one.taken < CLEARLY_LESS * float(offered)
        self.statements.learn(_user(one), asked, one.asked_at, one.taken, end, is_full=is_full)
        if self.file:
            memory.write(self.file, self.statements)

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

    def _on_told(self, told: Told) -> None:
        """What the flex API knows: sites of which limit or sessions have changed are looked at."""
        for key, one in self.steered.items():
            if one.wishes != told.wishes.get(key):
                one.wishes = told.wishes.get(key)
                self._wake(one)
        former, self.sites, self.site_of_session = self.sites, {}, {}
        for each in told.sites:
            limit, name = site_of(each), (each.cpo, each.name)
            if limit is None:
                continue
            site = self.sites[name] = former.pop(name, SteeredSite(name=" ".join(name)))
            sessions = tuple(sorted(session.upper() for session in each.sessions))
            is_news = (site.site, site.sessions) != (limit, sessions)
            site.site, site.sessions = limit, sessions
            self.site_of_session |= dict.fromkeys(sessions, site)
            if is_news:
                self._wake(site)
        for gone in former.values():
            for session in gone.sessions:
                self._wake(self.of(session))

    # Learn, plan, push --------------------------------------------------------------------------

    def _wake(self, work: Work) -> None:
        """A session of a site is looked at with its site."""
        if isinstance(work, Steered):
            work = self.site_of_session.get(work.session_id.upper(), work)
        work.is_dirty = True
        if not work.is_running:
            work.is_running = True
            self.later(self._work(work))

    async def _work(self, work: Work) -> None:
        """A step that fails is done again when the next message about it comes."""
        try:
            while work.is_dirty:
                work.is_dirty = False
                if isinstance(work, SteeredSite):
                    await self._step_site(work)
                elif isinstance(work, Steered):
                    try:
                        await self._step(work)
                    except FAILURES as error:
                        _failed(work, error)
        finally:
            work.is_running = False

    async def _step(self, one: Steered) -> None:
        if not one.is_active:
            return
        await self._learn(one)
        bounds, now = one.refresh(_now()), _now()
        if one.asked is None or bounds is None:
            return  # It charges at once, which needs no profile.
        grid = one.grid(self.grid())
        need, unobeyed = self._need(one, bounds, grid, now)
        made = plan(need, bounds, grid, now)
        verdict = judge(made, one.in_force, need, bounds, grid, now, one.pushed_at)
        reasons = "; ".join([verdict.reason, str(made.unmet or "need met"), *unobeyed])
        logger.info("%s: %s", one.session_id, reasons)
        if verdict.push:
            await self._push(one, made.schedule, now)
            one.is_dirty = True
        elif verdict.again_at is not None:
            self._wake_at(one, verdict.again_at)

    async def _learn(self, one: Steered) -> None:
        """Ask for the active profile where it is not known, or something has changed it."""
        if one.bounds is None:
            one.bounds = bounds_of(await self._active(one))
        elif one.was_changed:
            one.was_changed = False
            one.compare(await self._active(one), _now())

    def _need(
        self, one: Steered, bounds: Bounds, grid: Grid, now: int
    ) -> tuple[Need, tuple[str, ...]]:
        """The part of the driver's statement that is worth planning for; what is not obeyed, why.

        A least state of charge is for an emergency: it is not reckoned against what others did.
        """
        left, unobeyed = one.left(now)
        if left.first is not None:
            return left, unobeyed
        need = self.statements.reliable_part(
            _user(one), left, bounds, grid, now, one.asked_at, one.taken
        )
        return need, unobeyed

    def _wake_at(self, work: Work, when: int) -> None:
        if not work.waits:
            work.waits = True
            self.later(self._again(work, when - _now()))

    async def _again(self, work: Work, seconds: int) -> None:
        await asyncio.sleep(max(0, seconds))
        work.waits = False
        self._wake(work)

    # Sites --------------------------------------------------------------------------------------

    async def _step_site(self, site: SteeredSite) -> None:
        """Plan all sessions of a site that are known, and push what changes."""
        members = [one for key in site.sessions if (one := self._member(key)) is not None]
        learnt = await asyncio.gather(*(self._tried(self._learn(one), one) for one in members))
        if not all(learnt):
            self._wake_at(site, _now() + SITE_AGAIN)
        now, grid = _now(), self.grid()
        known = [(one, bounds) for one in members if (bounds := one.refresh(now)) is not None]
        if not known:
            return
        needs = [self._need(one, bounds, grid, now) for one, bounds in known]
        group = Group(
            [
                Member(need, bounds, one.taken)
                for (one, bounds), (need, _) in zip(known, needs, strict=True)
            ],
            site.site,
            grid,
            now,
        )
        for (one, _), (need, unobeyed) in zip(known, needs, strict=True):
            if reasons := [*unobeyed, *one.unobeyed_together(need)]:
                logger.info("%s: %s", one.session_id, "; ".join(reasons))
        made = await asyncio.to_thread(plan_group, group)
        sessions = [one for one, _ in known]
        pushes = judge_group(
            made, [one.in_force for one in sessions], group, [one.pushed_at for one in sessions]
        )
        logger.info("%s: %s; %.1f kWh unmet", site.name, pushes.verdict.reason, made.unmet_kwh)
        if pushes.verdict.push:
            await self._push_site(site, sessions, made, pushes)
        elif pushes.verdict.again_at is not None:
            self._wake_at(site, pushes.verdict.again_at)

    def _member(self, key: str) -> Steered | None:
        one = self.steered.get(key)
        return one if one is not None and one.is_active else None

    async def _push_site(
        self, site: SteeredSite, sessions: list[Steered], made: GroupPlan, pushes: GroupPushes
    ) -> None:
        """First what falls; the rest once all of that is in force, for only then is there room."""
        now = _now()
        if pushes.verdict.reason == FELL and site.pushed_under == site.site:
            # The same again, since the CPO has taken it and keeps something else: not at once.
            again = (site.pushed_at or 0) + SITE_IGNORED
            if now < again:
                self._wake_at(site, again)
                return
        site.pushed_under, site.pushed_at = site.site, now
        for part in (pushes.falling, pushes.rising):
            pushed = await asyncio.gather(
                *(
                    self._tried(self._push(sessions[i], made.plans[i].schedule, now), sessions[i])
                    for i in part
                )
            )
            if not all(pushed):
                self._wake_at(site, _now() + SITE_AGAIN)
                return
        site.is_dirty = True

    async def _tried(self, work: Coroutine[Any, Any, None], one: Steered) -> bool:
        """Whether it went well; others of the site go on."""
        try:
            await work
        except FAILURES as error:
            _failed(one, error)
            return False
        return True

    # Charging profiles --------------------------------------------------------------------------

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
        one.was_changed = True

    async def _active(self, one: Steered) -> ActiveChargingProfile:
        cpo = owner(one.session) if one.session else None
        result = await self.profiles.get_active(one.session_id, cpo, HORIZON)
        if result.result is not ChargingProfileResultType.ACCEPTED or result.profile is None:
            raise CommandRefused(f"GET: result {result.result}")
        return result.profile


def _user(one: Steered) -> str:
    """Who the driver is, is not remembered."""
    return hashlib.sha256(one.driver.encode()).hexdigest()[:24] if one.driver else ""


def _failed(one: Steered, error: Exception) -> None:
    logger.warning("%s: %s", one.session_id, error or type(error).__name__)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
