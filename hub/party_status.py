"""The connection status of parties, and telling the others (mod_hub_client_info, Push model)."""

import logging
from collections.abc import Iterable
from functools import partial

import msgspec
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from hub import locking, outbox
from hub.directory import Directory, PlatformEntry, apart
from hub.models import Delivery, DeliveryState, Party, PlatformHealth, Replay
from hub.ocpi import headers
from hub.ocpi.configuration import ClientInfo
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.party import PartyId
from hub.record import counters

logger = logging.getLogger(__name__)
MODULE = "hubclientinfo"
# Of a party that is here: its platform may know of the others.
OPEN = (ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE)


@locking.whole
def is_away(platform_id: int, problem: str) -> None:
    """A platform cannot be reached: its connected parties are OFFLINE, what waits is dropped."""
    if (found := locking.lock_platform(platform_id)) is None:
        return
    PlatformHealth.objects.filter(pk=platform_id).update(checked_at=Now(), problem=problem[:300])
    changed = _become(found[1], ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE)
    dropped = Delivery.objects.filter(receiver=platform_id, state=DeliveryState.WAITING).update(
        state=DeliveryState.DROPPED,
        outcome=f"the receiver is OFFLINE: {problem}"[:300],
        ended_at=timezone.now(),
    )

    def tell() -> None:
        counters.delivery_ended(platform_id, DeliveryState.DROPPED, dropped)
        if changed or dropped:
            logger.warning(
                "platform %s is OFFLINE (%s); %s waiting pushes dropped",
                platform_id,
                problem,
                dropped,
            )

    transaction.on_commit(tell)


@locking.whole
def is_back(platform_id: int) -> None:
    """A platform was heard, or answered: its OFFLINE parties are CONNECTED."""
    if (found := locking.lock_platform(platform_id)) is None:
        return
    platform, parties = found
    PlatformHealth.objects.filter(pk=platform_id).update(last_heard_at=Now(), problem="")
    if not _become(parties, ConnectionStatus.OFFLINE, ConnectionStatus.CONNECTED):
        return
    if platform.is_replayed_to:
        for party in parties:
            if party.status == ConnectionStatus.CONNECTED:
                Replay.begin(platform_id, party.identity)
    transaction.on_commit(partial(logger.info, "platform %s is CONNECTED again", platform_id))


def _become(parties: Iterable[Party], former: ConnectionStatus, status: ConnectionStatus) -> int:
    """Of locked parties: those of one status get another; returns how many, which are told of."""
    changed = [party for party in parties if party.status == former]
    now = timezone.now()
    for party in changed:
        party.status, party.last_updated = status, now
    Party.objects.bulk_update(changed, ["status", "last_updated"])
    push(changed)
    return len(changed)


def push(parties: Iterable[Party], *, agreements: bool = False) -> None:
    """Queue a PUT of each party's ClientInfo to every platform that has the interface.

    Not of those that wait for the operator, and not to platforms whose parties are all cut off.
    `agreements`: some were changed in this transaction.
    """
    parties = [party for party in parties if party.is_agreed]
    if not parties:
        return
    directory = apart({party.platform_id for party in parties}, agreements=agreements)
    rows = []
    for viewer in directory.platforms.values():
        if not (viewer.is_registered and viewer.is_open):
            continue
        if viewer.endpoint(MODULE, InterfaceRole.RECEIVER) is None:
            continue
        rows += [
            Delivery(
                receiver_id=viewer.id,
                ordering_key=f"{MODULE}:{party.identity}:{party.role}",
                module=MODULE,
                method="PUT",
                interface_role=InterfaceRole.RECEIVER,
                path=f"{party.country_code}/{party.party_id}",
                body=msgspec.json.encode(client_info(party, viewer, directory)),
                correlation_id=headers.new_id(),
            )
            for party in parties
            if party.platform_id != viewer.id
        ]
    outbox.enqueue(rows)


def client_info(party: Party, viewer: PlatformEntry, directory: Directory) -> ClientInfo:
    """A party as one platform is to see it.

    PLANNED also "when a company does not have a connection configured" (Another Party becomes
    PLANNED): every pair with the viewer's parties is closed.
    """
    status = ConnectionStatus(party.status)
    if status in OPEN and not _may_meet(party.identity, viewer, directory):
        status = ConnectionStatus.PLANNED
    return ClientInfo(
        party_id=party.party_id,
        country_code=party.country_code,
        role=Role(party.role),
        status=status,
        # types: a DateTime has at most 25 characters, which microseconds exceed.
        last_updated=party.last_updated.replace(microsecond=0),
    )


def _may_meet(identity: PartyId, viewer: PlatformEntry, directory: Directory) -> bool:
    return any(directory.closed_because(own, identity, "") is None for own in viewer.parties)
