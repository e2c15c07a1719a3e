"""How strings and times are spelled (types: CiString, string, DateTime).

msgspec checks lengths and dates in C, but a pattern on every string costs as much as all the rest
of reading an object. So the body is searched once for anything that could break one of these rules,
which in almost every body finds nothing; only then are the single values looked at.
"""

import re
from collections.abc import Callable
from enum import Flag, auto
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect


class Spelling(Flag):
    """What kind of text a value is; a `str` that says nothing else is a STRING."""

    CISTRING = auto()
    STRING = auto()
    DATE_TIME = auto()


# The key of msgspec.Meta(extra=...) that says which.
KEY: Final = "ocpi_spelling"

_NOTHING: Final = Spelling(0)
_TEXTS: Final = Spelling.CISTRING | Spelling.STRING
# After a day anything but T, the time, and then only Z.
_ODD_TIME: Final = re.compile(rb'-\d\d(?!T\d\d:\d\d:[\d.]+Z?")[^\d"-]\d\d:\d\d:').search
# A control character, or ASCII that somebody hides.
_ODD_ESCAPE: Final = re.compile(rb"\\(?:[bfnrt]|u00[0-9]|u202[89])").search
_C1: Final = re.compile(rb"\xc2[\x80-\x9f]").search
_SEPARATOR: Final = re.compile(rb"\xe2\x80[\xa8\xa9]").search
# Line breaks, tabs, ..: C0 and C1 controls, DEL, line and paragraph separator.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", re.ASCII).fullmatch


class Misspelled(ValueError):
    """A text breaks a rule; `path` leads to it, its last step first."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.path: list[str] = []

    def __str__(self) -> str:
        """Like msgspec's own: "... - at `$.evses[0].uid`"."""
        return f"{self.args[0]} - at `${''.join(reversed(self.path))}`"


_Check = Callable[[Any], None]


def check_spelling(body: bytes, value: Any, expected: Any) -> None:
    """Raise Misspelled if `body`, which was read as `value` of type `expected`, breaks a rule."""
    doubts = _doubts(body)
    if not doubts:
        return
    as_sent = Spelling.DATE_TIME in doubts
    if check := _check(expected, doubts, as_sent):
        # A datetime does not tell any more how it was spelled.
        check(msgspec.json.decode(body) if as_sent else value)


def _doubts(body: bytes) -> Spelling:
    is_escaped = b"\\" in body
    if is_escaped and _ODD_ESCAPE(body):
        return _TEXTS | Spelling.DATE_TIME
    doubts = Spelling.DATE_TIME if _ODD_TIME(body) else _NOTHING
    if b"\x7f" in body:
        return doubts | _TEXTS
    if not body.isascii():
        # Looking for one byte first is ten times as fast as a regular expression.
        has_control = (b"\xc2" in body and _C1(body)) or (b"\xe2" in body and _SEPARATOR(body))
        doubts |= _TEXTS if has_control else Spelling.CISTRING
    elif is_escaped and b"\\u" in body:
        doubts |= Spelling.CISTRING
    return doubts


@cache
def _check(expected: Any, wanted: Spelling, as_sent: bool) -> _Check | None:
    return _compile(inspect.type_info(expected), wanted, as_sent, Spelling.STRING)


def _compile(
    shape: inspect.Type, wanted: Spelling, as_sent: bool, spelling: Spelling
) -> _Check | None:
    """A check of all texts that a value of this shape holds; None when it cannot hold any."""
    match shape:
        case inspect.Metadata(type=inner, extra=extra):
            return _compile(inner, wanted, as_sent, (extra or {}).get(KEY, spelling))
        case inspect.StrType():
            return _string_check(spelling, wanted)
        case inspect.DateTimeType():
            return _date_time if Spelling.DATE_TIME in wanted else None
        case inspect.UnionType(types=types):
            checks = (_compile(one, wanted, as_sent, spelling) for one in types)
            return next((check for check in checks if check), None)
        case inspect.ListType(item_type=item):
            return _items(_compile(item, wanted, as_sent, spelling))
        case inspect.StructType(fields=fields):
            checks_of = {f.name: _compile(f.type, wanted, as_sent, spelling) for f in fields}
            return _fields(checks_of, dict.get if as_sent else getattr)
    return None


def _string_check(spelling: Spelling, wanted: Spelling) -> _Check | None:
    if spelling not in wanted:
        return None
    if spelling is Spelling.STRING:
        return _printable
    return _printable_ascii if Spelling.STRING in wanted else _ascii


def is_printable(text: str) -> bool:
    """types: string, without line breaks and other controls."""
    return _UNPRINTABLE(text) is None


def is_date_time(text: str) -> bool:
    """types: DateTime: in UTC, with Z or without."""
    return _DATE_TIME(text) is not None


def _ascii(text: str) -> None:
    if not text.isascii():
        raise Misspelled("Expected printable ASCII only, as in any CiString")


def _printable(text: str) -> None:
    if _UNPRINTABLE(text):
        raise Misspelled("Expected printable characters only")


def _printable_ascii(text: str) -> None:
    _ascii(text)
    _printable(text)


def _date_time(text: str) -> None:
    if not _DATE_TIME(text):
        raise Misspelled("Expected a DateTime in UTC such as 2015-06-29T20:39:09Z")


def _items(check: _Check | None) -> _Check | None:
    if check is None:
        return None

    def check_items(values: list[Any]) -> None:
        for index, value in enumerate(values):
            try:
                check(value)
            except Misspelled as wrong:
                wrong.path.append(f"[{index}]")
                raise

    return check_items


def _fields(
    checks: dict[str, _Check | None], fetch: Callable[[Any, str, None], Any]
) -> _Check | None:
    relevant = [(name, check) for name, check in checks.items() if check]

    def check_fields(value: Any) -> None:
        for name, check in relevant:
            held = fetch(value, name, None)
            if held is None or held is msgspec.UNSET:
                continue
            try:
                check(held)
            except Misspelled as wrong:
                wrong.path.append(f".{name}")
                raise

    return check_fields if relevant else None
