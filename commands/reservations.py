"""What is remembered of a forwarded command: which CPO took which reservation (mod_commands)."""

import msgspec

from commands.models import Reservation
from commands.objects import CommandResponseType, CommandType
from hub.forwarded import Forwarded
from hub.ocpi import envelope
from hub.ocpi.datatypes import DateTime, Id36, utc


class _Reserved(msgspec.Struct):
    reservation_id: Id36
    expiry_date: DateTime


class _Answered(msgspec.Struct):
    result: CommandResponseType


def command_posted(forwarded: Forwarded) -> None:
    """Keep a RESERVE_NOW that its CPO has accepted; other commands leave nothing behind."""
    if forwarded.match.ids["command"].upper() != CommandType.RESERVE_NOW:
        return
    answer = envelope.read_answer(forwarded.response.body)
    try:
        accepted = msgspec.json.decode(answer.data, type=_Answered).result
        reserved = msgspec.json.decode(forwarded.body, type=_Reserved)
    except msgspec.DecodeError:
        return  # Neither an acceptance nor a reservation: nothing that could be cancelled.
    if accepted == CommandResponseType.ACCEPTED:
        Reservation.objects.update_or_create(
            emsp=str(forwarded.sender),
            cpo=str(forwarded.receiver),
            reservation_id=reserved.reservation_id.upper(),
            defaults={"expiry_date": utc(reserved.expiry_date)},
        )
