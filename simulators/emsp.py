"""An eMSP: Sessions and CDRs of its drivers, their preferences, a page for them (mod_sessions)."""

import logging
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web

from commands.objects import CommandType
from hub.ocpi.datatypes import InterfaceRole, Role, decode, ocpi_now, utc
from hub.ocpi.errors import InvalidParameters, NotFound, OcpiError, UnknownToken
from hub.ocpi.party import PartyId
from locations.objects import Location
from party.callbacks import CommandRefused
from party.charging_profiles import ChargingProfilesSender
from party.commands import CommandsSender
from party.messages import Answered, Received, Reply, moment
from party.objects_receiver import ObjectsReceiver
from party.recent import Recent
from party.sessions_receiver import SessionsReceiver, is_active, owner
from sessions.objects import ChargingPreferences, ProfileType
from simulators.clock import clock
from simulators.documents import called
from simulators.driver_page import PAGE
from simulators.faulty_platform import FaultyPlatform
from simulators.hub_app import HubApp
from simulators.paging import list_reply
from tariffs.objects import Tariff
from tokens.objects import LocationReferences

logger = logging.getLogger(__name__)
story = logging.getLogger("simulators.story")

PARTY: Final = PartyId("DE", "MSP")
SHOWN_SESSIONS: Final = 12
APP_TOKEN: Final = "SIM-TOKEN-1"  # noqa: S105 - the uid of a simulated driver's app


class StartWish(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /app/sessions: the driver wants to charge here."""

    location_id: str
    evse_uid: str | None = None


@dataclass
class Asked:
    """What a driver asked, and what came of it."""

    preferences: ChargingPreferences
    answer: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Emsp(FaultyPlatform):
    """Sessions, CDRs, Locations, Tariffs as Receiver; Tokens, commands, profiles as Sender."""

    page_path = "/"

    def __init__(
        self,
        party: PartyId = PARTY,
        *,
        speed_up: float = 1.0,
        tokens: int = 1,
        name: str = "Simulated eMSP",
        more_roles: Iterable[tuple[PartyId, Role]] = (),
        **listen: Any,
    ) -> None:
        super().__init__([(party, Role.EMSP), *more_roles], name=name, **listen)
        self.party = party
        self.speed_up = speed_up
        self.kept = SessionsReceiver()
        self.sessions = self.kept.sessions
        self.cdrs: Recent[str, Any] = Recent()
        self.asked: Recent[str, Asked] = Recent()
        # What the hub tells beside OCPI; the demo sets it.
        self.hub_app: HubApp | None = None
        self.profiles = ChargingProfilesSender(self)
        self.commands = CommandsSender(self)
        sender, receiver = InterfaceRole.SENDER, InterfaceRole.RECEIVER
        self.serve("sessions", receiver, self.kept.handlers())
        self.serve("cdrs", receiver, {"GET": self._get_cdr, "POST": self._post_cdr})
        self.serve("chargingprofiles", sender, self.profiles.handlers())
        self.locations = ObjectsReceiver(Location)
        self.tariffs = ObjectsReceiver(Tariff)
        # The uids of its drivers' tokens; an app's own token is always among them.
        self.tokens: Recent[str, dict[str, Any]] = Recent()
        self.issue(APP_TOKEN, "APP_USER")
        for number in range(2, tokens + 1):
            self.issue(f"SIM-CARD-{number}", "RFID")
        self.serve("locations", receiver, self.locations.handlers())
        self.serve("tariffs", receiver, self.tariffs.handlers())
        self.serve("tokens", sender, {"GET": self._get_tokens, "POST": self._post_authorize})
        self.serve("commands", sender, self.commands.handlers())

    async def send_preferences(self, session_id: str, preferences: ChargingPreferences) -> Answered:
        """PUT of the driver's preferences to the CPO of the session."""
        session = self.kept.find(session_id)
        if session is None:
            raise NotFound("There is no such session.")
        answer = await self.call(
            "sessions",
            InterfaceRole.SENDER,
            "PUT",
            f"{session['id']}/charging_preferences",
            to=owner(session),
            from_=self.party,
            body=preferences,
        )
        said = answer.data if isinstance(answer.data, str) else answer.summary
        self.asked[session_id.upper()] = Asked(preferences, said)
        story.info("%s driver wishes: %s -> %s", called(session_id), _told(preferences), said)
        return answer

    # CDRs, Receiver -----------------------------------------------------------------------------

    async def _post_cdr(self, message: Received) -> Reply:
        cdr = decode(message.body, dict[str, Any])
        if not isinstance(cdr.get("id"), str):
            raise InvalidParameters("A CDR has an id.")
        self.cdrs[cdr["id"]] = cdr
        url = f"{self.endpoint_url('cdrs', InterfaceRole.RECEIVER)}/{cdr['id']}"
        return Reply(http_status=HTTPStatus.CREATED, headers={"Location": url})

    async def _get_cdr(self, message: Received) -> Reply:
        cdr = self.cdrs.get(message.parts[0]) if len(message.parts) == 1 else None
        if cdr is None:
            raise NotFound("There is no such CDR.")
        return Reply(cdr)

    # Tokens, Sender -----------------------------------------------------------------------------

    def issue(self, uid: str, kind: str, contract_id: str | None = None) -> dict[str, Any]:
        """Give a driver a token."""
        owner = f"{self.party.country_code}-{self.party.party_id}"
        self.tokens[uid.upper()] = {
            "country_code": self.party.country_code,
            "party_id": self.party.party_id,
            "uid": uid,
            "type": kind,
            "contract_id": contract_id or f"{owner}-C00000001-X",
            "issuer": self.name,
            "valid": True,
            "whitelist": "ALLOWED",
            "last_updated": ocpi_now(),
        }
        return self.tokens[uid.upper()]

    async def publish(self) -> None:
        """Broadcast Push of all tokens to the CPOs."""
        for token in list(self.tokens.values()):
            await self.call(
                "tokens",
                InterfaceRole.RECEIVER,
                "PUT",
                f"{token['country_code']}/{token['party_id']}/{token['uid']}",
                from_=self.party,
                query={"type": token["type"]},
                body=token,
            )

    async def _get_tokens(self, message: Received) -> Reply:
        return list_reply(list(self.tokens.values()), message, self)

    async def _post_authorize(self, message: Received) -> Reply:
        if len(message.parts) != 2 or message.parts[1] != "authorize":
            raise NotFound("POST is for {token_uid}/authorize.")
        token = self.tokens.get(message.parts[0].upper())
        if token is None or token["type"] != message.query.get("type", "RFID"):
            raise UnknownToken("This is not a token of ours.", http_status=HTTPStatus.NOT_FOUND)
        info: dict[str, Any] = {"allowed": "ALLOWED", "token": token}
        if message.body:
            info["location"] = message.read(LocationReferences)
        return Reply(info)

    # Commands, Sender ---------------------------------------------------------------------------

    async def start_charging(self, location_id: str, evse_uid: str | None = None) -> str:
        """START_SESSION to the CPO of the Location; returns its CommandResponseType."""
        wanted = {"token": self.tokens[APP_TOKEN], "location_id": location_id}
        return await self._command(
            CommandType.START_SESSION, wanted | ({"evse_uid": evse_uid} if evse_uid else {})
        )

    async def stop_charging(self, session_id: str) -> str:
        """STOP_SESSION to the CPO of the Session; returns its CommandResponseType."""
        return await self._command(CommandType.STOP_SESSION, {"session_id": session_id})

    async def _command(self, command: CommandType, wanted: dict[str, Any]) -> str:
        try:
            response = await self.commands.send(command, wanted, from_=self.party)
            said = str(response.result)
        except CommandRefused as error:
            said = str(error)
        story.info("the driver's app sends %s -> %s", command, said)
        return said

    # The driver's app ---------------------------------------------------------------------------

    async def page(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> web.Response:
        """`/` for people, `/app/sessions` for programs."""
        parts = path.strip("/").split("/")
        if path == "/":
            return web.Response(text=PAGE, content_type="text/html")
        if parts[:2] == ["app", "sessions"]:
            if len(parts) == 2 and method == "GET":
                shown = {"sessions": self.shown_sessions(), "places": self.free_places()}
                return web.json_response(shown)
            if len(parts) == 2 and method == "POST":
                wanted = decode(body, StartWish)
                return await self._result_of(
                    self.start_charging(wanted.location_id, wanted.evse_uid)
                )
            if len(parts) == 3 and method == "DELETE":
                return await self._result_of(self.stop_charging(parts[2]))
            if len(parts) == 4 and parts[3] == "preferences" and method == "POST":
                return await self._submit(parts[2], body)
        return await super().page(method, path, query, body)

    async def _submit(self, session_id: str, body: bytes) -> web.Response:
        async def submit() -> str:
            await self.send_preferences(session_id, decode(body, ChargingPreferences))
            return self.asked[session_id.upper()].answer

        return await self._result_of(submit())

    async def _result_of(self, work: Coroutine[Any, Any, str]) -> web.Response:
        """What the app is told of a wish: the answer, or the reason why there is none."""
        try:
            answer = await work
        except OcpiError as error:
            return web.json_response({"error": error.message}, status=HTTPStatus.BAD_REQUEST)
        except (aiohttp.ClientError, TimeoutError, LookupError) as error:
            text = f"The hub cannot be reached: {error or type(error).__name__}"
            return web.json_response({"error": text}, status=HTTPStatus.BAD_GATEWAY)
        return web.json_response({"answer": answer})

    def free_places(self) -> list[dict[str, str]]:
        """The EVSEs that the CPOs say are free, by what they pushed."""
        return [
            {"location": location["id"], "name": location.get("name", ""), "evse": evse["uid"]}
            for location in self.locations.objects.values()
            for evse in location.get("evses") or []
            if evse["status"] == "AVAILABLE"
        ]

    def shown_sessions(self) -> list[dict[str, Any]]:
        """The sessions as the page shows them: running ones first, the newest on top."""
        newest = sorted(
            self.sessions.values(),
            key=lambda session: (is_active(session), session["start_date_time"]),
            reverse=True,
        )
        return [self._shown(session) for session in newest[:SHOWN_SESSIONS]]

    def _shown(self, session: dict[str, Any]) -> dict[str, Any]:
        asked = self.asked.get(session["id"].upper())
        periods = session.get("charging_periods") or []
        now = clock(session, self.speed_up).now()
        shown = {
            "id": session["id"],
            "status": session["status"],
            "cpo": str(owner(session)),
            "location": session["location_id"],
            "evse": session["evse_uid"],
            "start": session["start_date_time"],
            "now": moment(now),
            "end": session.get("end_date_time"),
            "kwh": session["kwh"],
            "cost": (session.get("total_cost") or {}).get("excl_vat"),
            "currency": session["currency"],
            "power": [_point(period) for period in periods],
        }
        if asked is not None:
            wanted = asked.preferences
            shown["asked"] = {
                "profile_type": wanted.profile_type,
                "departure": moment(utc(wanted.departure_time)) if wanted.departure_time else None,
                "energy": float(wanted.energy_need) if wanted.energy_need is not None else None,
                "answer": asked.answer,
            }
        if self.hub_app is not None:
            shown |= self.hub_app.of(session["id"], now)
        return shown


def preferences(
    profile_type: ProfileType, departure: datetime | None, energy_kwh: float | None
) -> ChargingPreferences:
    """Preferences from plain values; energy to one decimal."""
    need = None if energy_kwh is None else Decimal(str(round(energy_kwh, 1)))
    return ChargingPreferences(profile_type, departure, need)


def _told(preferences: ChargingPreferences) -> str:
    need = f", {preferences.energy_need} kWh" if preferences.energy_need is not None else ""
    departure = preferences.departure_time
    return f"{preferences.profile_type}{need}{f' by {utc(departure):%H:%M}' if departure else ''}"


def _point(period: dict[str, Any]) -> dict[str, Any]:
    watts = next((d["volume"] for d in period["dimensions"] if d["type"] == "POWER"), None)
    return {"at": period["start_date_time"], "kw": watts}
