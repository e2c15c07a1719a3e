"""A Location as it was told one eMSP, or everybody: its head, and one EVSE of it (mod_locations).

The document of a large site is a megabyte, and each session there asks for one Connector of it: it
is fetched and read when it has changed, not each time that it is asked for.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from hub.db import sql
from hub.ocpi import heads
from hub.ocpi.comparison import plain
from locations.models import Location

# Locations that a process keeps read. An EVSE's status is a change: those of busy sites come anew.
_MOST: Final = 16
_TABLE: Final = Location._meta.db_table
_NEWEST: Final = f"""
    SELECT id, received_at, last_updated, octet_length(document) FROM {_TABLE}
    WHERE owner = %(owner)s AND object_id = %(object_id)s AND audience IN ('', %(emsp)s)
      AND document <> ''
    ORDER BY audience DESC LIMIT 1
"""  # noqa: S608 - names of ours
_DOCUMENT: Final = f"SELECT document FROM {_TABLE} WHERE id = %(id)s"  # noqa: S608 - names of ours
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Named(msgspec.Struct):
    uid: Any = None


_named: Final = heads.reader(_Named)


class ToldLocation:
    """One that is kept; nobody changes what it returns."""

    def __init__(self, document: bytes, received_at: datetime) -> None:
        fields = _fields(document)
        evses = fields.pop("evses", msgspec.Raw(b"[]"))
        self.received_at = received_at
        # All but its EVSEs.
        self.head: dict[str, Any] = {name: plain(bytes(raw)) for name, raw in fields.items()}
        self._evses: dict[str, msgspec.Raw] = {}
        for raw in _elements(evses) if _begins_with(evses, b"[") else ():
            if _begins_with(raw, b"{"):
                self._evses.setdefault(heads.text(_named(raw).uid).upper(), raw)

    def evse(self, uid: str) -> dict[str, Any] | None:
        """The EVSE of this uid."""
        raw = self._evses.get(uid.upper()) if uid else None
        found = None if raw is None else plain(bytes(raw))
        return found if isinstance(found, dict) else None


def _begins_with(raw: msgspec.Raw, sign: bytes) -> bool:
    return bytes(memoryview(raw)[:1]) == sign


def location_told(owner: str, location_id: str, emsp: str) -> ToldLocation | None:
    """The owner's Location of this id as `emsp` sees it; None where nobody was told of it."""
    asked = {"owner": owner, "object_id": location_id.upper(), "emsp": emsp}
    found = sql.run(_NEWEST, asked) if location_id else []
    return _read(*found[0]) if found else None


@lru_cache(maxsize=_MOST)
def _read(pk: int, received_at: datetime, *_: object) -> ToldLocation | None:
    """Its document, which is another one when its times or its length are."""
    found = sql.run(_DOCUMENT, {"id": pk})
    document = bytes(found[0][0]) if found else b""
    return ToldLocation(document, received_at) if document else None


def connector_in(evse: dict[str, Any] | None, connector_id: str) -> dict[str, Any] | None:
    """The Connector of this id; the EVSE's only one where there is none of it."""
    connectors = [] if evse is None else _objects(evse.get("connectors"))
    named = [one for one in connectors if is_named(one.get("id"), connector_id)]
    if not named and len(connectors) == 1:
        named = connectors
    return named[0] if named else None


def is_named(value: Any, name: str) -> bool:
    """Whether a value is this id, however it is spelled."""
    return bool(name) and heads.text(value).upper() == name.upper()


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
