"""What is remembered of a forwarded command: which CPO took which reservation (mod_commands)."""

import msgspec

from commands.models import Reservation
from commands.objects import CommandResponseType, CommandType
from hub.forwarded import Forwarded
from hub.ocpi import envelope
from hub.ocpi.datatypes import DateTime, Id36, decode, utc
from hub.ocpi.errors import OcpiError


class _Reserved(msgspec.Struct):
    reservation_id: Id36
    expiry_date: DateTime


class _Answered(msgspec.Struct):
    result: CommandResponseType


def command_posted(forwarded: Forwarded) -> None:
    """Keep a RESERVE_NOW that its CPO has accepted; other commands leave nothing behind."""
    if forwarded.match.ids["command"].upper() != CommandType.RESERVE_NOW:
        return
    answered = envelope.read_answer(forwarded.response.body).data_as(_Answered)
    if answered is None or answered.result != CommandResponseType.ACCEPTED:
        return
    try:
        reserved = decode(forwarded.body, _Reserved)
        expiry_date = utc(reserved.expiry_date)
    except OcpiError:
        return  # The CPO took it; but nothing in it could be cancelled by its id.
    Reservation.objects.update_or_create(
        emsp=str(forwarded.sender),
        cpo=str(forwarded.receiver),
        reservation_id=reserved.reservation_id.upper(),
        defaults={"expiry_date": expiry_date},
    )
