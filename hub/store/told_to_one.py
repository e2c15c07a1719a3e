"""What an owner tells one party alone of an object that is else broadcast (ocpi/ocpi#511)."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from django.db import transaction

from hub.db.batch_writer import Writer
from hub.models import quotas
from hub.ocpi import envelope
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import OcpiError
from hub.ocpi.modules import OBJECTS
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.routing.decisions import Found
from hub.routing.directory import holder
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest
from hub.store import broadcast_push, leaving_out, who_pushes
from hub.store.broadcast_at_once import KeepAtOnce
from hub.store.handling import AfterAnswer, BeforeForwarding, Handling
from hub.store.kinds import broadcast_kinds
from hub.store.pushed import Pushed
from hub.store.store import StoredObject

logger = logging.getLogger(__name__)


def handling_of(
    kind: type[StoredObject],
    other: str,
    *,
    after_at_once: Callable[[Writer, Forwarded], Awaitable[bool]] | None = None,
    broadcast_at_once: KeepAtOnce | None = None,
) -> dict[tuple[InterfaceRole, str], Handling]:
    """Of the PUT of a stored kind, and of the `other` method that it has: PATCH or DELETE."""
    after = _for_its_receiver(kind)
    return {
        (InterfaceRole.RECEIVER, "PUT"): Handling(
            before=_check_quota(kind),
            is_needless=_has_room(kind),
            after=after,
            after_at_once=after_at_once,
            broadcast_at_once=broadcast_at_once,
        ),
        (InterfaceRole.RECEIVER, other): Handling(
            after=after, after_at_once=after_at_once, broadcast_at_once=broadcast_at_once
        ),
    }


def _for_its_receiver(kind: type[StoredObject]) -> AfterAnswer:
    """Keep what an owner told one party alone, once that party has taken it (ocpi/ocpi#511)."""

    def keep(forwarded: Forwarded) -> None:
        request, response = forwarded.request, forwarded.response
        if not envelope.is_accepted(response.status, response.body):
            return
        pushed = Pushed.to_one(request)
        if pushed.owner != request.sender:
            return  # A party that passes on another's object tells nothing new of it.
        receiver = holder.snapshot.parties.get(request.receiver)
        place = request.place

        def keep_it() -> None:
            # Together: what is broadcast at this moment comes after both.
            with transaction.atomic():
                kept = kind.push(pushed).kept
                broadcast_push.taken(
                    place.module, pushed, place.ids.values(), receiver, kept, request.began
                )

        _kept_or_logged(request, keep_it)
        leaving_out.took(kind, pushed, receiver)
        who_pushes.note(request.sender, place.module)
        forwarded.note(pushed.deviations)

    return keep


def _kept_or_logged(request: OcpiRequest, keep: Callable[[], object]) -> None:
    """Keep what the receiver has taken; an object that is not valid can only be logged."""
    try:
        keep()
    except OcpiError as error:
        logger.warning(
            "%s of %s from %s to %s is not kept: %s, correlation %s",
            request.method,
            request.place.module,
            request.sender,
            request.receiver,
            error.message,
            request.correlation_id,
        )


def _check_quota(kind: type[StoredObject]) -> BeforeForwarding:
    """Refuse an object beyond the quota; those that the hub has can be changed."""

    def check(request: OcpiRequest) -> None:
        place, sender = request.place, request.sender
        if quotas.room(str(sender), kind.MODULE):
            return
        owner, object_id = in_url(place), unquote(list(place.ids.values())[2])
        named = kind._default_manager.filter(owner=str(owner), object_id=object_id.upper())
        if owner == sender and not named.exists():
            quotas.refuse(str(sender), kind.MODULE)

    return check


def _has_room(kind: type[StoredObject]) -> Callable[[OcpiRequest], bool]:
    def has_room(request: OcpiRequest) -> bool:
        return not quotas.seems_full(str(in_url(request.place)), kind.MODULE)

    return has_room


def own_teller(request: OcpiRequest, sender: PartyId) -> Found:
    """Find the owner of what an aggregator pushes to one party, if it tells that itself."""
    kind = broadcast_kinds()[request.place.module]
    owner, object_id = in_url(request.place), unquote(list(request.place.ids.values())[2])
    is_told = kind.is_told_by_owner({"owner": str(owner), "object_id": object_id.upper()})
    return Found((owner,) if is_told else (), f"{OBJECTS[request.place.module]} {object_id!r}")
