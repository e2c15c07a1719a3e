"""An SCSP: asks what is in force, and lets a car wait as long as it may (mod_charging_profiles)."""

from datetime import timedelta

from charging_profiles.objects import ChargingProfile, ChargingProfilePeriod
from hub.ocpi.datatypes import InterfaceRole, Role, utc
from hub.ocpi.party import PartyId
from party.charging_profiles import ChargingProfilesSender
from party.messages import Received, Reply
from party.ocpi_platform import Platform
from party.serving import listen_options, logger, run
from party.sessions_receiver import SessionsReceiver
from sessions.objects import ChargingPreferences, ChargingPreferencesResponse


class Scsp(Platform):
    """Receiver of Sessions; Sender, for the hub, of preferences and charging profiles."""

    def __init__(self) -> None:
        super().__init__([(PartyId("NL", "EXS"), Role.SCSP)], name="SCSP", **listen_options())
        self.profiles = ChargingProfilesSender(self)
        self.serve("sessions", InterfaceRole.RECEIVER, SessionsReceiver().handlers())
        self.serve("sessions", InterfaceRole.SENDER, {"PUT": self.put_preferences})
        self.serve("chargingprofiles", InterfaceRole.SENDER, self.profiles.handlers())

    async def put_preferences(self, message: Received) -> Reply:
        self.later(self.steer(message.parts[0], message.read(ChargingPreferences)))
        return Reply(ChargingPreferencesResponse.ACCEPTED)

    async def steer(self, session_id: str, wanted: ChargingPreferences) -> None:
        """No current until the energy just fits; without a TO, since the hub knows the CPO."""
        if wanted.departure_time is None or wanted.energy_need is None:
            return  # It charges at once.
        active = (await self.profiles.get_active(session_id, None, 86_400)).profile
        if active is None:
            return  # Nobody knows what may be set.
        unit, now = active.charging_profile.charging_rate_unit, utc(active.start_date_time)
        limit = max(period.limit for period in active.charging_profile.charging_profile_period)
        watts = float(limit or 1) * (1 if unit == "W" else 230)  # of one phase, at least
        needed = timedelta(hours=float(wanted.energy_need) * 1000 / watts)
        wait = max(0, int((utc(wanted.departure_time) - now - needed).total_seconds()))
        steps = [ChargingProfilePeriod(*step) for step in {0: limit * 0, wait: limit}.items()]
        profile = ChargingProfile(unit, now, charging_profile_period=steps)
        result = await self.profiles.put(session_id, None, profile)
        logger.info("%s waits for %s s: %s", session_id, wait, result.result)


if __name__ == "__main__":
    run(Scsp)
