"""All differences between a JSON text and what the text asks of it (each module's Object tables).

msgspec stops at the first difference, and is fast where there is none: so it is asked first, and
only where it refuses is the plain JSON walked through beside the Struct's shape. The walk is linear
in the size of the body; rules between fields are those of the Struct's own `__post_init__`.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from hub.ocpi import lenient, spelling
from hub.ocpi.datatypes import building, decode, is_json_number
from hub.ocpi.errors import InvalidParameters, NotJson
from hub.ocpi.lenient import Deviation
from hub.ocpi.spelling import Spelling

_LONGEST_EXAMPLE: Final = 60
# What names a driver, signs in his name, or opens something: never shown.
_SECRET: Final = frozenset(
    {"contract_id", "visual_number", "auth_id", "group_id", "token", "response_url"}
    | {"plain_data", "signed_data"}
)
# All other objects with a `uid` are Tokens, or name one.
_UID_IS_PUBLIC: Final = frozenset({"EVSE"})
_FIELD_AT_FAULT: Final = re.compile(r"[a-z_]+").match

_NUMBER_KINDS: Final = (int, Decimal)
_Found = dict[tuple[str, str], str]
# Notes what differs, and gives what is meant; _UNREADABLE for what means nothing.
_Compare = Callable[[Any, _Found], Any]
_UNREADABLE: Final = object()


def deviations_of(body: bytes, expected: type[msgspec.Struct]) -> list[Deviation]:
    """Each difference between a body and the object that it should be, once for a rule and path.

    None for a valid one, which costs no more than reading it. What is not JSON at all is one
    deviation too: whoever must refuse it asks elsewhere.
    """
    try:
        decode(body, expected)
    except NotJson:
        return [Deviation("not-json", _name(expected))]
    except InvalidParameters as error:
        return differences(plain(body), expected) or [
            # msgspec refuses what the walk does not see, such as a text of half a surrogate pair.
            Deviation("other", _name(expected), error.message[:_LONGEST_EXAMPLE])
        ]
    return []


def differences(value: Any, expected: type[msgspec.Struct]) -> list[Deviation]:
    """The same of plain JSON values, as `plain` gives them."""
    found: _Found = {}
    _comparison(expected)(value, found)
    return [Deviation(rule, path, example) for (rule, path), example in found.items()]


def plain(body: bytes) -> Any:
    """The values of a JSON text, whose numbers are int or Decimal; NotJson for what is none."""
    try:
        return _decode_plain(body)
    except msgspec.ValidationError:
        # An integer of thousands of digits: in a field that nobody knows it hurts nobody.
        return json.loads(body, parse_float=Decimal, parse_int=_integer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotJson(f"The body is not valid JSON: {error}") from error


_decode_plain: Final = msgspec.json.Decoder(float_hook=Decimal).decode


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 1000 else Decimal(text)


def _name(expected: type[msgspec.Struct]) -> str:
    """A PATCH is one of its whole object."""
    return expected.__name__.removesuffix("Patch")


@cache
def _comparison(expected: type[msgspec.Struct]) -> _Compare:
    with building:
        shape = inspect.type_info(expected)
    return _compile(shape, _Place(_name(expected)))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the object a value stands, with [] for each index."""

    path: str
    is_secret: bool = False

    def note(self, found: _Found, rule: str, value: Any) -> None:
        if (rule, self.path) not in found:
            found[rule, self.path] = self._example(value)

    def _example(self, value: Any) -> str:
        if isinstance(value, dict):
            return "an object"
        if isinstance(value, list):
            return "a list" if value else "[]"
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if self.is_secret:
            return "•••"
        text = str(value) if isinstance(value, str) or abs(value) < 10**30 else "a huge number"
        cut = text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}…"
        return cut.encode("utf-8", "replace").decode()

    def field(self, name: str, owner: str) -> "_Place":
        is_secret = name in _SECRET or (name == "uid" and owner not in _UID_IS_PUBLIC)
        return _Place(f"{self.path}.{name}", is_secret)

    def item(self) -> "_Place":
        return _Place(f"{self.path}[]", self.is_secret)


def _compile(
    shape: inspect.Type,
    place: _Place,
    text: Spelling = Spelling.STRING,
    pattern: str | None = None,
) -> _Compare:
    match shape:
        case inspect.Metadata(type=inner, extra=extra, extra_json_schema=schema):
            pattern = (schema or {}).get("pattern", pattern)
            return _compile(inner, place, (extra or {}).get(spelling.KEY, text), pattern)
        case inspect.UnionType(types=types):
            return _optional(types, place, text, pattern)
        case inspect.StrType():
            return _text(shape, place, text, shape.pattern or pattern)
        case inspect.EnumType(cls=members):
            return _enum({one.value: one for one in members}, place)
        case inspect.DateTimeType():
            return _date_time(place)
        case inspect.BoolType():
            return _boolean(place)
        case inspect.IntType():
            return _integers(shape, place)
        case inspect.DecimalType():
            return _number(place)
        case inspect.CustomType(cls=kind) if is_json_number(kind):
            return _number(place)
        case inspect.ListType():
            return _items(shape, place, text, pattern)
        case inspect.StructType():
            return _fields(shape, place)
    return lambda value, found: value


def _optional(
    types: tuple[inspect.Type, ...], place: _Place, text: Spelling, pattern: str | None
) -> _Compare:
    """`?` and `*` of the tables: null is nothing to say. Our Structs have no other unions."""
    [inner] = [one for one in types if not isinstance(one, inspect.NoneType) and not _is_unset(one)]
    compare = _compile(inner, place, text, pattern)
    if not any(isinstance(one, inspect.NoneType) for one in types):
        return compare
    needs_fields = isinstance(inner, inspect.StructType) and any(
        one.required for one in inner.fields
    )

    def compare_optional(value: Any, found: _Found) -> Any:
        if value is None:
            return None
        if value == {} and needs_fields:
            found.setdefault(("empty-value", place.path), "{}")
            return None
        return compare(value, found)

    return compare_optional


def _is_unset(shape: inspect.Type) -> bool:
    return isinstance(shape, inspect.CustomType) and shape.cls is msgspec.UnsetType


def _wrong(value: Any, place: _Place, found: _Found) -> Any:
    place.note(found, "null" if value is None else "wrong-kind", value)
    return _UNREADABLE


def _text(shape: inspect.StrType, place: _Place, text: Spelling, pattern: str | None) -> _Compare:
    is_cistring = text is Spelling.CISTRING  # Its pattern is what the spelling says already.
    matches = re.compile(pattern).fullmatch if pattern and not is_cistring else None
    shortest, longest = shape.min_length or 0, shape.max_length

    def compare(value: Any, found: _Found) -> Any:
        if type(value) in _NUMBER_KINDS:
            place.note(found, "text-as-number", value)
            value = str(value)
        if type(value) is not str:
            return _wrong(value, place, found)
        if not value and (shortest or matches):
            place.note(found, "empty-value", '""')
            return _UNREADABLE
        if longest is not None and len(value) > longest:
            place.note(found, "too-long", value)
        elif len(value) < shortest:
            place.note(found, "too-short", value)
        elif matches and not matches(value):
            place.note(found, "format", value)
            return _UNREADABLE
        if is_cistring and not value.isascii():
            place.note(found, "not-ascii", value)
        if not spelling.is_printable(value):
            place.note(found, "unprintable", value)
        return value

    return compare


def _enum(members: dict[Any, Any], place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not str:
            return _wrong(value, place, found)
        if value not in members:
            place.note(found, "unknown-enum-value" if value else "empty-value", value or '""')
        return members.get(value, value)

    return compare


def _date_time(place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not str:
            return _wrong(value, place, found)
        moment = lenient.moment(value)
        if moment is None:
            place.note(found, "format" if value else "empty-value", value or '""')
            return _UNREADABLE
        if not spelling.is_date_time(value):
            place.note(found, "date-time", value)
        return moment

    return compare


def _boolean(place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        return value if type(value) is bool else _wrong(value, place, found)

    return compare


def _integers(shape: inspect.IntType, place: _Place) -> _Compare:
    least, most = shape.ge, shape.le

    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not int:
            whole = lenient.whole_number(value)
            if whole is None:
                if type(value) is Decimal:
                    place.note(found, "fraction", value)
                    return _UNREADABLE
                return _wrong(value, place, found)
            place.note(found, "number-as-text" if type(value) is str else "whole-number", value)
            value = whole
        if not -(2**63) <= value < 2**64 or (
            (least is not None and value < least) or (most is not None and value > most)
        ):
            place.note(found, "out-of-range", value)
        return value

    return compare


def _number(place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        meant = lenient.number(value)
        if meant is None:
            if type(value) in _NUMBER_KINDS:
                place.note(found, "out-of-range", "a huge number")
                return _UNREADABLE
            return _wrong(value, place, found)
        if type(value) is str:
            place.note(found, "number-as-text", value)
        return meant

    return compare


def _items(shape: inspect.ListType, place: _Place, text: Spelling, pattern: str | None) -> _Compare:
    compare = _compile(shape.item_type, place.item(), text, pattern)
    is_filled = bool(shape.min_length)

    def compare_items(values: Any, found: _Found) -> Any:
        if type(values) is not list:
            return _wrong(values, place, found)
        if is_filled and not values:
            place.note(found, "empty-list", values)
        meant = (compare(value, found) for value in values)
        return [one for one in meant if one is not _UNREADABLE]

    return compare_items


class _Unreadable(AttributeError):
    """A rule between fields asks for one that was not sent, or that means nothing."""


class _Meant:
    """The fields of an object as far as they can be read: enough for its own rules."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise _Unreadable(name)


def _fields(shape: inspect.StructType, place: _Place) -> _Compare:
    owner = shape.cls.__name__.removesuffix("Patch")
    known = [(one, place.field(one.encode_name, owner)) for one in shape.fields]
    compares = [
        (one.encode_name, one.required, one.default, inner, _compile(one.type, inner))
        for one, inner in known
    ]
    check = getattr(shape.cls, "__post_init__", None)

    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not dict:
            return _wrong(value, place, found)
        meant = {}
        for name, is_required, default, inner, compare_field in compares:
            if name in value:
                one = compare_field(value[name], found)
                if one is not _UNREADABLE:
                    meant[name] = one
            elif is_required:
                found.setdefault(("missing", inner.path), "")
            else:
                meant[name] = default
        whole = _Meant(meant)
        if check is not None:
            _judge(check, whole, place, found)
        return whole

    return compare


def _judge(check: Callable[[Any], None], whole: _Meant, place: _Place, found: _Found) -> None:
    """A rule's message begins with the field at fault, where there is one."""
    try:
        check(whole)
    except _Unreadable:
        return  # Which is noted already.
    except ValueError as error:
        message = str(error)
        first = _FIELD_AT_FAULT(message)
        path = place.path
        if first is not None and first[0] in vars(whole):
            path = f"{path}.{first[0]}"
        if all(known != path for _, known in found):
            found["cross-field", path] = message
