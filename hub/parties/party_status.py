"""The connection status of parties, and telling the others (mod_hub_client_info, Push model)."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from hub.db import sql
from hub.models import (
    Delivery,
    DeliveryState,
    Party,
    Platform,
    PlatformHealth,
    Replay,
    locking,
    party_news,
)
from hub.models.party_news import News
from hub.models.replays import under_way_since
from hub.ocpi.configuration import ClientInfo
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole, Role
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.record import counters
from hub.routing.directory import Directory, PlatformEntry

logger = logging.getLogger(__name__)
MODULE = "hubclientinfo"
# Of a party that is here: its platform may know of the others.
OPEN = (ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE)


# A check that fails is repeated after so many seconds, a little less by chance: many platforms
# that went together are not asked together for ever.
_FAILED = """
    UPDATE hub_platformhealth
    SET checked_at = statement_timestamp(), problem = %(problem)s, taken_until = NULL,
        lacks_since = least(lacks_since, %(since)s::timestamptz),
        failures = least(failures + 1, 100),
        next_check_at = least(next_check_at, statement_timestamp()
            + make_interval(secs => least(power(2, least(failures, 6)), 60) * (1 - random() / 4)))
    WHERE platform_id = %(platform)s
"""
_HEARD_SINCE = """
    SELECT last_heard_at > statement_timestamp() - make_interval(secs => %(ago)s)
    FROM hub_platformhealth WHERE platform_id = %(platform)s
"""


def heard(platform_id: int, **more: None) -> None:
    """It is there: what was wrong is over. Its row is locked (hub/models/locking.py)."""
    PlatformHealth.objects.filter(pk=platform_id).update(
        last_heard_at=Now(), problem="", failures=0, next_check_at=None, taken_until=None, **more
    )


@locking.whole
def is_away(platform_id: int, problem: str, began: float | None = None) -> bool:
    """A platform cannot be reached: its connected parties are OFFLINE, nothing waits for it.

    Since when it lacks what the hub has is remembered; messages keep their bodies.
    `began`: when the check that says so did, by time.monotonic(). One that is CONNECTED and was
    heard since then stays so: False.
    """
    if (found := locking.lock_platform(platform_id)) is None:
        return True
    if any(party.status == ConnectionStatus.CONNECTED for party in found[1]) and began is not None:
        # Only now: the platform may have been locked for a while.
        asked = {"platform": platform_id, "ago": time.monotonic() - began}
        if sql.run(_HEARD_SINCE, asked)[0][0]:
            PlatformHealth.objects.filter(pk=platform_id).update(
                failures=0, next_check_at=None, taken_until=None
            )
            return False
    changed = _become(found[1], ConnectionStatus.CONNECTED, ConnectionStatus.OFFLINE)
    # Whoever pushes at this moment may still mark it, and one that has just come back and goes
    # again lacks what was not marked for it yet.
    lacking = [under_way_since(), Replay.unmarked_since(platform_id)]
    dropped, oldest = outbox.forget(platform_id)
    since = None
    if changed or dropped:
        since = min(one for one in (oldest, *lacking) if one is not None)
    sql.run(_FAILED, {"platform": platform_id, "problem": problem[:300], "since": since})
    failed = Delivery.objects.filter(receiver=platform_id, state=DeliveryState.WAITING).update(
        state=DeliveryState.FAILED,
        outcome=f"the receiver is OFFLINE: {problem}"[:300],
        ended_at=timezone.now(),
    )

    def tell() -> None:
        counters.delivery_ended(platform_id, DeliveryState.DROPPED, dropped)
        counters.delivery_ended(platform_id, DeliveryState.FAILED, failed)
        if changed or dropped or failed:
            logger.warning(
                "%s is OFFLINE (%s); %s objects and %s messages were not told",
                found[0].name,
                problem,
                dropped,
                failed,
            )

    transaction.on_commit(tell)
    return True


@locking.whole
def is_back(platform_id: int) -> None:
    """A platform was heard, or answered: its OFFLINE parties are CONNECTED."""
    if (found := locking.lock_platform(platform_id)) is None:
        return
    platform, parties = found
    told_on(platform, parties)
    if not _become(parties, ConnectionStatus.OFFLINE, ConnectionStatus.CONNECTED):
        heard(platform_id)
        return
    health = PlatformHealth.objects.filter(pk=platform_id)
    since = health.values_list("lacks_since", flat=True).get() if platform.is_replayed_to else None
    came([party for party in parties if party.status == ConnectionStatus.CONNECTED], since)
    heard(platform_id, lacks_since=None)
    transaction.on_commit(partial(logger.info, "%s is CONNECTED again", platform.name))


def told_on(platform: Platform, parties: Iterable[Party]) -> None:
    """Before these, all of a platform, are CONNECTED: of whom it is told from then on.

    Of all that has changed since it went, where the operator wants that; else of what changes from
    now on. One that is here is told of everything anyway.
    """
    lasting = {ConnectionStatus.CONNECTED}
    if platform.is_replayed_to:
        lasting.add(ConnectionStatus.OFFLINE)
    if not any(party.status in lasting for party in parties):
        party_news.begin(platform.pk)


def came(parties: Iterable[Party], since: datetime | None = None) -> None:
    """These are CONNECTED from now on: what is pushed at this moment is theirs too.

    And what has been pushed `since` they went, where their platform wants that.
    """
    for platform_id, identity in sorted({(one.platform_id, one.identity) for one in parties}):
        Replay.catch_up(platform_id, identity, since)


def _become(parties: Iterable[Party], former: ConnectionStatus, status: ConnectionStatus) -> int:
    """Give locked parties of one status another, and tell of it; returns how many."""
    changed = [party for party in parties if party.status == former]
    now = timezone.now()
    for party in changed:
        party.status, party.last_updated = status, now
    Party.objects.filter(pk__in=[party.pk for party in changed]).update(
        status=status, last_updated=now
    )
    push(changed, is_news=False)
    return len(changed)


def push(parties: Iterable[Party], *, is_news: bool = True) -> None:
    """Owe each party's ClientInfo to every connected platform that has the interface.

    Not of those that wait for the operator. Without `is_news` one that comes back to what it was
    before it left is told to nobody.
    """
    agreed = [party for party in parties if party.is_agreed]
    if agreed:
        party_news.write(agreed, is_announced=is_news)
        outbox.wake_at_commit()


def viewers(directory: Directory) -> frozenset[int]:
    """The platforms that are told of changes now."""
    if MODULE not in directory.memo:
        directory.memo[MODULE] = frozenset(
            platform.id
            for platform in directory.platforms.values()
            if platform.is_registered
            and platform.endpoint(MODULE, InterfaceRole.RECEIVER) is not None
            and any(
                directory.parties[identity].status == ConnectionStatus.CONNECTED
                for identity in platform.parties
            )
        )
    found: frozenset[int] = directory.memo[MODULE]
    return found


def shown(status: str, identity: PartyId, viewer: PlatformEntry, directory: Directory) -> str:
    """A status as one platform is to see it.

    PLANNED also "when a company does not have a connection configured" (Another Party becomes
    PLANNED): every pair with the viewer's parties is closed.
    """
    if status in OPEN and not _may_meet(identity, viewer, directory):
        return ConnectionStatus.PLANNED
    return status


def client_info(party: Party | News, viewer: PlatformEntry, directory: Directory) -> ClientInfo:
    """A party as one platform is to see it."""
    status = ConnectionStatus(shown(party.status, party.identity, viewer, directory))
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
