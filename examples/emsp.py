"""An eMSP: keeps Locations, and says for each Session what its driver wants (mod_sessions)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.party import PartyId
from locations.objects import Location
from party.objects_receiver import ObjectsReceiver
from party.ocpi_platform import Platform
from party.paging import objects_of
from party.serving import listen_options, logger, run
from party.sessions_receiver import SessionsReceiver, owner
from sessions.objects import ChargingPreferences, ProfileType


class Emsp(Platform):
    """Receiver of Locations and Sessions."""

    def __init__(self) -> None:
        super().__init__([(PartyId("DE", "EXA"), Role.EMSP)], name="eMSP", **listen_options())
        self.locations = ObjectsReceiver(Location)
        sessions = SessionsReceiver(on_new=lambda session: self.later(self.submit(session)))
        self.serve("locations", InterfaceRole.RECEIVER, self.locations.handlers())
        self.serve("sessions", InterfaceRole.RECEIVER, sessions.handlers())

    async def joined(self) -> None:
        """The Locations of before; what changes from now on is pushed."""
        async for location in objects_of(self, "locations"):
            self.locations.keep(location)

    async def submit(self, session: dict[str, Any]) -> None:
        """12.5 kWh in nine hours, as cheap as can be."""
        departure = datetime.now(UTC) + timedelta(hours=9)
        wanted = ChargingPreferences(ProfileType.CHEAP, departure, Decimal("12.5"))
        path, cpo = f"{session['id']}/charging_preferences", owner(session)
        answer = await self.call("sessions", InterfaceRole.SENDER, "PUT", path, to=cpo, body=wanted)
        logger.info("%s: %s", path, answer.data if answer.is_success else answer.summary)


if __name__ == "__main__":
    run(Emsp)
