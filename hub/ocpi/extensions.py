"""Extension fields: what OCPI has no field for, between parties that agreed on it.

The gaps of SCALE D2.3, 8.4.1.2 (and those of 8.4.1.1 and 11.1), by the names and units of one
table. A field of it is carried only where both parties agreed (docs/decisions/0043). Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from hub.ocpi import heads, lenient
from hub.ocpi.comparison import plain
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import NotJson
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import OBJECTS, Match

# The word on a pair of parties that opens the fields (hub.models.Agreement); no module's name.
AGREED_AS: Final = "extension fields"
CAPABLE: Final = "DISCHARGE_CAPABLE"
# A group of fields that is longer is not kept.
LONGEST: Final = 10_000  # bytes
Raw = msgspec.Raw
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode


class Carrier(StrEnum):
    """The object of OCPI that carries a field."""

    SESSION = "Session"
    PREFERENCES = "ChargingPreferences"
    LOCATION = "Location"
    EVSE = "EVSE"
    TARIFF = "Tariff"


def _percent(value: Any) -> str | None:
    found = lenient.number(value)
    return None if found is None or not 0 <= found <= 100 else _plain(found)


def _positive(value: Any) -> str | None:
    found = lenient.number(value)
    return None if found is None or not 0 <= found <= _MOST else _plain(found)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _limit(value: Any) -> str | None:
    """A number; or a list of {start_date_time, limit}, of which none may be unreadable."""
    if not isinstance(value, list):
        return _positive(value)
    steps = []
    for one in value:
        told = one if isinstance(one, dict) else {}
        start, limit = lenient.moment(told.get("start_date_time")), _positive(told.get("limit"))
        if start is None or limit is None:
            return None
        steps.append(f"{limit} from {start:%Y-%m-%dT%H:%M:%SZ}")
    return ", ".join(steps) or None


def _volts(value: Any) -> str | None:
    """Of each phase; one number stands for one phase."""
    found = [_positive(one) for one in (value if isinstance(value, list) else [value])]
    return ", ".join(one for one in found if one) if found and all(found) else None


def _text(value: Any) -> str | None:
    found = heads.text(value, 36) if isinstance(value, str) else ""
    return found or None


def _duration(value: Any) -> str | None:
    found = _text(value)
    return found if found is not None and _DURATION(found) else None


def _price(value: Any) -> str | None:
    found = lenient.number(value)
    return None if found is None or abs(found) > _MOST else _plain(found)


def _range(value: Any) -> str | None:
    """{"min": kWh, "max": kWh}, of which one may be left out; below 0 it is discharged."""
    told = value if isinstance(value, dict) else {}
    ends = {name: _price(told[name]) for name in ("min", "max") if name in told}
    if not ends or not all(ends.values()):
        return None
    return " ".join(f"{name} {end}" for name, end in ends.items())


def _feed_in(value: Any) -> str | None:
    """TariffElements: the prices of energy that is fed in."""
    found: list[str] = []
    for element in value if isinstance(value, list) else ():
        components = element.get("price_components") if isinstance(element, dict) else None
        for one in components if isinstance(components, list) else ():
            told = one if isinstance(one, dict) else {}
            price = _price(told.get("price"))
            if price is None:
                return None
            found += [price] if heads.word(told.get("type")) == "ENERGY" else []
    return ", ".join(found) or None


def _is_capable(value: Any) -> str | None:
    return "yes" if value == [CAPABLE] else None


_MOST: Final = 10**12
_DURATION: Final = re.compile(
    r"P(?=.)(\d{1,4}Y)?(\d{1,4}M)?(\d{1,4}W)?(\d{1,4}D)?"
    r"(T(?=\d)(\d{1,5}H)?(\d{1,6}M)?(\d{1,8}S)?)?",
    re.ASCII,
).fullmatch


@dataclass(frozen=True, slots=True)
class Field:
    """One field: who carries it and where, the data object it tells, and how it is read.

    `bound` is the side from which it bounds the data object; "" where it bounds nothing.
    """

    carrier: Carrier
    path: str
    data_object: str
    unit: str
    read: Callable[[Any], str | None]
    bound: str = ""

    @property
    def name(self) -> str:
        """The field of the carrier itself, which is given and taken as a whole."""
        return self.path.partition(".")[0]


_S, _P, _L = Carrier.SESSION, Carrier.PREFERENCES, Carrier.LOCATION
_EV: Final = "ev_constraints"
# docs/flexibility.md has the same table; a test holds them equal.
FIELDS: Final = (
    Field(_S, f"{_EV}.max_charge_power", "ev_max_charging_power", "W", _positive, "upper"),
    Field(_S, f"{_EV}.min_charge_power", "ev_min_charging_power", "W", _positive, "lower"),
    Field(_S, f"{_EV}.max_discharge_power", "ev_max_discharging_power", "W", _positive, "upper"),
    Field(_S, f"{_EV}.min_discharge_power", "ev_min_discharging_power", "W", _positive, "lower"),
    Field(_S, f"{_EV}.round_trip_efficiency", "round_trip_efficiency", "percent", _percent),
    Field(_S, f"{_EV}.present_soc", "ev_present_soc", "percent", _percent, "estimate"),
    Field(_S, f"{_EV}.min_energy_request", "ev_min_energy_request", "kWh", _positive, "estimate"),
    Field(_S, f"{_EV}.max_energy_request", "ev_max_energy_request", "kWh", _positive, "estimate"),
    Field(_S, f"{_EV}.v2x_energy_bounds", "v2x_warranty_constraints", "kWh", _range),
    Field(_S, f"{_EV}.remaining_v2x_energy", "v2x_state_of_health", "kWh", _positive, "estimate"),
    Field(_S, f"{_EV}.min_soc", "minimum_soc", "percent", _percent),
    Field(_S, f"{_EV}.target_soc", "target_soc", "percent", _percent),
    Field(_S, f"{_EV}.max_soc", "maximum_soc", "percent", _percent),
    Field(_P, "minimum_soc", "minimum_soc", "percent", _percent),
    Field(_P, "target_soc", "target_soc", "percent", _percent),
    Field(_P, "maximum_soc", "maximum_soc", "percent", _percent),
    Field(_P, "minimum_green_level", "minimum_green_level", "percent", _percent),
    Field(_L, "site_power_limit", "grid_connection_capacity", "W", _limit),
    Field(_L, "contracted_power", "contracted_power", "W", _positive),
    Field(_L, "site_meter.power", "active_grid_power", "W", _price),
    Field(_L, "site_meter.frequency", "local_frequency", "Hz", _positive),
    Field(_L, "site_meter.voltage", "local_voltage", "V", _volts),
    Field(_L, "capacity_tariff.price", "capacity_tariff", "currency/kW per period", _price),
    Field(_L, "capacity_tariff.period", "capacity_period", "ISO 8601 duration", _duration),
    Field(_L, "capacity_tariff.measured_peak", "highest_measured_peak", "W", _positive),
    Field(_L, "grid_connection_id", "site_ean", "", _text),
    Field(_L, "bsp_id", "bsp_id", "", _text),
    Field(_L, "brp_id", "brp_id", "", _text),
    Field(Carrier.EVSE, "capabilities", "discharging_capable", "", _is_capable),
    Field(Carrier.TARIFF, "feed_in_elements", "feed_in_tariff", "currency/kWh", _feed_in),
)
# They tell a value of a list of OCPI's: a list without it takes it back.
WITH_CAPABILITIES: Final = frozenset({_L, Carrier.EVSE})
# Beside the values of an object: from where they come, and when they were so.
ABOUT: Final = frozenset({"source", "sources", "observed_at", "measured_at", "currency"})
_NAMES: Final[dict[Carrier, frozenset[str]]] = {
    carrier: frozenset(one.name for one in FIELDS if one.carrier is carrier) for carrier in Carrier
}
# A body without any of these has no extension field in it; nor does one without an escape of an
# ASCII letter or underscore, which no encoder writes.
_MARKS: Final[dict[Carrier, tuple[bytes, ...]]] = {
    Carrier.SESSION: (_EV.encode(),),
    Carrier.PREFERENCES: (b"_soc", b"minimum_green_level"),
    Carrier.LOCATION: (*(name.encode() for name in sorted(_NAMES[_L])), CAPABLE.encode()),
    Carrier.EVSE: (CAPABLE.encode(),),
    Carrier.TARIFF: (b"feed_in_elements",),
}
_ESCAPED: Final = re.compile(rb"\\u00[4-7]").search
# By module: its own object, where that carries some.
_CARRIERS: Final = {
    module: Carrier(name) for module, name in OBJECTS.items() if name in set(_MARKS)
}


def may_hold(carrier: Carrier, body: bytes) -> bool:
    """Whether a body has to be looked through; a few looks at its bytes."""
    for mark in _MARKS[carrier]:
        if mark in body:
            return True
    return b"\\" in body and _ESCAPED(body) is not None


def carrier_of(place: Match, *, is_answer: bool = False) -> Carrier | None:
    """What object the body of a message, or of its answer, is; None where it carries no field."""
    found = _CARRIERS.get(place.module)
    if found is Carrier.SESSION and place.role == InterfaceRole.SENDER and not is_answer:
        return Carrier.PREFERENCES
    if found is Carrier.LOCATION and "evse_uid" in place.ids:
        return None if "connector_id" in place.ids else Carrier.EVSE
    return found


def carrier_listed(module: str) -> Carrier | None:
    """What the objects of a module's lists are."""
    return _CARRIERS.get(module)


# --- Taken apart ----------------------------------------------------------------------------------


class Told(NamedTuple):
    """One field as it was sent: `part` is the EVSE of a Location that carries it, else ""."""

    carrier: Carrier
    name: str
    raw: bytes
    part: str = ""


class Apart(msgspec.Struct, frozen=True, eq=False):
    """A body as it came, what of it OCPI has, and the extension fields that were in it."""

    whole: bytes
    plain: bytes
    told: tuple[Told, ...]


def apart(carrier: Carrier, body: bytes) -> Apart | None:
    """The body of a message in two; None where no extension field is in it.

    What is left keeps the bytes of each value. The body is JSON, or nothing is found; NotJson
    where it is nested deeper than anybody reads.
    """
    if not may_hold(carrier, body):
        return None
    told: list[Told] = []
    try:
        plain_body = _without(carrier, body, told)
    except RecursionError as error:
        raise NotJson("The JSON is nested too deep.") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Apart(body, plain_body, tuple(told)) if told else None


def without(carrier: Carrier, body: bytes) -> bytes:
    """What OCPI has of it."""
    found = apart(carrier, body)
    return body if found is None else found.plain


def answer_without(carrier: Carrier, body: bytes) -> bytes:
    """An answer with what OCPI has of its `data`; what nobody can read stays as it came."""
    if not may_hold(carrier, body):
        return body
    try:
        envelope = _fields(body)
        data = envelope.get("data")
        found = None if data is None else apart(carrier, bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NotJson):
        return body
    if found is None:
        return body
    return msgspec.json.encode(envelope | {"data": Raw(found.plain)})


def together(document: bytes, told: Mapping[str, bytes]) -> bytes:
    """A document of OCPI's with the fields of one carrier in it."""
    try:
        fields = _fields(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return document
    return msgspec.json.encode(fields | {name: Raw(raw) for name, raw in told.items()})


def _without(carrier: Carrier, body: bytes, told: list[Told]) -> bytes:
    """Of an object, or of each object of a list; a list in a list is nothing of OCPI's."""
    start = body.lstrip()[:1]
    if start == b"{":
        return _object_without(carrier, body, told)
    if start != b"[":
        return body
    items = [bytes(one) for one in _list(body)]
    plains = [
        _object_without(carrier, one, told) if one.lstrip()[:1] == b"{" else one for one in items
    ]
    return body if plains == items else b"[" + b",".join(plains) + b"]"


def _object_without(carrier: Carrier, body: bytes, told: list[Told]) -> bytes:
    fields = _fields(body)
    kept = dict(fields)
    for name in _NAMES[carrier] & fields.keys():
        if carrier is Carrier.EVSE:
            _take_capability(kept, told)
        else:
            told.append(Told(carrier, name, bytes(kept.pop(name))))
    if carrier is Carrier.LOCATION and "evses" in kept:
        evses = bytes(kept["evses"])
        if may_hold(Carrier.EVSE, evses):
            kept["evses"] = Raw(_without(Carrier.EVSE, evses, told))
    return body if kept == fields else msgspec.json.encode(kept)


def _take_capability(evse: dict[str, Raw], told: list[Told]) -> None:
    """A value of a list that has others, which stay."""
    values = plain(bytes(evse["capabilities"]))
    if not isinstance(values, list) or CAPABLE not in values:
        return
    left = [one for one in _list(bytes(evse["capabilities"])) if plain(bytes(one)) != CAPABLE]
    evse["capabilities"] = Raw(b"[" + b",".join(map(bytes, left)) + b"]")
    uid = heads.text(plain(bytes(evse["uid"]))) if "uid" in evse else ""
    told.append(Told(Carrier.EVSE, "capabilities", f'["{CAPABLE}"]'.encode(), uid))


# --- Read -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """What a field tells: as text, with whom or what it comes from, and when it was so."""

    field: Field
    value: str
    source: str = ""
    observed_at: datetime | None = None

    @property
    def number(self) -> Decimal | None:
        """The value where it is one number."""
        return lenient.number(self.value)


def values(told: Told) -> list[Value]:
    """All that can be read of it."""
    return [one for one in _read(told) if isinstance(one, Value)]


def malformed(told: Sequence[Told]) -> list[Deviation]:
    """What of it cannot be read, or nobody knows: it costs its sender that value alone."""
    return [one for each in told for one in _read(each) if isinstance(one, Deviation)]


def _read(told: Told) -> Iterator[Value | Deviation]:
    if len(told.raw) > LONGEST:
        yield Deviation("too-long", f"{told.carrier}.{told.name}", f"{len(told.raw)} bytes")
        return
    value = plain(told.raw)
    if value is None:
        return  # It is taken back.
    fields = [one for one in FIELDS if (one.carrier, one.name) == (told.carrier, told.name)]
    if "." not in fields[0].path:
        yield _one(fields[0], value, {})
        return
    if not isinstance(value, dict):
        yield Deviation("wrong-kind", f"{told.carrier}.{told.name}")
        return
    about = {name: value[name] for name in ABOUT & value.keys()}
    known = {one.path.rpartition(".")[2]: one for one in fields}
    for name, each in value.items():
        if name in known and each is not None:
            yield _one(known[name], each, about)
        elif name not in known and name not in ABOUT:
            yield Deviation("unknown-extension-field", f"{told.carrier}.{told.name}.{name}"[:200])


def _one(field: Field, value: Any, about: Mapping[str, Any]) -> Value | Deviation:
    found = field.read(value)
    if found is None:
        return Deviation("extension-value", f"{field.carrier}.{field.path}", heads.text(value, 40))
    named = about.get("sources")
    leaf = field.path.rpartition(".")[2]
    source = heads.text(named.get(leaf)) if isinstance(named, dict) else ""
    moment = lenient.moment(about.get("observed_at") or about.get("measured_at"))
    return Value(
        field,
        found[:LONGEST],
        source or heads.text(about.get("source")),
        None if moment is None else lenient.clamped(moment),
    )
