"""What is remembered of commands: which CPO took which reservation (mod_commands).

A command that its CPO has taken is for that CPO to judge: only what the hub needs is read of it.
"""

from datetime import timedelta
from typing import Any, Final

import msgspec
from django.utils import timezone

from commands.models import LONGEST_ID, Reservation
from commands.objects import COMMANDS, CommandResponseType, CommandResult, CommandType
from hub.models import ForwardedUrl, ForwardedUrlKind
from hub.ocpi import envelope, heads, lenient
from hub.ocpi.party import PartyId
from hub.ocpi.reading import deviations_of
from hub.ocpi.results import answer_of, result_of
from hub.outbound import rewritten_urls
from hub.outbound.forwarded import Forwarded, note

# How long a reservation with an unreadable end is known.
_WITHOUT_END: Final = timedelta(days=1)


class _Reserved(msgspec.Struct):
    reservation_id: Any = None
    expiry_date: Any = None
    response_url: Any = None


_read = heads.reader(_Reserved)


def command_posted(forwarded: Forwarded) -> None:
    """Keep what a RESERVE_NOW or CANCEL_RESERVATION that its CPO has accepted is about."""
    request = forwarded.request
    name = request.place.ids["command"].upper()
    if name not in CommandType.__members__:
        return
    forwarded.note(deviations_of(request.body, COMMANDS[CommandType(name)]))
    document = heads.object_of(request.body)
    if document is None or name not in {CommandType.RESERVE_NOW, CommandType.CANCEL_RESERVATION}:
        return
    answered = answer_of(bytes(envelope.read_answer(forwarded.response.body).data))
    if answered is None or answered.result != CommandResponseType.ACCEPTED:
        return
    head = _read(document)
    # Without an id the CPO took something that cannot be cancelled.
    if named(head.reservation_id):
        _keep(CommandType(name), request.sender, request.receiver, head)


def _keep(name: CommandType, emsp: PartyId, cpo: PartyId, head: _Reserved) -> None:
    reservation_id, key = named(head.reservation_id), _key(head.response_url)
    if name == CommandType.CANCEL_RESERVATION:
        Reservation.cancelling(emsp, cpo, reservation_id, key)
    else:
        Reservation.objects.create(
            emsp=str(emsp),
            cpo=str(cpo),
            reservation_id=reservation_id,
            expiry_date=lenient.moment(head.expiry_date) or timezone.now() + _WITHOUT_END,
            key=key,
        )
    # The result may have come before the answer.
    for url in ForwardedUrl.objects.filter(key=key).exclude(result=""):
        Reservation.told(emsp, cpo, key, url.result)


def result_posted(url: ForwardedUrl, body: bytes) -> None:
    """Note the result that a CPO posts, whether or not the eMSP takes it."""
    if url.module != "commands" or url.kind != ForwardedUrlKind.RESPONSE_URL:
        return
    note(url.caller_id, deviations_of(body, CommandResult))
    word = result_of(body) if body else ""
    if word:
        ForwardedUrl.objects.filter(pk=url.pk).update(result=word)
        Reservation.told(url.owner_identity, url.caller_identity, url.key, word)


def named(reservation_id: Any) -> str:
    """How a reservation is looked up."""
    return heads.text(reservation_id).upper()[:LONGEST_ID]


def _key(response_url: Any) -> str:
    """The key of the URL that the hub has put into a command; empty where it has put none."""
    url, ours = heads.text(response_url), rewritten_urls.hub_url("")
    return url.removeprefix(ours) if url.startswith(ours) else ""
