"""The data coverage of a session: which data objects are known, since when, by which message.

SCALE D2.3, 8.4.1.1, 8.4.1.2 and 11.1. Computed when somebody asks, out of what the hub has been
told.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from cdrs.models import Cdr
from flex import extensions
from flex.knowledge import facts
from flex.knowledge.active import Seen
from flex.knowledge.data_objects import DATA_OBJECTS, DataObject, Source, Status, Strength
from flex.knowledge.facts import Facts
from hub.ocpi import heads, lenient, masking
from hub.ocpi.comparison import plain
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from sessions.models import Session
from tariffs.models import Tariff
from tokens.models import Token

_MOST_VALUES: Final = 5
_LONGEST: Final = 120
_STEP: Final = re.compile(r"([a-z_]+)(?:\[(?:(\w+)=(\w+))?\])?", re.ASCII).fullmatch
# What has such a unit is a number, or was not told.
_NUMBERS: Final = frozenset(
    {"W", "A", "V", "kW", "kWh", "s", "percent", "currency/kWh", "currency/h", "W or A per phase"}
)
# Of charging periods the last one counts; of all else every one.
_PERIODS: Final = "charging_periods"


class Known(StrEnum):
    """What can be said of a data object of a session."""

    TOLD = "told"
    BOUNDED = "bounded or guessed"
    NOT_TOLD = "not told"
    NOT_CARRIED = f"not carried by OCPI {VERSION}"
    BY_EXTENSION = f"told by an extension field, not carried by OCPI {VERSION}"
    BY_APP = f"told by the app, not carried by OCPI {VERSION}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a driver's app has told of one object beside OCPI."""

    value: str
    told_at: datetime
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Covered:
    """A data object of one session.

    `value` as text, with `unit` where it has one; `path` is the field ("session.kwh"), `message`
    the correlation id or object that told it, `told_at` when the hub received that; of an extension
    field when it was so, where its teller says that.
    """

    object: DataObject
    known: Known
    value: str = ""
    unit: str = ""
    path: str = ""
    message: str = ""
    told_at: datetime | None = None

    def age(self, now: datetime) -> float | None:
        """In seconds; None where nothing was told."""
        return None if self.told_at is None else (now - self.told_at).total_seconds()


@dataclass(frozen=True, slots=True)
class _Document:
    """Something that was told: the object itself, which message told it, and when."""

    value: Any
    message: str
    told_at: datetime


# Who knows what drivers wish beside OCPI (flex API); by the field's name.
_wishes: list[Callable[[Session], Mapping[str, Wish]]] = []


def wishes_from(read: Callable[[Session], Mapping[str, Wish]]) -> None:
    """Let wishes be read from there; a later call replaces an earlier one."""
    _wishes[:] = [read]


def of(
    session: Session, known: Facts | None = None, *, viewer: PartyId | None = None
) -> list[Covered]:
    """Each data object of 8.4.1.1, 8.4.1.2 and 11.1, in their order.

    `known` are the session's facts, where the caller has them already. `viewer` gets of extension
    fields what it agreed on with who told them; None gets all.
    """
    known = known or facts.of(session)
    told = _documents(session, known)
    wishes: dict[str, Wish] = {}
    for read in _wishes:
        wishes |= read(session)
    beside: dict[str, extensions.Known] = {}
    for each in extensions.known(session, viewer):
        beside.setdefault(each.value.field.data_object, each)
    return [_covered(one, told, beside.get(one.id), wishes.get(one.wish)) for one in DATA_OBJECTS]


def _covered(
    one: DataObject,
    told: Mapping[str, list[_Document]],
    beside: extensions.Known | None,
    wish: Wish | None,
) -> Covered:
    """By the first field that states it, else by an extension field, else by the app.

    Else by the first field that bounds it.
    """
    for is_direct in (True, False):
        for source in one.sources:
            if (source.strength is Strength.DIRECT) is is_direct:
                found = _first(source, told.get(source.place, []))
                if found is not None:
                    value, document = found
                    state = Known.TOLD if is_direct else Known.BOUNDED
                    if one.id == "user_id":
                        value = masking.hint(value)
                    return Covered(
                        one,
                        state,
                        value,
                        _unit(source, document),
                        f"{source.place}.{source.path}",
                        document.message,
                        document.told_at,
                    )
        if is_direct and beside is not None:
            return _by_extension(one, beside)
        if is_direct and wish is not None:
            return Covered(
                one, Known.BY_APP, wish.value, wish.unit, "flex API", "flex API", wish.told_at
            )
    is_carried = one.status in {Status.CARRIED, Status.PARTIAL}
    return Covered(one, Known.NOT_TOLD if is_carried else Known.NOT_CARRIED)


def _by_extension(one: DataObject, told: extensions.Known) -> Covered:
    field = told.value.field
    return Covered(
        one,
        Known.BY_EXTENSION,
        told.value.value[:_LONGEST],
        field.unit,
        f"{field.carrier}.{field.path}",
        f"{told.message}, {told.source}",
        told.observed_at,
    )


def _first(source: Source, documents: list[_Document]) -> tuple[str, _Document] | None:
    for document in documents:
        values = list(_at(document.value, source.path.split(".")))
        if source.path.startswith(_PERIODS):
            values = values[-1:]
        if source.unit in _NUMBERS:
            values = [each for each in values if lenient.number(each) is not None]
        if values:
            return _text(values), document
    return None


def _unit(source: Source, document: _Document) -> str:
    """That of the field; of a limit that of its profile."""
    if source.unit != "W or A per phase":
        return source.unit
    unit = next(_at(document.value, ["charging_profile", "charging_rate_unit"]), "")
    return "A per phase" if unit == "A" else str(unit)


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    """The values at a path (data_objects.Source)."""
    if not path:
        if value is not None and value not in ("", [], {}):
            yield value
        return
    step = _STEP(path[0])
    if step is None or not isinstance(value, dict):
        return
    name, key, wanted = step.groups()
    found = value.get(name)
    if "[" not in path[0]:
        yield from _at(found, path[1:])
        return
    for one in found if isinstance(found, list) else ():
        if key is None or (isinstance(one, dict) and heads.word(one.get(key)) == wanted):
            yield from _at(one, path[1:])


def _text(values: list[Any]) -> str:
    """As a person reads it."""
    found = list(dict.fromkeys(_one(value) for value in values))
    more = f" and {len(found) - _MOST_VALUES} more" if len(found) > _MOST_VALUES else ""
    return (", ".join(found[:_MOST_VALUES]) + more)[:_LONGEST]


def _one(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name} {_one(each)}" for name, each in list(value.items())[:4])
    if isinstance(value, list):
        return ", ".join(_one(each) for each in value[:_MOST_VALUES])
    if isinstance(value, (int, Decimal)) and (number := lenient.number(value)) is not None:
        return f"{number.normalize():f}"
    return heads.text(value)


# --- What was told --------------------------------------------------------------------------------


def _documents(session: Session, known: Facts) -> dict[str, list[_Document]]:
    """By place, those that may hold a value."""
    told: dict[str, list[_Document]] = {
        "session": [_Document(known.document, f"Session {session.session_id}", session.received_at)]
    }
    if known.connector is not None:
        place = heads.text(known.connector.location.get("id"))
        for name in ("location", "evse"):
            value = getattr(known.connector, name)
            told[name] = [_Document(value, f"Location {place}", known.connector.received_at)]
        told["connector"] = [
            _Document(known.connector.document, f"Location {place}", known.connector.received_at)
        ]
    told["tariff"] = list(_tariffs(session, known))
    told["token"] = list(_token(session))
    told["cdr"] = list(_cdr(session))
    if (asked := known.preferences) is not None:
        value = _read(bytes(asked.document))
        told["preferences"] = [_Document(value, asked.correlation_id, asked.received_at)]
    if known.latest is not None:
        seen = known.latest
        told["active profile"] = [_Document(_active(seen), seen.correlation_id, seen.observed_at)]
    return told


def _read(document: bytes) -> Any:
    return plain(document) if document else None


def _active(seen: Seen) -> dict[str, Any]:
    """An ActiveChargingProfile, as the hub has read it."""
    profile = seen.profile
    return {
        "start_date_time": f"{profile.start:%Y-%m-%dT%H:%M:%SZ}",
        "charging_profile": {
            "charging_rate_unit": profile.unit,
            "duration": profile.duration,
            "min_charging_rate": profile.minimum,
            "charging_profile_period": [
                {"start_period": start, "limit": limit} for start, limit in profile.steps
            ],
        },
    }


def _tariffs(session: Session, known: Facts) -> Iterator[_Document]:
    """Those that the periods name, else those of the connector, as the session's eMSP was told."""
    names = {one.tariff_id.upper() for one in known.metered if one.tariff_id}
    if not names and known.connector is not None:
        ids = known.connector.document.get("tariff_ids")
        names = {heads.text(one).upper() for one in (ids if isinstance(ids, list) else ())}
    rows = Tariff.objects.filter(
        owner=str(session.owner),
        object_id__in=names - {""},
        audience__in=("", str(session.emsp)),
    )
    for row in rows.order_by("-audience"):
        if row.document:
            yield _Document(_read(bytes(row.document)), f"Tariff {row.object_id}", row.received_at)


def _token(session: Session) -> Iterator[_Document]:
    if session.token_uid:
        rows = Token.objects.filter(
            owner=str(session.emsp), object_id=session.token_uid.upper(), audience=""
        )
        if session.token_type:
            rows = rows.filter(type=session.token_type.upper())
        for row in rows[:1]:
            yield _Document(_read(bytes(row.document)), "its Token", row.received_at)


def _cdr(session: Session) -> Iterator[_Document]:
    """Where the CDR has the id of its session, as most do."""
    if session.is_over:
        row = Cdr.at(session.owner, session.emsp, session.session_id)
        if row is not None:
            yield _Document(_read(bytes(row.document)), f"CDR {row.object_id}", row.received_at)
