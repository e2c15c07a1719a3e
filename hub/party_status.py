"""The connection status of parties, and telling the others (mod_hub_client_info, Push model)."""

import logging
from collections.abc import Iterable
from functools import partial

import msgspec
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from hub import locking, outbox, statements
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


# A check that fails is repeated after so many seconds, a little less by chance: many platforms
# that went together are not asked together for ever.
_FAILED = """
    UPDATE hub_platformhealth
    SET checked_at = statement_timestamp(), problem = %(problem)s, taken_until = NULL,
        failures = least(failures + 1, 100),
        next_check_at = least(next_check_at, statement_timestamp()
            + make_interval(secs => least(power(2, least(failures, 6)), 60) * (1 - random() / 4)))
    WHERE platform_id = %(platform)s
"""
_HEARD_SINCE = """
    SELECT last_heard_at > statement_timestamp() - make_interval(secs => %(ago)s)
    FROM hub_platformhealth WHERE platform_id = %(platform)s
"""


def heard(platform_id: int) -> None:
    """It is there: what was wrong is over. Its row is locked (hub/locking.py)."""
    PlatformHealth.objects.filter(pk=platform_id).update(
        last_heard_at=Now(), problem="", failures=0, next_check_at=None, taken_until=None
    )


@locking.whole
def is_away(platform_id: int, problem: str, ago: float | None = None) -> bool:
    """A platform cannot be reached: its connected parties are OFFLINE, what waits is dropped.

    `ago`: how many seconds ago the check that says so began. One that is CONNECTED and was heard
    since then stays so: False.
    """
    if (found := locking.lock_platform(platform_id)) is None:
        return True
    if any(party.status == ConnectionStatus.CONNECTED for party in found[1]) and ago is not None:
        asked = {"platform": platform_id, "ago": ago}
        if statements.run(_HEARD_SINCE, asked)[0][0]:
            PlatformHealth.objects.filter(pk=platform_id).update(
                failures=0, next_check_at=None, taken_until=None
            )
            return False
    statements.run(_FAILED, {"platform": platform_id, "problem": problem[:300]})
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
    return True


@locking.whole
def is_back(platform_id: int) -> None:
    """A platform was heard, or answered: its OFFLINE parties are CONNECTED."""
    if (found := locking.lock_platform(platform_id)) is None:
        return
    platform, parties = found
    heard(platform_id)
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
