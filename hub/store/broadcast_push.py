"""Broadcast Push: keep what was pushed, and owe it to everybody of the opposite role.

transport_and_format, Broadcast Push: FROM is the hub, TO each receiver; the URL keeps the owner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from django.http import HttpResponse

from hub.deviations import noting
from hub.models import Deletion, locking
from hub.ocpi import headers
from hub.ocpi.datatypes import TokenType
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.modules import TYPED, URGENT
from hub.outbox import outbox
from hub.outbox.outbox import Change
from hub.routing.directory import Directory, PartyEntry, holder
from hub.routing.receivers import broadcast_receivers
from hub.routing.request import OcpiRequest
from hub.store import leaving_out, who_pushes
from hub.store.leaving_out import Choice
from hub.store.pushed import Pushed, PushOutcome
from hub.store.store import StoredObject
from hub.views import answer

# No id of an object is longer (types: CiString(36); a CDR's is 39).
LONGEST_ID = 39


def read(request: OcpiRequest) -> Pushed:
    """Read a request to a Receiver interface; NotFound or InvalidParameters for an odd id."""
    pushed = Pushed.to_hub(request)
    for one in pushed.ids:
        if not (one.isascii() and one.isprintable() and len(one) <= LONGEST_ID):
            message = f"No object has the id {one[:80]!r}: that is not a CiString(36)."
            raise NotFound(message) if request.method == "GET" else InvalidParameters(message)
    return pushed


def store_and_broadcast(request: OcpiRequest, kind: type[StoredObject]) -> HttpResponse:
    """Keep a push and owe it to its receivers, in one transaction; the answer follows the commit.

    "201 - Created when the object has been newly created" (status_codes). An older update than
    what is kept is neither stored nor sent on (1000, with a message).
    """
    pushed, directory = read(request), holder.snapshot
    receivers = _receivers(request, pushed, directory)
    keep = partial(_keep_and_tell, request, kind, pushed, directory)
    # With nobody to tell there is one write, which is a transaction by itself.
    is_more = receivers or pushed.method == "DELETE"
    kept = (locking.whole(keep) if is_more else keep)(receivers)
    who_pushes.note(request.sender, request.place.module)
    noting.note(request.platform.id, pushed.deviations)
    has = "a newer version" if not pushed.told_by else "a newer version, or its owner's own word"
    return answer(
        message=None if kept else f"The hub has {has}; this one is ignored.",
        status=201 if kept is PushOutcome.CREATED else 200,
    )


def _receivers(
    request: OcpiRequest, pushed: Pushed, directory: Directory
) -> tuple[PartyEntry, ...]:
    return broadcast_receivers(directory, request.sender, request.place.module, pushed.owner)


def _keep_and_tell(
    request: OcpiRequest,
    kind: type[StoredObject],
    pushed: Pushed,
    directory: Directory,
    receivers: tuple[PartyEntry, ...],
) -> PushOutcome:
    before = leaving_out.standing(kind, pushed, receivers)
    kept, body = kind.push(pushed)
    if directory is not holder.snapshot:
        # A party that comes meanwhile waits for those that have written without knowing it
        # (hub/sync/replay.py), not for those that write now.
        receivers = _receivers(request, pushed, holder.snapshot)
    module, ids = request.place.module, tuple(request.place.ids.values())
    told = replace(pushed, body=body)
    if kept and receivers:
        choice = leaving_out.choose(kind, pushed, receivers, before)
        tell(module, told, ids, request.correlation_id, choice)
    if kept and pushed.method == "DELETE":
        note_deletion(change_of(module, told, ids), pushed.told_by)
    return kept


def tell(
    module: str, pushed: Pushed, segments: Sequence[str], correlation_id: str, choice: Choice
) -> None:
    """Owe a push to its receivers; `segments` follow the endpoint, as they are sent."""
    for one, names, entries in (
        (pushed, segments, choice.as_pushed),
        (replace(pushed, method="PUT", ids=pushed.ids[:1]), segments[:3], choice.whole),
    ):
        outbox.mark(change_of(module, one, names, correlation_id), map(addressee, entries))


def change_of(
    module: str, pushed: Pushed, segments: Iterable[str], correlation_id: str = ""
) -> Change:
    """The change that a push makes; `segments` are the names in its URL as they were sent."""
    object_id, *parts = map(str.upper, pushed.ids)
    return Change(
        module=module,
        owner=str(pushed.owner),
        object_id=object_id,
        spelling="/".join(segments),
        correlation_id=correlation_id or headers.new_id(),
        # It is the same Token if its type was left out of the URL.
        variant=pushed.query.get("type", TokenType.RFID).upper() if module in TYPED else "",
        part=outbox.PART_OF.join(parts),
        patch=pushed.body if pushed.method == "PATCH" else None,
        is_deleted=pushed.method == "DELETE",
        priority=outbox.URGENT if module in URGENT or len(parts) == 1 else outbox.USUAL,
    )


def note_deletion(change: Change, told_by: str) -> None:
    """Note a deletion for parties that are away (hub/sync/replay.py)."""
    Deletion.note(change.module, change.owner, change.object_id, change.spelling, told_by)


def addressee(entry: PartyEntry) -> outbox.Addressee:
    """The addressee of what is owed to a party."""
    return outbox.Addressee(entry.platform.id, str(entry.identity))


def taken(
    module: str,
    pushed: Pushed,
    segments: Iterable[str],
    receiver: PartyEntry | None,
    kept: PushOutcome,
    began: float,
) -> None:
    """A party has taken a push from its owner itself; `segments` as for `change_of`.

    It began at that time.monotonic(). One that is older than what the hub has may have come last:
    the newest is told once more.
    """
    if receiver is None:
        return
    change = change_of(module, pushed, segments)
    if kept:
        outbox.taken(change, addressee(receiver), began)
    else:
        outbox.mark_all([replace(change, patch=None)], [[addressee(receiver)]])
