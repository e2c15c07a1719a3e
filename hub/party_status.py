"""The connection status of parties, and telling the others (mod_hub_client_info, Push model)."""

import logging
from collections.abc import Iterable

import msgspec
from django.db import models, transaction
from django.utils import timezone

from hub import outbox
from hub.directory import Directory, PlatformEntry, load
from hub.models import Delivery, DeliveryState, Party, Platform, PlatformHealth, Replay
from hub.ocpi import headers
from hub.ocpi.configuration import ClientInfo
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.party import PartyId
from hub.record import counters

logger = logging.getLogger(__name__)
MODULE = "hubclientinfo"
# Of a party that is here: its platform may know of the others.
OPEN = (ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE)


def is_away(platform_id: int, problem: str) -> None:
    """A platform cannot be reached: its connected parties are OFFLINE, what waits is dropped."""
    with transaction.atomic():
        PlatformHealth.objects.update_or_create(
            platform_id=platform_id,
            defaults={"checked_at": timezone.now(), "problem": problem[:300]},
        )
        changed = change(
            Party.objects.filter(platform_id=platform_id, status=ConnectionStatus.CONNECTED),
            ConnectionStatus.OFFLINE,
        )
        dropped = Delivery.objects.filter(receiver=platform_id, state=DeliveryState.WAITING).update(
            state=DeliveryState.DROPPED,
            outcome=f"the receiver is OFFLINE: {problem}"[:300],
            ended_at=timezone.now(),
        )
    counters.delivery_ended(platform_id, DeliveryState.DROPPED, dropped)
    if changed or dropped:
        logger.warning(
            "platform %s is OFFLINE (%s); %s waiting pushes dropped", platform_id, problem, dropped
        )


def is_back(platform_id: int) -> None:
    """A platform was heard, or answered: its OFFLINE parties are CONNECTED."""
    with transaction.atomic():
        PlatformHealth.objects.update_or_create(
            platform_id=platform_id, defaults={"last_heard_at": timezone.now(), "problem": ""}
        )
        changed = change(
            Party.objects.filter(platform_id=platform_id, status=ConnectionStatus.OFFLINE),
            ConnectionStatus.CONNECTED,
        )
        if changed and Platform.objects.filter(pk=platform_id, is_replayed_to=True).exists():
            for party in Party.objects.filter(
                platform_id=platform_id, status=ConnectionStatus.CONNECTED
            ):
                Replay.begin(platform_id, party.identity)
    if changed:
        logger.info("platform %s is CONNECTED again", platform_id)


def change(parties: models.QuerySet[Party], status: ConnectionStatus) -> int:
    """Set the status of these parties and push it to everybody else; returns how many changed."""
    with transaction.atomic():
        # In one order: two changes of the same parties at once must not wait for each other.
        changed = list(parties.select_for_update().exclude(status=status).order_by("pk"))
        now = timezone.now()
        for party in changed:
            party.status, party.last_updated = status, now
        Party.objects.bulk_update(changed, ["status", "last_updated"])
        push(changed)
    return len(changed)


def push(parties: Iterable[Party]) -> None:
    """Queue a PUT of each party's ClientInfo to every platform that has the interface.

    Not of those that wait for the operator, and not to platforms whose parties are all cut off.
    """
    parties = [party for party in parties if party.is_agreed]
    if not parties:
        return
    # Read apart: this transaction may still be rolled back, the shared snapshot must not know it.
    directory = load()
    rows = []
    for platform in Platform.objects.filter(registered_at__isnull=False):
        viewer = directory.platforms.get(platform.pk)
        if viewer is None or not viewer.is_open:
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
