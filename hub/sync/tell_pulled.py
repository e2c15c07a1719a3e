"""Telling others of what was pulled: the second step, in transactions of its own (Broadcast Push).

A page is kept whatever the outbox holds; `Untold` remembers what of it is to be told.
"""

import time
from typing import Any, Final
from urllib.parse import quote

from celery import shared_task
from django.db import transaction

from hub.models.pulls import Untold
from hub.ocpi.errors import HubError
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.routing.directory import Directory, PartyEntry, holder
from hub.routing.receivers import broadcast_receivers
from hub.store import broadcast_push, leaving_out
from hub.store.broadcast_push import addressee
from hub.store.kinds import broadcast_kinds
from hub.store.pushed import Pushed

# About so many marks are written in one transaction.
MARKS: Final = 1000
# One turn lasts about so long.
SECONDS: Final = 10.0  # seconds


@shared_task(name="sync.tell_pulled")
def advance() -> None:
    """Tell what the puller has left untold; run by the clock, safe to run twice."""
    until = time.monotonic() + SECONDS
    for pk in Untold.objects.order_by("id").values_list("pk", flat=True):
        while tell(pk):
            if time.monotonic() > until:
                return


def tell(pk: int) -> bool:
    """Tell some of it, in one transaction; returns whether there is more."""
    with transaction.atomic():
        untold = Untold.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
        if untold is None:
            return False
        # Whoever comes after this look waits for this transaction (hub/sync/replay.py), and finds
        # the objects, which are older, by `since` (hub/models/replays.py).
        directory = holder.refresh()
        changes, receivers, marks = [], [], 0
        waiting = list(untold.objects_told)
        while waiting and marks < MARKS:
            one = waiting.pop(0)
            change, entries = _change(untold, one, directory)
            changes.append(change)
            receivers.append([addressee(entry) for entry in entries])
            marks += len(entries)
        outbox.mark_all(changes, receivers)
        if waiting:
            untold.objects_told = waiting
            untold.save(update_fields=["objects_told"])
        else:
            untold.delete()
    return bool(waiting)


def _change(
    untold: Untold, one: list[Any], directory: Directory
) -> tuple[outbox.Change, list[PartyEntry]]:
    """What is owed of an object, and to which parties, as if its owner had pushed it."""
    method, owner, names, variant, told_by = one
    pushed = Pushed(
        method=method,
        owner=PartyId.parse(owner),
        ids=(names[2],),
        query={"type": variant} if variant else {},
        body=b"",
        told_by=told_by,
    )
    segments = [quote(name, safe="") for name in names]
    change = broadcast_push.change_of(untold.module, pushed, segments, untold.correlation_id)
    if change.is_deleted:
        broadcast_push.note_deletion(change, told_by)
    teller = PartyId.parse(told_by or owner)
    if teller not in directory.parties:
        return change, []
    try:
        receivers = broadcast_receivers(directory, teller, untold.module, pushed.owner)
    except HubError:
        return change, []  # The owner has no opposite role any more.
    choice = leaving_out.choose(broadcast_kinds()[untold.module], pushed, receivers)
    return change, [*choice.as_pushed, *choice.whole]
