"""Locations that are kept from the event loop: what an owner told one party again (decision 0030).

mod_locations, PUT and PATCH Method; ocpi/ocpi#511. Whatever is not as simple is done on a thread.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from hub import outbox, pushers, storing
from hub.directory import holder
from hub.forwarded import Forwarded
from hub.ocpi import heads
from hub.ocpi.errors import OcpiError
from hub.ocpi.reading import Reading
from hub.store import Pushed
from hub.writer import Statement, Writer
from locations.models import ESSENTIALS, Location, PartChange
from locations.moments import Moments, as_json, goes_before

# Reading or merging a longer document would hold up the event loop.
LONGEST: Final = 50_000  # bytes
_COLUMNS: Final = (
    *("owner", "object_id", "audience", "last_updated", "document", "received_at", "deviates"),
    *("told_by", "moments"),
)


def _and_cleared(guard: str, *, is_patch: bool = False) -> str:
    """What is owed to the receiver ends with it; a mark that somebody writes just now stays."""
    kept = storing.variant_statement(Location, _COLUMNS, guard)
    return outbox.and_cleared(kept, is_patch=is_patch, lock="SKIP LOCKED")


_PUT: Final = Statement(
    "location_put",
    _and_cleared(Location.is_not_newer("kept", "%({})s")),
    binary={"document"},
    types=storing.TYPES,
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
    _and_cleared("kept.xmin = %(version)s::xid", is_patch=True),
    binary={"document"},
    types=storing.TYPES,
)
_PUT_PART: Final = Statement(
    "location_put_part",
    _and_cleared("kept.xmin = %(version)s::xid"),
    binary={"document"},
    types=storing.TYPES,
)
STATEMENTS: Final = (_PUT, _FIND, _CHANGE, _PUT_PART)


async def location_pushed(writer: Writer, forwarded: Forwarded) -> bool:
    """Keep what its receiver has taken; False where nothing was done, and a thread has to do it."""
    country_code, party_id, *ids = map(unquote, forwarded.match.ids.values())
    receiver = holder.snapshot.parties.get(forwarded.receiver)
    if (
        (country_code.upper(), party_id.upper()) != forwarded.sender
        or not forwarded.response.is_accepted
        or len(forwarded.body) > LONGEST
        or receiver is None
        or receiver.platform.leaves_out_since is not None
        or not pushers.is_noted(forwarded.sender, "locations")
    ):
        return False
    pushed = Pushed(
        method=forwarded.method,
        owner=forwarded.sender,
        ids=tuple(ids),
        query=dict(parse_qsl(forwarded.query, keep_blank_values=True)),
        body=heads.object_of(forwarded.body) or forwarded.body,
        audience=str(forwarded.receiver),
    )
    try:
        reading = pushed.read(ESSENTIALS[len(ids) - 1])
        owed = {
            "receiver": receiver.platform.id,
            "module": "locations",
            "variant": "",
            "part": outbox.PART_OF.join(ids[1:]).upper(),
        }
        is_kept = await _kept(writer, pushed, reading, owed)
    except OcpiError:
        return False  # The thread tells the log.
    if is_kept:
        forwarded.note(pushed.deviations)
    return is_kept


async def _kept(writer: Writer, pushed: Pushed, reading: Reading, owed: dict[str, Any]) -> bool:
    if pushed.method == "PUT" and len(pushed.ids) == 1:
        return bool(await writer.run(_PUT, Location.as_kept(pushed, reading) | owed))
    names = Location.identity(pushed) | {"audience": pushed.audience}
    found = await writer.run(_FIND, names)
    if not found:
        return False
    version, document, moments = found[0]
    if version is None or not document or len(document) > LONGEST or moments is None:
        return False
    values = _changed(pushed, reading, document, msgspec.json.decode(moments))
    if values is None:
        return False
    # What another one has changed meanwhile is merged on a thread.
    values |= names | owed | {"version": version.decode()}
    return bool(await writer.run(_CHANGE if pushed.method == "PATCH" else _PUT_PART, values))


def _changed(
    pushed: Pushed, reading: Reading, document: bytes, moments: Mapping[str, str]
) -> dict[str, Any] | None:
    """The columns with the change in them; None where something kept goes before it."""
    row = Location(audience=pushed.audience, document=document, moments=moments)
    change = PartChange(pushed, reading)
    merged = change.into(row)
    if merged is None:
        return None
    now = msgspec.convert(merged.more["moments"], Moments)
    if goes_before(row.own_moments, now, change.ahead):
        return None
    return {
        "last_updated": merged.last_updated,
        "document": merged.document,
        "received_at": change.now,
        "deviates": merged.deviates,
        "told_by": "",
        "moments": as_json(now),
    }
