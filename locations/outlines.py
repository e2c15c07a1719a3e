"""What lists and maps need of a Location, read once a change (mod_locations, Location object).

Which fields that a driver asks for are not told, where it is, and how its EVSEs are. Documents are
up to a megabyte long: no page reads all of them. Rows are made by `catch_up`, in bounded steps;
those of Locations that are gone go with `tidy`.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from hub.db import sql
from hub.ocpi import heads, lenient
from locations.models import Location, Outline, StateOfEvses
from locations.objects import PowerType, Status

# Of one step, of a page and of a worker: Locations, and bytes of their documents. 500 take a tenth
# of a second of CPU.
MOST: Final = 500
_MOST_OF_WORKER: Final = 2_000
_MOST_BYTES: Final = 16_000_000
_TABLES: Final = {"locations": Location._meta.db_table, "outlines": Outline._meta.db_table}
_CHANGED: Final = """
    SELECT kept.id, octet_length(kept.document) FROM {locations} AS kept
    LEFT JOIN {outlines} AS seen ON seen.location_id = kept.id
    WHERE seen.location_id IS NULL OR seen.received_at <> kept.received_at
    LIMIT %(most)s
""".format(**_TABLES)  # noqa: S608 - names of our own tables
_GONE: Final = """
    DELETE FROM {outlines} AS seen
    WHERE NOT EXISTS (SELECT FROM {locations} AS kept WHERE kept.id = seen.location_id)
""".format(**_TABLES)  # noqa: S608 - names of our own tables
# The fields of the table beside the key.
_VALUES: Final = tuple(
    field.attname for field in Outline._meta.concrete_fields if not field.primary_key
)
_IN_USE: Final = frozenset({Status.CHARGING, Status.BLOCKED, Status.RESERVED})
_BROKEN: Final = frozenset({Status.INOPERATIVE, Status.OUTOFORDER})


class _Head(msgspec.Struct):
    coordinates: Any = None
    opening_times: Any = None
    energy_mix: Any = None
    evses: Any = None


_head: Final = heads.reader(_Head)


def catch_up(most: int = MOST) -> bool:
    """Read what has changed since, so much of it; whether there may be more."""
    changed = sql.run(_CHANGED, {"most": most})
    chosen: list[int] = []
    size = 0
    for key, length in changed:
        size += length
        if chosen and size > _MOST_BYTES:
            break
        chosen.append(key)
    if not chosen:
        return False
    rows = Location.objects.filter(pk__in=chosen).order_by("pk")
    read = rows.values_list("pk", "received_at", "document")
    Outline.objects.bulk_create(
        [
            Outline(location_id=key, received_at=at, **outline(bytes(document)))
            for key, at, document in read
        ],
        update_conflicts=True,
        unique_fields=["location"],
        update_fields=_VALUES,
    )
    return len(chosen) < len(changed) or len(changed) == most


def bring_up_to_date() -> None:
    """All of it; and nothing of Locations that are gone."""
    while catch_up(_MOST_OF_WORKER):
        pass
    tidy()


def tidy() -> None:
    """Forget Locations that are gone: nothing else looks at their rows."""
    sql.run(_GONE)


def outline(document: bytes) -> dict[str, Any]:
    """The values of the columns of an Outline; what is spelled oddly is not told."""
    head = _head(document or b"{}")
    evses = [one for one in _dicts(head.evses) if one.get("status") != Status.REMOVED]
    connectors = [one for evse in evses for one in _dicts(evse.get("connectors"))]
    latitude, longitude = _point(head.coordinates)
    return {
        "latitude": latitude,
        "longitude": longitude,
        "state": _state([str(evse.get("status")) for evse in evses]),
        "evses": len(evses),
        "lacks_opening_times": not isinstance(head.opening_times, dict),
        "lacks_energy_mix": not isinstance(head.energy_mix, dict),
        "lacks_evses": not evses,
        # An empty list says that there are none.
        "lacks_parking_restrictions": any(
            not isinstance(evse.get("parking_restrictions"), list) for evse in evses
        ),
        "lacks_power": any(not _has_power(one) for one in connectors),
        "lacks_tariff_ids": any(not one.get("tariff_ids") for one in connectors),
    }


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _has_power(connector: dict[str, Any]) -> bool:
    """As told; else of AC by its voltage and current, which for DC "may not" come together."""
    names = ["max_electric_power"]
    if connector.get("power_type") != PowerType.DC:
        names += ["max_voltage", "max_amperage"]
    told = [(lenient.number(connector.get(name)) or 0) > 0 for name in names]
    return told[0] or (len(told) > 1 and all(told[1:]))


def _point(coordinates: Any) -> tuple[float | None, float | None]:
    """In degrees; nothing where one of the two is not told, or is not on the earth."""
    told = coordinates if isinstance(coordinates, dict) else {}
    found = [lenient.number(told.get(name)) for name in ("latitude", "longitude")]
    if any(
        value is None or abs(value) > most for value, most in zip(found, (90, 180), strict=True)
    ):
        return None, None
    latitude, longitude = (float(value) for value in found if value is not None)
    return latitude, longitude


def _state(statuses: list[str]) -> StateOfEvses:
    """The best that a driver finds there."""
    if Status.AVAILABLE in statuses:
        return StateOfEvses.FREE
    if _IN_USE.intersection(statuses):
        return StateOfEvses.IN_USE
    return StateOfEvses.BROKEN if _BROKEN.intersection(statuses) else StateOfEvses.UNKNOWN
