"""A CPO: a site whose sessions follow the pushed profiles (mod_sessions, mod_charging_profiles)."""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web

from hub.ocpi.datatypes import InterfaceRole, Role, decode
from hub.ocpi.errors import InvalidParameters, NotFound, OcpiError
from hub.ocpi.party import PartyId
from party.messages import Answered, Received, Reply, moment, to_json
from party.objects_receiver import ObjectsReceiver
from party.recent import Recent
from sessions.objects import (
    CdrToken,
    ChargingPreferences,
    ChargingPreferencesResponse,
    SessionStatus,
    TokenType,
)
from simulators import documents
from simulators.charging import Ev, Evse, Meter, Plug, cost_at_once, site_shares
from simulators.clock import SessionClock
from simulators.command_receiver import CommandReceiver
from simulators.documents import SimulatedSession, Site, called
from simulators.driving_data import REAL_DAY, Day
from simulators.faulty_platform import FaultyPlatform
from simulators.judgement import judge
from simulators.paging import list_reply
from simulators.profile_receiver import ProfileReceiver
from tokens.objects import AllowedType, LocationReferences, Token

logger = logging.getLogger(__name__)
story = logging.getLogger("simulators.story")

PARTY: Final = PartyId("NL", "CPO")
TICK_SECONDS: Final = 0.5
FIRST_VALUES: Final = timedelta(minutes=5)
DEMO_TOKEN: Final = CdrToken("DE", "MSP", "SIM-TOKEN-1", TokenType.APP_USER, "DE-MSP-C00000001-X")


class Arrival(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /app/sessions: a car comes."""

    evse_uid: str | None = None
    token: CdrToken | None = None
    ev: Ev | None = None
    stay_hours: float | None = None


class SiteLimit(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /app/site: a local limit changes."""

    limit_amps: float


class Cpo(FaultyPlatform):
    """Sender of what a CPO owns; Receiver of charging profiles, commands and tokens."""

    page_path = "/app/sessions"

    def __init__(
        self,
        party: PartyId = PARTY,
        *,
        site: Site | None = None,
        speed_up: float = 1.0,
        push_every: timedelta = timedelta(minutes=15),
        day: Day = REAL_DAY,
        locations: int = 1,
        name: str = "Simulated CPO",
        more_roles: Iterable[tuple[PartyId, Role]] = (),
        **listen: Any,
    ) -> None:
        super().__init__([(party, Role.CPO), *more_roles], name=name, **listen)
        self.party = party
        self.site = site or Site()
        # Beside the site whose EVSEs charge: empty ones, so that the list has pages.
        self.more_sites = [Site(f"LOC{n}", f"Site {n}") for n in range(2, locations + 1)]
        self.speed_up = speed_up
        self.push_every = push_every
        self.day = day
        self.sessions: Recent[str, SimulatedSession] = Recent()
        self._cars = itertools.count(1)
        self.cdrs: Recent[str, dict[str, Any]] = Recent()
        self.cdr_urls: Recent[str, str] = Recent()
        self.preferences: Recent[str, ChargingPreferences] = Recent()
        self.profiles = ProfileReceiver(self)
        self.on_sessions: Callable[[Sequence[SimulatedSession]], None] = lambda _: None
        self.site_updated = self.started_at = datetime.now(UTC)
        self.tokens = ObjectsReceiver(Token)
        # Whether its Location is told to everybody; `publish` begins with it.
        self.is_published = False
        sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
        self.serve("locations", sender, {"GET": self._get_locations})
        self.serve("tariffs", sender, {"GET": self._get_tariffs})
        self.serve("sessions", sender, {"GET": self._get_sessions, "PUT": self._put_preferences})
        self.serve("cdrs", sender, {"GET": self._get_cdrs})
        self.serve("tokens", receiver, self.tokens.handlers())
        self.serve("commands", receiver, CommandReceiver(self).handlers())
        self.serve(
            "chargingprofiles",
            receiver,
            self.profiles.handlers(),
        )

    async def start(self) -> None:
        """Listen, and let the meters run."""
        await super().start()
        self.later(self._run_meters())

    # Roaming ------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Broadcast Push of the Location and the Tariff; from now on of each EVSE's status too."""
        self.is_published = True
        tariff = documents.tariff(self.party, self.site_updated, self.day)
        await self._tell("tariffs", "PUT", tariff["id"], tariff)
        location = documents.location(self.site, self.party, self.site_updated, self._occupied())
        await self._tell("locations", "PUT", self.site.id, location)

    async def _tell_status(self, evse: Evse) -> None:
        if self.is_published:
            status = "AVAILABLE" if self.is_free(evse) else "CHARGING"
            changed = {"status": status, "last_updated": moment(self.site_updated)}
            await self._tell("locations", "PATCH", f"{self.site.id}/{evse.uid}", changed)

    async def _tell(self, module: str, method: str, path: str, body: Any) -> None:
        path = f"{self.party.country_code}/{self.party.party_id}/{path}"
        await self.push(module, method, path, to=None, body=body)

    async def authorize(self, token: CdrToken) -> PartyId | None:
        """Real-time authorization, whoever issued the token; None when it may not charge here."""
        answer = await self.call(
            "tokens",
            InterfaceRole.SENDER,
            "POST",
            f"{token.uid}/authorize",
            from_=self.party,
            query={"type": token.type},
            body=LocationReferences(self.site.id),
        )
        if not answer.is_success or answer.data.get("allowed") != AllowedType.ALLOWED:
            return None
        return PartyId.of(answer.data["token"]["country_code"], answer.data["token"]["party_id"])

    # Sessions -----------------------------------------------------------------------------------

    async def start_session(
        self,
        evse_uid: str | None = None,
        *,
        token: CdrToken = DEMO_TOKEN,
        ev: Ev | None = None,
        stay: timedelta | None = None,
        session_id: str | None = None,
    ) -> SimulatedSession:
        """A car plugs in (at a free EVSE when none is named); the eMSP gets the Session by PUT."""
        now = datetime.now(UTC)
        clock = SessionClock(now.replace(microsecond=0), self.speed_up)
        evse = self.site.evse(evse_uid) if evse_uid else self.free_evse()
        if evse is None:
            raise LookupError(f"every EVSE of {self.site.id} is occupied")
        session = SimulatedSession(
            id=session_id or self._new_session_id(),
            owner=self.party,
            site=self.site,
            plug=Plug(evse, ev or Ev(), clock.start),
            meter=Meter(clock.start, day=self.day),
            clock=clock,
            token=token,
            last_updated=now,
            leaves_at=clock.start + stay if stay else None,
        )
        self.sessions[session.id] = session
        self._share_site()
        story.info(
            "%s arrives at %s %s: it takes up to %.1f kW; its clock says %s%s",
            called(session.id),
            self.site.name,
            evse.uid,
            session.plug.ev.max_amps * session.plug.watts_per_amp / 1000,
            f"{clock.start:%H:%M}",
            f", it stays until {session.leaves_at:%H:%M}" if session.leaves_at else "",
        )
        await self.push_session(session)
        await self._tell_status(evse)
        return session

    def _new_session_id(self) -> str:
        """A name for people, with what makes it another one after a restart."""
        return f"car-{next(self._cars)}-{secrets.token_hex(6)}"

    async def end_session(self, session_id: str) -> SimulatedSession:
        """The car leaves: last PATCH, then the CDR."""
        session = self.sessions[session_id]
        now = session.clock.now()
        session.meter.advance(session.plug, now)
        session.status, session.ended_at = SessionStatus.COMPLETED, now
        self._share_site()
        at_once = cost_at_once(session.plug, session.meter.kwh, self.day)
        story.info(
            "%s left after %.1f h: %.1f kWh for EUR %.2f, EUR %.2f if charged at once",
            called(session.id),
            (now - session.clock.start).total_seconds() / 3600,
            session.meter.kwh,
            session.meter.cost,
            at_once,
        )
        await self.push_session(session)
        await self._post_cdr(session)
        await self._tell_status(session.plug.evse)
        return session

    async def push_session(self, session: SimulatedSession) -> Answered | None:
        """PUT at first, and whenever the eMSP may have lost something; otherwise PATCH."""
        async with session.pushing:
            session.last_updated = datetime.now(UTC)
            # PATCH can only add ChargingPeriods, so what has been sent must not grow any more.
            session.meter.cut()
            sent_periods = len(session.meter.periods)
            if session.is_in_sync:
                method, body = "PATCH", documents.session_patch(session)
            else:
                method, body = "PUT", documents.session(session)
            session.pushed_until = session.clock.now()
            answer = await self.push("sessions", method, session.path, to=session.emsp, body=body)
            session.is_in_sync = answer is not None and answer.is_success
            if session.is_in_sync:
                session.pushed_periods = sent_periods
            return answer

    async def set_site_limit(self, amps: float) -> None:
        """A local change: the site gets another limit."""
        self._read_meters()
        self.site.limit_amps = amps
        self._share_site()

    async def _post_cdr(self, session: SimulatedSession) -> None:
        document = documents.cdr(session)
        self.cdrs[session.id] = document
        answer = await self.push("cdrs", "POST", "", to=session.emsp, body=document)
        if answer is not None and answer.is_success and "Location" in answer.headers:
            self.cdr_urls[session.id] = answer.headers["Location"]

    async def push(
        self, module: str, method: str, path: str, *, to: PartyId | None, body: Any
    ) -> Answered | None:
        """Push to a Receiver, or to all; "SHOULD NOT be queued", so a failure is only logged."""
        try:
            answer = await self.call(
                module, InterfaceRole.RECEIVER, method, path, to=to, from_=self.party, body=body
            )
        except (aiohttp.ClientError, TimeoutError, LookupError, OcpiError) as error:
            what = error or type(error).__name__
            logger.warning("%s %s to %s: %s", method, module, to or "all", what)
            return None
        if not answer.is_success:
            logger.warning(
                "%s %s to %s: HTTP %s, OCPI %s",
                method, module, to or "all", answer.http_status, answer.status_code,
            )  # fmt: skip
        return answer

    def free_evse(self) -> Evse | None:
        """An EVSE without a car, None when there is none."""
        return next((evse for evse in self.site.evses if self.is_free(evse)), None)

    def is_free(self, evse: Evse) -> bool:
        """Whether no car stands at this EVSE."""
        return evse.uid not in self._occupied()

    def _occupied(self) -> set[str]:
        return {session.plug.evse.uid for session in self._plugged_in()}

    def _plugged_in(self) -> list[SimulatedSession]:
        return [session for session in self.sessions.values() if session.is_active]

    async def _run_meters(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._read_meters()
            for session in self._plugged_in():
                now = session.clock.now()
                if session.leaves_at is not None and now >= session.leaves_at:
                    session.leaves_at = None
                    self.later(self._end(session.id))
                elif now - (session.pushed_until or now) >= self._push_interval(session):
                    session.pushed_until = now
                    self.later(self._push(session))

    async def _end(self, session_id: str) -> None:
        await self.end_session(session_id)

    async def _push(self, session: SimulatedSession) -> None:
        if session.is_active:
            await self.push_session(session)

    def _push_interval(self, session: SimulatedSession) -> timedelta:
        """The first values come early, since they tell how the car charges."""
        return self.push_every if session.pushed_periods else min(self.push_every, FIRST_VALUES)

    def _read_meters(self) -> None:
        for session in self._plugged_in():
            session.meter.advance(session.plug, session.clock.now())

    def _share_site(self) -> None:
        """Divide the site anew; who has set a profile hears how its session is affected."""
        self.site_updated = datetime.now(UTC)
        plugged_in = self._plugged_in()
        self.on_sessions(plugged_in)
        shares = site_shares(self.site.limit_amps, [session.plug.ev for session in plugged_in])
        for session, share in zip(plugged_in, shares, strict=True):
            before = session.plug.local_limit
            session.meter.advance(session.plug, session.clock.now())
            session.plug.share_amps = share
            if session.plug.local_limit != before:
                for sender in session.profile_senders:
                    self.later(self.profiles.send_update(session, sender))

    def session(self, session_id: str) -> SimulatedSession | None:
        """Ids are CiStrings: some send them back in lower case."""
        found = self.sessions.get(session_id)
        if found is None:
            wanted = session_id.lower()
            found = next((s for key, s in self.sessions.items() if key.lower() == wanted), None)
        return found

    # Preferences --------------------------------------------------------------------------------

    async def _put_preferences(self, message: Received) -> Reply:
        if len(message.parts) != 2 or message.parts[1] != "charging_preferences":
            raise NotFound("PUT is for {session_id}/charging_preferences.")
        wanted = message.read(ChargingPreferences)
        session = self.session(message.parts[0])
        if session is None or not session.is_active:
            raise InvalidParameters("There is no such ongoing session.")
        if "CHARGING_PREFERENCES_CAPABLE" not in session.plug.evse.capabilities:
            raise InvalidParameters(
                "This EVSE takes no charging preferences.", http_status=HTTPStatus.NOT_FOUND
            )
        verdict = judge(session, wanted)
        if verdict is ChargingPreferencesResponse.ACCEPTED:
            self.preferences[session.id] = wanted
        return Reply(verdict)

    # Pages --------------------------------------------------------------------------------------

    async def page(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> web.Response:
        """`/app/sessions` and `/app/site`: what a charge point would tell its operator."""
        try:
            if path == "/app/sessions" and method == "POST":
                wanted = decode(body, Arrival)
                stay = timedelta(hours=wanted.stay_hours) if wanted.stay_hours else None
                session = await self.start_session(
                    wanted.evse_uid, token=wanted.token or DEMO_TOKEN, ev=wanted.ev, stay=stay
                )
                return _shown(documents.session(session))
            if path.startswith("/app/sessions/") and method == "DELETE":
                ended = self.session(path.rsplit("/", 1)[1])
                if ended is None or not ended.is_active:
                    raise LookupError("there is no such ongoing session")
                return _shown(documents.session(await self.end_session(ended.id)))
            if path == "/app/site" and method == "POST":
                await self.set_site_limit(decode(body, SiteLimit).limit_amps)
                return _shown({"limit_amps": self.site.limit_amps})
        except (OcpiError, LookupError) as error:
            return web.json_response({"error": str(error)}, status=HTTPStatus.BAD_REQUEST)
        if path == "/app/sessions":
            return _shown([documents.session(session) for session in self.sessions.values()])
        return await super().page(method, path, query, body)

    # Lists, Sender ------------------------------------------------------------------------------

    async def _get_locations(self, message: Received) -> Reply:
        location = documents.location(self.site, self.party, self.site_updated, self._occupied())
        more = [
            documents.location(site, self.party, self.started_at, set()) for site in self.more_sites
        ]
        if not message.parts:
            return list_reply([*more, location], message, self)
        wanted = message.parts[0].upper()
        found: Any = next((one for one in (location, *more) if one["id"].upper() == wanted), None)
        is_exact = found is not None and message.parts[0] == found["id"]
        if found is None or (self.faults.of("locations").case_sensitive_ids and not is_exact):
            raise NotFound("There is no such Location.")
        for key, list_name in zip(message.parts[1:], ("evses", "connectors"), strict=False):
            field = "uid" if list_name == "evses" else "id"
            matches = [one for one in found[list_name] if one[field].upper() == key.upper()]
            if not matches:
                raise NotFound(f"There is no {key} in {list_name}.")
            found = matches[0]
        return Reply(found)

    async def _get_tariffs(self, message: Received) -> Reply:
        return list_reply(
            [documents.tariff(self.party, self.site_updated, self.day)], message, self
        )

    async def _get_sessions(self, message: Received) -> Reply:
        if "date_from" not in message.query:
            raise InvalidParameters("date_from is required.")
        asking = message.from_party
        return list_reply(
            [documents.session(s) for s in self.sessions.values() if asking in (None, s.emsp)],
            message,
            self,
        )

    async def _get_cdrs(self, message: Received) -> Reply:
        return list_reply(list(self.cdrs.values()), message, self)


def _shown(value: Any) -> web.Response:
    return web.Response(body=to_json(value), content_type="application/json")
