"""What the hub tells of other parties (mod_hub_client_info, Receiver Interface)."""

from hub.ocpi.configuration import ClientInfo
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.party import PartyId
from party.messages import Handler, Received, Reply


class HubClientInfoReceiver:
    """The ClientInfo objects that were pushed, by party and role."""

    def __init__(self) -> None:
        self.infos: dict[tuple[PartyId, Role], ClientInfo] = {}

    def status(self, party: PartyId) -> ConnectionStatus | None:
        """The status last told of a party, None when nothing was told."""
        return next((info.status for (one, _), info in self.infos.items() if one == party), None)

    def handlers(self) -> dict[str, Handler]:
        """The Receiver interface."""
        return {"GET": self._get, "PUT": self._put}

    async def _get(self, message: Received) -> Reply:
        wanted = _party(message)
        for (party, _), info in self.infos.items():
            if party == wanted:
                return Reply(info)
        raise NotFound(f"Nothing is known of {wanted}.")

    async def _put(self, message: Received) -> Reply:
        info = message.read(ClientInfo)
        party = PartyId.of(info.country_code, info.party_id)
        if party != _party(message):
            raise InvalidParameters("country_code and party_id differ from those in the URL.")
        self.infos[party, info.role] = info
        return Reply()


def _party(message: Received) -> PartyId:
    try:
        country_code, party_id = message.parts
        return PartyId.of(country_code, party_id)
    except ValueError as error:
        raise InvalidParameters("The URL has to end in /{country_code}/{party_id}.") from error
