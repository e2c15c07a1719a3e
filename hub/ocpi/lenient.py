"""Values as strangers spell them: what they mean, or None (types: DateTime, number, string).

Nothing here decides what a wrong spelling leads to: the caller notes a Deviation and goes on, or
refuses.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

# Each part has a fixed or limited width and none can match what its neighbour does: linear.
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9})\d{0,20})?"
    r" ?([Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
).fullmatch
# Beyond these a time is nobody's charging session.
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST_NUMBER: Final = 40
_NUMBER: Final = re.compile(
    r"[+-]?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?", re.ASCII
).fullmatch


@dataclass(frozen=True, slots=True)
class Deviation:
    """One difference from the text in what a platform sent.

    `rule` is a short word in kebab-case ("date-time", "unknown-enum-value"); `path` begins with the
    object's name and has [] for each index ("Location.evses[].coordinates.latitude"); `example` is
    the value found, cut, without anything that opens something or names a driver.
    """

    rule: str
    path: str
    example: str = ""


def moment(value: Any) -> datetime | None:
    """The time that a text means, in UTC; None for what is not one.

    Read are an offset instead of Z ("+00:00", "+0100"), a blank instead of T, no zone (UTC), no
    seconds, and any number of decimals, of which six count.
    """
    if not isinstance(value, str) or (found := _MOMENT(value.strip())) is None:
        return None
    day, minutes, seconds, fraction, zone = found.groups()
    zone = "+00:00" if zone is None or zone in "Zz" else zone
    zone = zone if ":" in zone or len(zone) == 3 else f"{zone[:3]}:{zone[3:]}"
    zone = f"{zone}:00" if len(zone) == 3 else zone
    text = f"{day}T{minutes}{seconds or ':00'}.{(fraction or '0')[:6]:0<6}{zone}"
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # Such as the 31st of February, or the year 0.
        return None


def clamped(moment: datetime) -> datetime:
    """A time that can be reckoned with: decades can be added to it, or taken off.

    A stranger's year 9999 ("never") or 1 would overflow; what is so far away is as good as here.
    """
    return min(max(moment, EARLIEST), LATEST)


def decimal(text: str) -> Decimal | str:
    """A JSON number without float damage; one that no Decimal can be (1E99999999999) as its text.

    For msgspec's `float_hook`, out of which Decimal's own error would fly as if it were ours.
    """
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def number(value: Any) -> Decimal | None:
    """The number that a JSON number or a numeric text is; None for what is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, Decimal)):
        found = Decimal(value)
    elif isinstance(value, float):
        found = Decimal(repr(value))
    elif isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _NUMBER(value.strip()):
        try:
            found = Decimal(value.strip())
        except InvalidOperation:
            return None
    else:
        return None
    return found if found.is_finite() and (not found or -1000 < found.adjusted() < 1000) else None


def whole_number(value: Any) -> int | None:
    """The integer that is meant: 230, 230.0 and "230" are the same; None for 230.5 or a word."""
    found = number(value)
    if found is None or found.adjusted() > _LONGEST_NUMBER or found != found.to_integral_value():
        return None
    return int(found)
