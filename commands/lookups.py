"""Open Routing of commands: whose Location, Session or reservation is this? (mod_commands)."""

from commands.models import Reservation
from commands.objects import (
    COMMANDS,
    CancelReservation,
    CommandType,
    StopSession,
)
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import NotFound
from hub.ocpi.party import PartyId
from hub.routing import Found, Message
from locations.lookups import owner_of
from sessions.models import Session


def command_receiver(message: Message, sender: PartyId) -> Found:
    """The CPO that a command is for, by what its body names."""
    name = message.match.ids["command"].upper()
    if name not in CommandType.__members__:
        raise NotFound(f"{name[:40]!r} is none of {', '.join(CommandType)}.")
    body = decode(message.body, COMMANDS[CommandType(name)])
    if isinstance(body, StopSession):
        own = Session.objects.named(body.session_id).filter(
            emsp_country_code__iexact=sender.country_code, emsp_party_id__iexact=sender.party_id
        )
        owners = tuple(sorted({session.owner for session in own}))
        return Found(owners, f"session {body.session_id!r}")
    if isinstance(body, CancelReservation):
        holders = Reservation.holders(sender, body.reservation_id)
        return Found(holders, f"reservation {body.reservation_id!r}")
    return owner_of(body.location_id, sender)
