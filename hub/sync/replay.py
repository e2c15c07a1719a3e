"""Marking what a party may have missed: because it was away, or because it has just come.

OCPI leaves it to a returning party to GET what it has missed (Offline behaviour); for one that does
not, an operator or its platform's switch has everything marked that changed since it went. For a
party that comes, it marks what was pushed in that moment by those that did not know of it yet.
"""

import logging
import time
from datetime import timedelta
from typing import Final

from celery import shared_task
from django.db import transaction

from hub.db import sql
from hub.models import Deletion, Replay
from hub.ocpi import headers
from hub.ocpi.datatypes import ConnectionStatus, InterfaceRole
from hub.ocpi.modules import URGENT
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.outbox.outbox import Change
from hub.routing.directory import Directory, PartyEntry, current_version, holder, is_confirmed
from hub.routing.receivers import gets_broadcast
from hub.store import leaving_out
from hub.store.broadcast_push import addressee
from hub.store.kinds import broadcast_kinds
from hub.store.newest_first import by_row
from hub.store.pushed import EVERYBODY
from hub.store.sharing import shared_with

logger = logging.getLogger(__name__)
# The `module` of what is marked last: it sorts behind all names of modules.
_DELETIONS: Final = "~deleted"
# So many objects are marked in one transaction.
CHUNK: Final = 1000
# A transaction that lasts longer is not a push, and nobody waits for it.
LONGEST: Final = timedelta(minutes=5)
# One run lasts about so long.
SECONDS: Final = 10.0  # seconds


@shared_task(name="sync.mark_replays")
def advance() -> None:
    """Mark on for each party, a chunk at a time; run by the clock, safe to run twice."""
    until = time.monotonic() + SECONDS
    for pk in Replay.objects.order_by("started_at").values_list("pk", flat=True):
        while _step(pk):
            if time.monotonic() > until:
                return


def _step(pk: int) -> bool:
    """One transaction; whether there is another one to do at once."""
    with transaction.atomic():
        replay = Replay.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
        if replay is None or not _is_time(replay):
            return False
        # Read after the row: a snapshot of a moment ago may say that the party, which has just
        # come back, is OFFLINE.
        return _mark_on(replay, holder.refresh())


def _is_time(replay: Replay) -> bool:
    """Whether everything that was pushed without knowledge of the party is visible now."""
    if replay.version is None:
        replay.version = current_version()
        replay.save(update_fields=["version"])
    if replay.horizon is None:
        if is_confirmed(replay.version):
            [(replay.horizon,)] = sql.run(
                "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
            )
            replay.save(update_fields=["horizon"])
        return False
    [(is_time,)] = sql.run(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= %s "
        "OR statement_timestamp() - %s > %s",
        [replay.horizon, replay.started_at, LONGEST],
    )
    return bool(is_time)


def _mark_on(replay: Replay, directory: Directory) -> bool:
    entry = directory.parties.get(replay.identity)
    if entry is None or entry.status != ConnectionStatus.CONNECTED:
        logger.warning("%s ends: the party is not CONNECTED", replay)
        replay.delete()
        return False
    # Deletions after all objects: one that exists again is told as it is.
    for module in [*_offered(entry), _DELETIONS]:
        if module < replay.module:
            continue
        after = replay.after if module == replay.module else 0
        if module == _DELETIONS:
            last, changes = _deletions(replay, after, entry, directory)
        else:
            last, changes = _objects(replay, module, after, entry, directory)
        if last:
            replay.objects_marked += outbox.mark_all(changes, [[addressee(entry)]] * len(changes))
            replay.module, replay.after = module, last
            replay.save()
            return True
    logger.info("%s is done: %s objects", replay, replay.objects_marked)
    replay.delete()
    return False


def _offered(entry: PartyEntry) -> list[str]:
    """The modules whose objects the party is told."""
    offered = entry.platform.endpoints
    return [one for one in broadcast_kinds() if (one, InterfaceRole.RECEIVER) in offered]


def _is_told(
    module: str, owner: str, told_by: str, entry: PartyEntry, directory: Directory
) -> bool:
    """Whether a broadcast reaches the party."""
    teller = PartyId.parse(told_by or owner)
    return gets_broadcast(directory, teller, module, PartyId.parse(owner), entry.identity)


def _objects(
    replay: Replay, module: str, after: int, entry: PartyEntry, directory: Directory
) -> tuple[int, list[Change]]:
    """The next objects behind a row: the last one, 0 for none, and what a push would tell of them.

    If it goes again before it is told, it lacks what changed since `first_at`.
    """
    kind = broadcast_kinds()[module]
    shown = leaving_out.listed(shared_with(kind, replay.identity, directory), entry.platform)
    if replay.since is not None:
        shown = shown.filter(received_at__gte=replay.since)
    columns = {"id", "audience", "told_by", "received_at", *kind.IDENTITY}
    shown = by_row(shown.filter(id__gt=after), replay.since, is_begun=after > 0)
    rows = list(shown.values(*columns)[:CHUNK])
    correlation_id = headers.new_id()
    changes = [
        Change(
            module=module,
            owner=row["owner"],
            object_id=row["object_id"],
            spelling="",
            correlation_id=correlation_id,
            variant=row.get("type", ""),
            priority=outbox.URGENT if module in URGENT else outbox.USUAL,
            first_at=row["received_at"],
        )
        for row in rows
        if row["audience"] != EVERYBODY
        or _is_told(module, row["owner"], row["told_by"], entry, directory)
    ]
    return rows[-1]["id"] if rows else 0, changes


def _deletions(
    replay: Replay, after: int, entry: PartyEntry, directory: Directory
) -> tuple[int, list[Change]]:
    """The same of what is no more."""
    found = Deletion.objects.filter(id__gt=after, module__in=_offered(entry))
    if replay.since is not None:
        found = found.filter(deleted_at__gte=replay.since)
    rows = list(found.order_by("id")[:CHUNK])
    correlation_id = headers.new_id()
    changes = [
        Change(
            module=row.module,
            owner=row.owner,
            object_id=row.object_id,
            spelling=row.spelling,
            correlation_id=correlation_id,
            is_deleted=True,
            first_at=row.deleted_at,
        )
        for row in rows
        if _is_told(row.module, row.owner, row.told_by, entry, directory)
    ]
    return rows[-1].pk if rows else 0, changes
