"""An SCSP that lets each car wait as long as it may, by OCPI alone (mod_charging_profiles)."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from charging_profiles.objects import ActiveChargingProfile, ChargingProfile, ChargingProfilePeriod
from hub.ocpi.datatypes import InterfaceRole, Role, utc
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party.callbacks import CommandRefused
from party.charging_profiles import ChargingProfilesSender
from party.messages import Received, Reply
from party.ocpi_platform import Platform
from party.serving import listen_options, logger, run
from party.sessions_receiver import SessionsReceiver, is_active
from sessions.objects import ChargingPreferences, ChargingPreferencesResponse

AGAIN = 30  # seconds after a command that was refused, or whose result never came
CLOSE = timedelta(minutes=1)  # what is no reason for another push


@dataclass
class Steered:
    """What a driver wants, the meter when he said so, and until when his car was told to wait."""

    wanted: ChargingPreferences
    kwh_when_asked: float
    waits_until: datetime | None = None
    is_awake: bool = False


class Scsp(Platform):
    """Receiver of Sessions; Sender, for the hub, of preferences and charging profiles."""

    def __init__(self) -> None:
        super().__init__([(PartyId("NL", "EXS"), Role.SCSP)], name="SCSP", **listen_options())
        self.steered: dict[str, Steered] = {}
        self.sessions = SessionsReceiver(on_session=self.on_session)
        self.profiles = ChargingProfilesSender(self)
        self.profiles.on_update = lambda session_id, _: self.wake(session_id)
        self.serve("sessions", InterfaceRole.RECEIVER, self.sessions.handlers())
        self.serve("sessions", InterfaceRole.SENDER, {"PUT": self.put_preferences})
        self.serve("chargingprofiles", InterfaceRole.SENDER, self.profiles.handlers())

    def on_session(self, session: dict[str, Any]) -> None:
        """What is over is forgotten."""
        if not is_active(session):
            self.steered.pop(session["id"].upper(), None)

    async def put_preferences(self, message: Received) -> Reply:
        key, wanted = message.parts[0].upper(), message.read(ChargingPreferences)
        self.steered[key] = Steered(wanted, self.kwh(key))
        self.wake(key)
        return Reply(ChargingPreferencesResponse.ACCEPTED)

    def kwh(self, key: str) -> float:
        return float((self.sessions.find(key) or {}).get("kwh", 0))

    def wake(self, session_id: str, after: float = 0) -> None:
        """New wishes, something else that limits the car, or a command that failed."""
        one = self.steered.get(session_id.upper())
        if one is not None and not one.is_awake:
            one.is_awake = True
            self.later(self.steer(session_id.upper(), one, after))

    async def steer(self, key: str, one: Steered, after: float) -> None:
        await asyncio.sleep(after)
        one.is_awake = False
        if self.steered.get(key) is not one:
            return  # It is over, or the driver wants something else.
        try:  # Without a TO: the hub knows whose session it is.
            active = (await self.profiles.get_active(key, None, 86_400)).profile
            if active is not None and (profile := self.plan(key, one, active)) is not None:
                result = await self.profiles.put(key, None, profile)
                logger.info("%s waits until %s: %s", key, one.waits_until, result.result)
        except (CommandRefused, OcpiError, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("%s: %s", key, error or type(error).__name__)
            one.waits_until = None
            self.wake(key, AGAIN)

    def plan(self, key: str, one: Steered, active: ActiveChargingProfile) -> ChargingProfile | None:
        """No current until the energy just fits; None where that is in force, or not asked for."""
        if one.wanted.departure_time is None or one.wanted.energy_need is None:
            return None  # It charges at once.
        unit, now = active.charging_profile.charging_rate_unit, utc(active.start_date_time)
        limits = [period.limit for period in active.charging_profile.charging_profile_period]
        watts = float(max(limits) or 1) * (1 if unit == "W" else 230)  # of one phase, at least
        left = max(0.0, float(one.wanted.energy_need) - self.kwh(key) + one.kwh_when_asked)
        begin = max(now, utc(one.wanted.departure_time) - timedelta(hours=left * 1000 / watts))
        is_told = one.waits_until is not None and abs(begin - one.waits_until) < CLOSE
        if is_told and (limits[0] == 0) == (begin - now >= CLOSE):
            return None
        one.waits_until, wait = begin, int((begin - now).total_seconds())
        steps = {0: limits[0] * 0, wait: max(limits)}
        periods = [ChargingProfilePeriod(*step) for step in steps.items()]
        return ChargingProfile(unit, now, charging_profile_period=periods)


if __name__ == "__main__":
    run(Scsp)
