"""Documents made from the specification's property tables: right ones, and each with one fault."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from hub.ocpi.comparison import deviations_of, differences, plain
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import InvalidParameters
from tests.cases import case
from tests.spec_enums import ENUMS
from tests.spec_tables import TABLES

EXAMPLES = Path(__file__).parent / "data" / "ocpi"
MOMENT = "2019-06-24T12:39:09Z"
# Where the text asks for more than type and length.
VALUES: dict[str, Any] = {
    "country_code": "NL",
    "party_id": "TNM",
    "country": "NLD",
    "currency": "EUR",
    "language": "en",
    "latitude": "-50.770774",
    "longitude": "-126.10496",
    "weekday": 7,
    "width": 99999,
    "height": 99999,
    "start_time": "13:30",
    "end_time": "19:45",
    "start_date": "2015-12-24",
    "end_date": "2015-12-27",
    "RegularHours.period_begin": "08:00",
    "RegularHours.period_end": "20:00",
    # Conditions between fields.
    "Location.publish": False,
    "Hours.twentyfourseven": False,
    "PriceComponent.type": "FLAT",
    "CdrDimension.type": "ENERGY",
}
MINIMAL: dict[str, Any] = {"Hours": {"twentyfourseven": True}, "CDR": {"id": "x" * 36}}


class Property(NamedTuple):
    """One line of a table."""

    name: str
    type: str
    card: str

    @property
    def length(self) -> int | None:
        """The longest that a text may be."""
        if self.type == "URL":
            return 255
        found = re.fullmatch(r"(?:CiString|string)\((\d+)\)", self.type)
        return int(found[1]) if found else None


def properties(name: str) -> list[Property]:
    return [Property(*line.split()) for line in TABLES[name].strip().splitlines()]


def document(name: str, *, is_full: bool = True) -> dict[str, Any]:
    """A valid object: every field at its longest, or only the required ones."""
    return {
        each.name: _value(name, each) for each in properties(name) if is_full or each.card in "1+"
    }


def _value(owner: str, field: Property) -> Any:
    special = VALUES.get(f"{owner}.{field.name}", VALUES.get(field.name))
    one = _one(field) if special is None else special
    return [one] if field.card in "*+" else one


def _one(field: Property) -> Any:
    if field.type in TABLES:
        return document(field.type)
    if field.type in ENUMS:
        return ENUMS[field.type].split()[0]
    if field.length:
        return "x" * field.length
    return {"boolean": True, "DateTime": MOMENT, "number": 1.5}.get(field.type, 1)


def _unfit(field: Property) -> Iterator[tuple[str, Any]]:
    """Values that the field must not have."""
    if field.type in TABLES:
        yield "a text", "x"
    elif field.type in ENUMS:
        yield from (
            ("no such value", "NO_SUCH"),
            ("in lower case", ENUMS[field.type].split()[0].lower()),
        )
    elif field.length:
        yield from (("a number", 12), ("too long", "x" * (field.length + 1)))
        yield from (("a line break", "a\nb"), ("a tab", "a\tb"), ("DEL", "a\x7fb"))
        if field.type.startswith("CiString"):
            yield "not ASCII", "ü" * min(field.length, 3)
    elif field.type == "DateTime":
        yield from (("a number", 1561379949), ("no time", "yesterday"))
        yield from (
            ("no such day", "2019-02-30T12:39:09Z"),
            ("an offset", "2019-06-24T12:39:09+02:00"),
        )
        yield from (("+00:00", "2019-06-24T12:39:09+00:00"), ("a space", "2019-06-24 12:39:09Z"))
    elif field.type == "boolean":
        yield from (("a text", "true"), ("a number", 1))
    elif field.type == "number":
        yield from (("a text", "1.5"), ("NaN", "NaN"), ("a boolean", True), ("huge", 10**2000))
    else:
        yield from (("a text", "1"), ("a fraction", 1.5), ("a boolean", True))


class Fault(NamedTuple):
    """One fault, and how the refusal must name its field."""

    changes: dict[str, Any]
    missing: str | None
    named: str
    field: str


def _faults_of(field: Property, is_patch: bool) -> Iterator[tuple[str, Fault]]:
    name = field.name
    at = f"`$.{name}"
    is_required = field.card in "1+"
    if is_required and (not is_patch or name == "last_updated"):
        yield f"{name} missing", Fault({}, name, f"`{name}`", name)
    if is_required:
        yield f"{name} null", Fault({name: None}, None, at, name)
    if field.card == "+":
        yield f"{name} empty", Fault({name: []}, None, at, name)
    if field.card in "*+":
        yield f"{name} no list", Fault({name: {}}, None, at, name)
    for what, value in _unfit(field):
        if field.card in "*+":
            yield f"{name}[0] {what}", Fault({name: [value]}, None, f"{at}[0]", name)
        else:
            yield f"{name} {what}", Fault({name: value}, None, at, name)


def refused(body: bytes, expected: type[Any]) -> str:
    """The message of the refusal, 2001."""
    with pytest.raises(InvalidParameters) as refusal:
        decode(body, expected)
    return refusal.value.message


def as_body(value: Any) -> bytes:
    return msgspec.json.encode(value) if _fits(value) else json.dumps(value).encode()


def _fits(value: Any) -> bool:
    return not any(isinstance(each, int) and each > 2**63 for each in value.values())


def check_right(name: str, expected: type[Any]) -> None:
    """Full, minimal, and with null or an unknown field where the text allows it; no deviation."""
    full, minimal = document(name), document(name, is_full=False)
    nulls = {each.name: None for each in properties(name) if each.card in "?*"}
    for right in (full, full | {"x_vendor": {"deep": [1.10]}, "x_text": "a\nb"}):
        read = decode(as_body(right), expected)
        assert all(getattr(read, each.name) is not None for each in properties(name))
        assert not differences(plain(as_body(right)), expected)
    if name == "PublishTokenType":
        return  # None of its fields is required, but at least one of three is.
    minimal |= MINIMAL.get(name, {})
    for right in (minimal, minimal | nulls):
        read = decode(as_body(right), expected)
        assert all(getattr(read, each) is None for each in nulls)
        assert not differences(plain(as_body(right)), expected)


def check_faults(name: str, expected: type[Any], *, is_patch: bool = False) -> None:
    """Every fault of the table's fields, one by one."""
    for field in properties(name):
        for what, fault in _faults_of(field, is_patch):
            with case(what):
                _check_fault(name, fault, expected)


def _check_fault(name: str, fault: Fault, expected: type[Any]) -> None:
    """It is refused with a message that names the field, and it alone deviates."""
    wrong = document(name) | fault.changes
    if fault.missing:
        del wrong[fault.missing]
    message = refused(as_body(wrong), expected)
    # A rule that the object itself checks begins with the field; the path leads to the object.
    assert fault.named in message or message.startswith(f"{fault.field} ")
    paths = {one.path.removesuffix("[]") for one in deviations_of(as_body(wrong), expected)}
    assert paths == {f"{name}.{fault.field}"}


def check_enum(name: str, enum: Any) -> None:
    assert sorted(each.value for each in enum) == sorted(ENUMS[name].split())
