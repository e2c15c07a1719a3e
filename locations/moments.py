"""When each part of a Location was last changed itself (mod_locations, PUT and PATCH Method).

Documents carry the `last_updated` of parents that their parts have raised, and some CPOs do not
raise it (ocpi/ocpi#569): neither tells which of two words on an EVSE is the later one. So beside
each document stand the moments of its parts' own last changes, in UTC. A part without a readable
time has its parent's.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

# By part: "" is the Location, "UID" an EVSE, "UID\x1fID" a Connector.
Moments = dict[str, datetime]
SEPARATOR: Final = "\x1f"
# Behind a parent's name: when its list of parts was last told. An EVSE without one has the
# Location's.
LISTED: Final = "\x1f"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Moments).decode


def as_json(moments: Mapping[str, datetime]) -> str:
    """The moments as the column holds them."""
    return _encode(moments).decode()


def from_json(text: str) -> Moments:
    """Read what `as_json` has written."""
    return _decode(text)


def in_utc(moment: datetime) -> datetime:
    """A time of a Struct: what has no zone is in UTC (types: DateTime)."""
    return moment if moment.tzinfo is UTC else moment.replace(tzinfo=UTC)


def name_of(text: str) -> str:
    """An id as CiStrings compare, without case. JSON in PostgreSQL has no NUL."""
    name = text.upper()
    return name if name.isprintable() else name.replace("\0", "").replace(SEPARATOR, "")


def moments_of(location: Any, last_updated: datetime, ahead: datetime) -> Moments:
    """The moments of a whole Location: its Struct, or what could be read of it.

    It was not made before its latest part, which may be later than itself: its list counts as of
    then, unless that is later than `ahead` and so cannot be right.
    """
    found = {"": last_updated}
    for evse in getattr(location, "evses", None) or ():
        name = name_of(getattr(evse, "uid", None) or "")
        moment = getattr(evse, "last_updated", None)
        of_evse = last_updated if moment is None else in_utc(moment)
        if not name:
            continue
        found.setdefault(name, of_evse)
        for connector in getattr(evse, "connectors", None) or ():
            connector_name = name_of(getattr(connector, "id", None) or "")
            if connector_name:
                moment = getattr(connector, "last_updated", None)
                found.setdefault(
                    f"{name}{SEPARATOR}{connector_name}",
                    of_evse if moment is None else in_utc(moment),
                )
    found[LISTED] = latest(found.values(), ahead)
    return found


def latest(moments: Collection[datetime], ahead: datetime) -> datetime:
    """The latest moment that can be right; if none can, the latest."""
    found = max(moments)
    if found <= ahead:
        return found
    return max((one for one in moments if one <= ahead), default=found)


def last_change(moments: Mapping[str, datetime], now: datetime, ahead: datetime) -> datetime:
    """When anything in a Location last changed, for `date_from`; a time far ahead counts as now."""
    found = max(moment for name, moment in moments.items() if not name.endswith(LISTED))
    return now if found > ahead else found


def goes_before(
    kept: Mapping[str, datetime], sent: Mapping[str, datetime], ahead: datetime
) -> bool:
    """Whether anything kept is newer than in a whole Location that is sent.

    `Location.is_not_newer` asks the same in SQL.
    """
    listed = sent[LISTED]
    return any(sent.get(name, listed) < moment <= ahead for name, moment in kept.items())
