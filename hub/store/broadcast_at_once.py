"""Broadcast Push from the event loop, where it is simple (docs/decisions/0030).

transport_and_format, Broadcast Push. What its owner tells the hub of an object that is kept for
everybody is written together with the marks of all its receivers, by one statement.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from django.http import HttpResponse

from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.deviations import noting
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.outbox.backlog import backlog
from hub.outbox.outbox import Change
from hub.routing.directory import PartyEntry, holder
from hub.routing.receivers import broadcast_receivers
from hub.routing.request import OcpiRequest
from hub.store import who_pushes
from hub.store.broadcast_push import addressee, change_of
from hub.store.pushed import Pushed, PushOutcome
from hub.views import answer
from hub.workers.wake import nudge_at_once

# More marks take so long that others would wait for the connection.
MOST_RECEIVERS: Final = 100

KeepAtOnce = Callable[[Writer, Pushed, Mapping[str, Any]], Awaitable[PushOutcome | None]]


async def push(
    writer: Writer, django: DjangoThreads, request: OcpiRequest, keep: KeepAtOnce
) -> HttpResponse | None:
    """The answer to a push that is kept and owed; None where nothing was done.

    Then a thread has to do it: also where it has to look whether anybody delivers, and whatever is
    refused.
    """
    directory, module = holder.snapshot, request.place.module
    pushed = Pushed.to_hub(request)
    is_usual = not pushed.told_by and not pushed.is_strict
    if not (is_usual and who_pushes.is_noted(request.sender, module) and backlog.is_clear()):
        return None
    change = change_of(module, pushed, request.place.ids.values(), request.correlation_id)
    try:
        receivers = broadcast_receivers(directory, request.sender, module, pushed.owner)
        if len(receivers) > MOST_RECEIVERS or any(map(_lacks_some, receivers)):
            return None
        kept = await keep(writer, pushed, outbox.owed(change, [*map(addressee, receivers)]))
    except OcpiError:
        return None  # The thread says it.
    if kept is None:
        return None
    if directory is not holder.snapshot:
        # A party that has come meanwhile may not wait for this one (hub/sync/replay.py).
        await django.run(_owe_newcomers, request.sender, pushed.owner, change, receivers)
    noting.note(request.platform.id, pushed.deviations)
    nudge_at_once(writer, "deliveries")
    return answer(status=201 if kept is PushOutcome.CREATED else 200)


def _lacks_some(entry: PartyEntry) -> bool:
    """Whether it may lack objects that deviate: what it is told then is decided on a thread."""
    return entry.platform.leaves_out_since is not None


def _owe_newcomers(
    caller: PartyId, owner: PartyId, change: Change, known: tuple[PartyEntry, ...]
) -> None:
    told = {entry.identity for entry in known}
    now = broadcast_receivers(holder.snapshot, caller, change.module, owner)
    outbox.mark_all([change], [[addressee(one) for one in now if one.identity not in told]])
