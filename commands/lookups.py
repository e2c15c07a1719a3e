"""Open Routing of commands: whose Location, Session or reservation is this? (mod_commands)."""

from typing import Any

import msgspec

from commands.models import Reservation
from commands.objects import CommandType
from commands.reservations import named
from hub.ocpi import heads
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.party import PartyId
from hub.routing.decisions import Found
from hub.routing.request import OcpiRequest
from locations.lookups import owner_of
from sessions.models import Session


class _Subject(msgspec.Struct):
    """The ids in the body of a command that name its subject."""

    location_id: Any = None
    session_id: Any = None
    reservation_id: Any = None


_read = heads.reader(_Subject)


def command_receiver(request: OcpiRequest, sender: PartyId) -> Found:
    """The CPO that a command is for, by what its body names; the rest is that CPO's to judge.

    InvalidParameters (2001) when it names nothing.
    """
    name = request.place.ids["command"].upper()
    if name not in CommandType.__members__:
        raise NotFound(f"{name[:40]!r} is none of {', '.join(CommandType)}.")
    check_json(request.body)
    document = heads.object_of(request.body)
    subject = _Subject() if document is None else _read(document)
    if name == CommandType.STOP_SESSION:
        session_id = _required("session_id", subject)
        own = Session.objects.named(session_id).filter(
            emsp_country_code__iexact=sender.country_code, emsp_party_id__iexact=sender.party_id
        )
        owners = tuple(sorted({session.owner for session in own}))
        return Found(owners, f"session {session_id!r}")
    if name == CommandType.CANCEL_RESERVATION:
        reservation_id = _required("reservation_id", subject)
        holders = Reservation.holders(sender, named(reservation_id))
        return Found(holders, f"reservation {reservation_id!r}")
    return owner_of(_required("location_id", subject), sender)


def _required(name: str, subject: _Subject) -> str:
    if said := heads.text(getattr(subject, name)):
        return said
    raise InvalidParameters(
        f"`{name}` is required, as a text: it says which CPO the command is for - at `$.{name}`"
    )
