"""All differences between a JSON text and what the text asks of it (each module's Object tables).

msgspec stops at the first difference, and is fast where there is none: so it is asked first, and
only where it refuses is the plain JSON walked through beside the Struct's shape. The walk is linear
in the size of the body; rules between fields are those of the Struct's own `__post_init__`.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from hub.ocpi import lenient, spelling
from hub.ocpi.datatypes import building, decode, is_json_number
from hub.ocpi.errors import InvalidParameters, NotJson
from hub.ocpi.lenient import Deviation
from hub.ocpi.not_json import mistake
from hub.ocpi.spelling import Spelling

_LONGEST_EXAMPLE: Final = 60  # characters
# Fields that name a driver, sign in a driver's name, or open something: never shown.
_SECRET: Final = frozenset(
    {"contract_id", "visual_number", "auth_id", "group_id", "token", "response_url"}
    | {"plain_data", "signed_data"}
)
# All other objects with a `uid` are Tokens, or name one.
_UID_IS_PUBLIC: Final = frozenset({"EVSE"})
_FIELD_AT_FAULT: Final = re.compile(r"[a-z_]+").match
_NUMBER_KINDS: Final = (int, Decimal)
_HUGE: Final = 10**30
_DATE_TIME: Final = "a DateTime in UTC such as 2015-06-29T20:39:09Z"


class Difference(NamedTuple):
    """A deviation, the first place of its kind (`$.evses[3].uid`), and what is expected there."""

    deviation: Deviation
    place: str
    expected: str

    def __str__(self) -> str:
        """As msgspec says it: "Expected .., got .. - at `$.evses[3].uid`"."""
        rule, example = self.deviation.rule, self.deviation.example
        if rule == "missing":
            parent, _, name = self.place.rpartition(".")
            return f"Object missing required field `{name}` - at `{parent}`"
        if rule == "cross-field":
            return f"{example} - at `{self.place}`"
        return f"Expected {self.expected}, got {example} ({rule}) - at `{self.place}`"


class Comparison(NamedTuple):
    """What a body means, as far as it can be read, and where it differs.

    The fields of `meant` are attributes; one that was not sent has its default, one that cannot be
    read has none: `getattr(meant, name, None)`. Times are in UTC, numbers int or Decimal.
    """

    meant: Any
    differences: list[Difference]


def deviations_of(body: bytes, expected: type[msgspec.Struct]) -> list[Deviation]:
    """Each difference between a body and the object that it should be, once for a rule and path.

    None for a valid one, which costs no more than reading it. What is not JSON at all is one
    deviation too; a caller that must refuse it checks that itself.
    """
    try:
        decode(body, expected)
    except NotJson:
        return [Deviation("not-json", _name(expected))]
    except InvalidParameters as error:
        return [one.deviation for one in compared(body, expected, str(error)).differences]
    return []


def compared(body: bytes, expected: type[msgspec.Struct], refusal: str) -> Comparison:
    """The comparison of a body that msgspec refuses for the reason `refusal`; NotJson."""
    found: _Found = {}
    meant = _comparison(expected)(plain(body), found)
    differences = [
        Difference(Deviation(rule, path, seen.example), seen.place(path), seen.expected)
        for (rule, path), seen in found.items()
    ]
    if not differences:  # It sees what the walk does not.
        deviation = Deviation("other", _name(expected), refusal[:_LONGEST_EXAMPLE])
        differences.append(Difference(deviation, "$", "what the text says"))
    return Comparison(meant, differences)


def differences(value: Any, expected: type[msgspec.Struct]) -> list[Deviation]:
    """The deviations of plain JSON values, as `plain` gives them."""
    found: _Found = {}
    _comparison(expected)(value, found)
    return [Deviation(rule, path, seen.example) for (rule, path), seen in found.items()]


def plain(body: "bytes | msgspec.Raw") -> Any:
    """The values of a JSON text, whose numbers are int or Decimal; NotJson for anything else."""
    try:
        try:
            return _decode_plain(body)
        except msgspec.ValidationError:
            # An integer of thousands of digits: in an unknown field it does no harm.
            return json.loads(bytes(body), parse_float=lenient.decimal, parse_int=_integer)
    # Either reader tells of bytes that are not UTF-8 by a ValueError of Python's own.
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NotJson(f"The body is not valid JSON: {mistake(body) or error}") from error


_decode_plain: Final = msgspec.json.Decoder(float_hook=lenient.decimal).decode


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 1000 else Decimal(text)


def _name(expected: type[msgspec.Struct]) -> str:
    """A PATCH is one of its whole object."""
    return expected.__name__.removesuffix("Patch")


# --- The walk -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """The first value that breaks a rule at a path; its indices, the innermost first."""

    example: str
    expected: str
    indices: list[int] = field(default_factory=list)

    def place(self, path: str) -> str:
        indices = iter(reversed(self.indices))
        name = path.partition(".")[0]
        return "$" + re.sub(r"\[\]", lambda _: f"[{next(indices)}]", path[len(name) :])


_Found = dict[tuple[str, str], _Seen]
# Notes what differs, and gives what is meant; _UNREADABLE for what means nothing.
_Compare = Callable[[Any, _Found], Any]
_UNREADABLE: Final = object()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the object a value stands, with [] for each index."""

    path: str
    is_secret: bool = False

    def note(self, found: _Found, rule: str, value: Any, expected: str) -> None:
        if (rule, self.path) not in found:
            found[rule, self.path] = _Seen(self._example(value), expected)

    def wrong(self, found: _Found, value: Any, expected: str) -> Any:
        """Note a value of another JSON kind, which means nothing."""
        self.note(found, "null" if value is None else "wrong-kind", value, expected)
        return _UNREADABLE

    def empty(self, found: _Found, example: str) -> None:
        found.setdefault(
            ("empty-value", self.path), _Seen(example, "a value, or the field to be left out")
        )

    def _example(self, value: Any) -> str:
        if isinstance(value, dict):
            return "an object"
        if isinstance(value, list):
            return "a list" if value else "[]"
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if self.is_secret:
            return "•••"
        text = str(value) if isinstance(value, str) or abs(value) < _HUGE else "a huge number"
        cut = text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}…"
        return cut.encode("utf-8", "replace").decode()

    def field(self, name: str, owner: str) -> "_Place":
        is_secret = name in _SECRET or (name == "uid" and owner not in _UID_IS_PUBLIC)
        return _Place(f"{self.path}.{name}", is_secret)

    def item(self) -> "_Place":
        return _Place(f"{self.path}[]", self.is_secret)


@cache
def _comparison(expected: type[msgspec.Struct]) -> _Compare:
    with building:
        shape = inspect.type_info(expected)
    return _compile(shape, _Place(_name(expected)))


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
            place.empty(found, "{}")
            return None
        return compare(value, found)

    return compare_optional


def _is_unset(shape: inspect.Type) -> bool:
    return isinstance(shape, inspect.CustomType) and shape.cls is msgspec.UnsetType


def _text(shape: inspect.StrType, place: _Place, text: Spelling, pattern: str | None) -> _Compare:
    is_cistring = text is Spelling.CISTRING  # Its spelling has checked the pattern already.
    pattern = None if is_cistring else pattern
    matches = re.compile(pattern).fullmatch if pattern else None
    shortest, longest = shape.min_length or 0, shape.max_length

    def compare(value: Any, found: _Found) -> Any:
        if type(value) in _NUMBER_KINDS:
            place.note(found, "text-as-number", value, "a text in quotes")
            value = str(Decimal(value))
        if type(value) is not str:
            return place.wrong(found, value, "a text")
        if not value and (shortest or matches):
            place.empty(found, '""')
            return _UNREADABLE
        if longest is not None and len(value) > longest:
            place.note(found, "too-long", value, f"a text of length <= {longest}")
        elif len(value) < shortest:
            place.note(found, "too-short", value, f"a text of length >= {shortest}")
        elif matches and not matches(value):
            place.note(found, "format", value, f"a text like {pattern}")
            return _UNREADABLE
        if is_cistring and not value.isascii():
            place.note(found, "not-ascii", value, "printable ASCII only, as in any CiString")
        if not spelling.is_printable(value):
            place.note(found, "unprintable", value, "printable characters only")
        return value

    return compare


def _enum(members: dict[Any, Any], place: _Place) -> _Compare:
    allowed = f"one of {', '.join(members)}"

    def compare(value: Any, found: _Found) -> Any:
        if value == "":
            place.note(found, "empty-value", '""', allowed)
        elif type(value) in _NUMBER_KINDS:
            place.note(found, "unknown-enum-value", value, allowed)
            return _UNREADABLE
        elif type(value) is not str:
            return place.wrong(found, value, allowed)
        elif value not in members:
            place.note(found, "unknown-enum-value", value, allowed)
        return members.get(value, value)

    return compare


def _date_time(place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not str:
            return place.wrong(found, value, _DATE_TIME)
        moment = lenient.moment(value)
        if moment is None:
            place.note(found, "format" if value else "empty-value", value or '""', _DATE_TIME)
            return _UNREADABLE
        if not spelling.is_date_time(value):
            place.note(found, "date-time", value, _DATE_TIME)
        return moment

    return compare


def _boolean(place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        return value if type(value) is bool else place.wrong(found, value, "true or false")

    return compare


def _integers(shape: inspect.IntType, place: _Place) -> _Compare:
    least = -(2**63) if shape.ge is None else shape.ge
    most = 2**64 - 1 if shape.le is None else shape.le

    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not int:
            whole = lenient.whole_number(value)
            if whole is None:
                if type(value) is Decimal:
                    place.note(found, "fraction", value, "an integer")
                    return _UNREADABLE
                return place.wrong(found, value, "an integer")
            if type(value) is str:
                place.note(found, "number-as-text", value, "an integer without quotes")
            else:
                place.note(found, "whole-number", value, "an integer without a fraction")
            value = whole
        if not least <= value <= most:
            place.note(found, "out-of-range", value, f"an integer from {least} to {most}")
        return value

    return compare


def _number(place: _Place) -> _Compare:
    def compare(value: Any, found: _Found) -> Any:
        meant = lenient.number(value)
        if meant is None:
            if type(value) in _NUMBER_KINDS:
                place.note(found, "out-of-range", _HUGE, "a number of less than 1000 digits")
                return _UNREADABLE
            return place.wrong(found, value, "a number")
        if type(value) is str:
            place.note(found, "number-as-text", value, "a number without quotes")
        return meant

    return compare


def _items(shape: inspect.ListType, place: _Place, text: Spelling, pattern: str | None) -> _Compare:
    compare = _compile(shape.item_type, place.item(), text, pattern)
    is_filled = bool(shape.min_length)

    def compare_items(values: Any, found: _Found) -> Any:
        if type(values) is not list:
            return place.wrong(found, values, "a list")
        if is_filled and not values:
            place.note(found, "empty-list", values, "a list of at least one")
        meant = []
        for index, value in enumerate(values):
            known = len(found)
            one = compare(value, found)
            if one is not _UNREADABLE:
                meant.append(one)
            if len(found) > known:
                for seen in list(found.values())[known:]:
                    seen.indices.append(index)
        return meant

    return compare_items


class _Unreadable(AttributeError):
    """A rule between fields needs one that was not sent, or that means nothing."""


class _Meant:
    """The fields of an object as far as they can be read: enough for its own rules."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise _Unreadable(name)


def _default(one: inspect.Field) -> Any:
    """What stands for a field that was not sent; msgspec tells no default of UNSET."""
    return msgspec.UNSET if one.default is msgspec.NODEFAULT else one.default


def _fields(shape: inspect.StructType, place: _Place) -> _Compare:
    owner = shape.cls.__name__.removesuffix("Patch")
    known = [(one, place.field(one.encode_name, owner)) for one in shape.fields]
    compares = [
        (one.encode_name, one.required, _default(one), inner, _compile(one.type, inner))
        for one, inner in known
    ]
    check = getattr(shape.cls, "__post_init__", None)

    def compare(value: Any, found: _Found) -> Any:
        if type(value) is not dict:
            return place.wrong(found, value, "an object")
        meant = {}
        for name, is_required, default, inner, compare_field in compares:
            if name in value:
                one = compare_field(value[name], found)
                if one is not _UNREADABLE:
                    meant[name] = one
            elif is_required:
                found.setdefault(("missing", inner.path), _Seen("", "a value"))
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
        return  # That field is noted already.
    except ValueError as error:
        message = str(error)
        first = _FIELD_AT_FAULT(message)
        path = place.path
        if first is not None and first[0] in vars(whole):
            path = f"{path}.{first[0]}"
        if all(known != path for _, known in found):
            found["cross-field", path] = _Seen(message, "")
