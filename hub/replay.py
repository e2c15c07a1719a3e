"""The current state for a party that was away, when its operator or the hub's asks for it.

OCPI leaves it to the returning party to GET what it has missed (Offline behaviour); this is for
those that do not. Locations, Tariffs and Tokens that it may see go out as PUTs, a chunk at a time.
"""

import logging
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from celery import shared_task
from django.db import transaction

from hub import leaving_out, outbox
from hub.directory import Directory, PartyEntry, holder
from hub.models import Delivery, DeliveryState, Replay
from hub.ocpi import headers, heads
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole
from hub.ocpi.errors import HubError, ServerError
from hub.ocpi.party import PartyId
from hub.receivers import broadcast_receivers
from hub.sharing import shared_with
from hub.store import EVERYBODY, StoredObject
from locations.models import Location
from tariffs.models import Tariff
from tokens.models import Token

logger = logging.getLogger(__name__)
# So much waits for a party at once; what comes next is written when it has taken that.
CHUNK: Final = 200
# What the current state is made of.
KINDS: Final[dict[str, type[StoredObject]]] = {
    "locations": Location,
    "tariffs": Tariff,
    "tokens": Token,
}


class _Named(msgspec.Struct):
    """What the URL of an object is made of, as its owner spells it."""

    country_code: Any = None
    party_id: Any = None
    id: Any = None
    uid: Any = None


_named: Final = heads.reader(_Named)


@shared_task
def advance() -> None:
    """Write the next chunk of each replay whose party has taken the last one; run by the clock."""
    for pk in Replay.objects.order_by("started_at").values_list("pk", flat=True):
        try:
            with transaction.atomic():
                replay = Replay.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
                if replay is not None:
                    # Read after the row: a snapshot of a moment ago may say that the party, which
                    # has just come back, is OFFLINE.
                    _advance(replay, holder.refresh())
        except ServerError as error:
            logger.warning("replays wait: %s", error.message)
            return


def _advance(replay: Replay, directory: Directory) -> None:
    entry = directory.parties.get(replay.identity)
    if entry is None or entry.status != ConnectionStatus.CONNECTED:
        logger.warning("%s ends: the party is not CONNECTED", replay)
        replay.delete()
        return
    waiting = Delivery.objects.filter(receiver=entry.platform.id, state=DeliveryState.WAITING)
    if waiting[:CHUNK].count() == CHUNK:
        return
    for module in KINDS:
        if (
            module < replay.module
            or entry.platform.endpoint(module, InterfaceRole.RECEIVER) is None
        ):
            continue
        after = replay.after if module == replay.module else 0
        # Locked, so that an update of one of them is written, and so ordered, before or after it.
        rows = list(
            leaving_out.listed(
                shared_with(KINDS[module], replay.identity, directory), entry.platform
            )
            .filter(id__gt=after)
            .select_for_update(of=("self",))
            .order_by("id")[:CHUNK]
        )
        if not rows:
            continue
        replay.objects_sent += sum(_send(row, module, entry, directory) for row in rows)
        replay.module, replay.after = module, rows[-1].pk
        replay.save()
        return
    logger.info("%s is done: %s objects", replay, replay.objects_sent)
    replay.delete()


def _send(row: Any, module: str, entry: PartyEntry, directory: Directory) -> bool:
    """Owe one object to the party; False when a push of it would not go there."""
    owner = PartyId.parse(row.owner)
    is_broadcast = row.audience == EVERYBODY
    teller = PartyId.parse(row.told_by) if row.told_by else owner
    if is_broadcast and not _would_get(teller, owner, module, entry, directory):
        return False
    document = bytes(row.document)
    named = _named(document)
    query = urlencode({"type": row.type}) if module == "tokens" else ""
    key = heads.text(named.uid if module == "tokens" else named.id)
    # One that its receiver took although it says something else, or nothing, goes by its row.
    is_named = heads.party_of(msgspec.structs.asdict(named)) == owner
    parts = (
        *((named.country_code, named.party_id) if is_named else owner),
        key if key.upper() == row.object_id else row.object_id,
    )
    path = "/".join(quote(part, safe="") for part in parts)
    outbox.spread(
        outbox.Broadcast(
            module=module,
            method="PUT",
            role=InterfaceRole.RECEIVER,
            path=f"{path}?{query}" if query else path,
            body=document,
            ordering_key=f"{module}:{owner}/{row.object_id}?{query}".upper(),
            sender=directory.hub if is_broadcast else owner,
            correlation_id=headers.new_id(),
        ),
        [outbox.Addressee(entry.platform.id, entry.country_code, entry.party_id)],
    )
    return True


def _would_get(
    teller: PartyId, owner: PartyId, module: str, entry: PartyEntry, directory: Directory
) -> bool:
    """Whether a broadcast of this owner's objects reaches the party."""
    if teller not in directory.parties:
        return False
    try:
        return entry in broadcast_receivers(directory, teller, module, owner)
    except HubError:
        return False  # It has no opposite role any more.
