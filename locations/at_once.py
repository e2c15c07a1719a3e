"""Locations that are kept from the event loop: what an owner tells again (decision 0030).

mod_locations, PUT and PATCH Method; ocpi/ocpi#511. Whatever is not as simple is done on a thread.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hub.db.batch_writer import Statement, Writer
from hub.ocpi.errors import OcpiError
from hub.ocpi.reading import Reading
from hub.outbound.forwarded import Forwarded
from hub.outbox import outbox
from hub.routing.directory import holder
from hub.routing.owners import in_url
from hub.store import who_pushes, whole_objects
from hub.store.broadcast_push import addressee, change_of
from hub.store.pushed import Pushed, PushOutcome
from locations.models import Location, PartChange
from locations.moments import Moments, as_json, goes_before

# Reading or merging a longer document would hold up the event loop.
LONGEST: Final = 50_000  # bytes
_COLUMNS: Final = (
    *("owner", "object_id", "audience", "last_updated", "document", "received_at", "deviates"),
    *("told_by", "moments"),
)


def _and_taken(guard: str, *, is_patch: bool = False) -> str:
    """With what is owed to the receiver; where a mark is just being written, nothing is done."""
    kept = whole_objects.variant_statement(Location, _COLUMNS, f"{guard} AND {outbox.IS_FREE}")
    return outbox.and_taken(kept, is_patch=is_patch, lock="SKIP LOCKED")


_PUT: Final = Statement(
    "location_put",
    _and_taken(Location.is_not_newer("kept", "%({})s")),
    binary={"document"},
    types=whole_objects.TYPES,
)
_FIND: Final = Statement(
    "location_find",
    """
    SELECT xmin::text, document, moments::text FROM ocpi_locations_location
    WHERE owner = %(owner)s::text AND object_id = %(object_id)s::text
      AND audience = %(audience)s::text AND told_by = '' AND moments <> '{}'
    """,
)
_CHANGE: Final = Statement(
    "location_change",
    _and_taken("kept.xmin = %(version)s::xid", is_patch=True),
    binary={"document"},
    types=whole_objects.TYPES,
)
_PUT_PART: Final = Statement(
    "location_put_part",
    _and_taken("kept.xmin = %(version)s::xid"),
    binary={"document"},
    types=whole_objects.TYPES,
)
# What is for everybody, and owed to those that it is for. A mark may have to be waited for, if not
# for long (a replay writes it just now): only other broadcasts wait with it.
_FOR_ALL: Final = " AND NOT kept.has_variants"
_BROADCAST: Final = Statement(
    "location_broadcast",
    outbox.and_marked(
        whole_objects.variant_statement(
            Location, _COLUMNS, Location.is_not_newer("kept", "%({})s") + _FOR_ALL
        )
    ),
    binary={"document", "patch"},
    types=whole_objects.TYPES,
    shared_by="broadcasts",
)
_BROADCAST_CHANGE: Final = Statement(
    "location_broadcast_change",
    outbox.and_marked(
        whole_objects.variant_statement(
            Location, _COLUMNS, "kept.xmin = %(version)s::xid" + _FOR_ALL
        )
    ),
    binary={"document", "patch"},
    types=whole_objects.TYPES,
    shared_by="broadcasts",
)
STATEMENTS: Final = (_PUT, _FIND, _CHANGE, _PUT_PART, _BROADCAST, _BROADCAST_CHANGE)


async def location_pushed(writer: Writer, forwarded: Forwarded) -> bool:
    """Keep what its receiver has taken; False where nothing was done, and a thread has to do it."""
    request = forwarded.request
    receiver = holder.snapshot.parties.get(request.receiver)
    if (
        in_url(request.place) != request.sender
        or not forwarded.response.is_accepted
        or len(request.body) > LONGEST
        or receiver is None
        or receiver.platform.leaves_out_since is not None
        or not who_pushes.is_noted(request.sender, "locations")
    ):
        return False
    pushed = Pushed.to_one(request)
    try:
        told = change_of("locations", pushed, request.place.ids.values(), request.correlation_id)
        owed = outbox.owed(told, [addressee(receiver)], request.began)
        change = _CHANGE if pushed.method == "PATCH" else _PUT_PART
        kept = await _kept(writer, pushed, owed, _PUT, change)
    except OcpiError:
        return False  # The thread tells the log.
    if kept is not None:
        forwarded.note(pushed.deviations)
    return kept is not None


async def location_broadcast(
    writer: Writer, pushed: Pushed, owed: Mapping[str, Any]
) -> PushOutcome | None:
    """Keep what an owner tells everybody, and owe it; None where a thread has to do it.

    OcpiError (2001) as `Location.push`, where the thread says the same.
    """
    if len(pushed.body) > LONGEST:
        return None
    return await _kept(writer, pushed, owed, _BROADCAST, _BROADCAST_CHANGE)


async def _kept(
    writer: Writer, pushed: Pushed, owed: Mapping[str, Any], put: Statement, change: Statement
) -> PushOutcome | None:
    reading = Location.read(pushed)
    if pushed.method == "PUT" and len(pushed.ids) == 1:
        done = await writer.run(put, {**Location.as_kept(pushed, reading), **owed})
        return PushOutcome.CHANGED if done else None
    names = Location.identity(pushed) | {"audience": pushed.audience}
    found = await writer.run(_FIND, names)
    if not found:
        return None
    version, document, moments = found[0]
    if version is None or not document or len(document) > LONGEST or moments is None:
        return None
    changed = _changed(pushed, reading, document, msgspec.json.decode(moments))
    if changed is None:
        return None
    values, is_new = changed
    # What another one has changed meanwhile is merged on a thread.
    values = {**values, **names, **owed, "version": version.decode()}
    if not await writer.run(change, values):
        return None
    return PushOutcome.CREATED if is_new else PushOutcome.CHANGED


def _changed(
    pushed: Pushed, reading: Reading, document: bytes, moments: Mapping[str, str]
) -> tuple[dict[str, Any], bool] | None:
    """The columns with the change in them, and whether what it names is new.

    None where something kept goes before it.
    """
    row = Location(audience=pushed.audience, document=document, moments=moments)
    change = PartChange(pushed, reading)
    merged = change.into(row)
    if merged is None:
        return None
    now = msgspec.convert(merged.more["moments"], Moments)
    if goes_before(row.own_moments, now, change.ahead):
        return None
    columns = {
        "last_updated": merged.last_updated,
        "document": merged.document,
        "received_at": change.now,
        "deviates": merged.deviates,
        "told_by": "",
        "moments": as_json(now),
    }
    return columns, merged.is_new
