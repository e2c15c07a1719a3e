"""What a PATCH makes of a Session (mod_sessions, PATCH Method), whatever the order of PATCHes.

Each value keeps the bytes in which it was sent: the hub reads only what tells one ChargingPeriod
from another.
"""

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from hub.ocpi import heads, lenient
from hub.ocpi.comparison import plain
from hub.ocpi.lenient import Deviation

Raw = msgspec.Raw
_PERIODS: Final = "charging_periods"
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_OTHER_DIMENSIONS: Final = Deviation(
    "same-start-other-dimensions", "Session.charging_periods[].dimensions"
)


class Merge(NamedTuple):
    """A Session with a PATCH in it, and what of the PATCH contradicts the Session."""

    document: bytes
    deviations: tuple[Deviation, ...] = ()


def merged(document: bytes, changes: bytes, *, sets_fields: bool, adds_periods: bool) -> Merge:
    """Two JSON objects as one; what is not touched keeps its bytes, and so does the whole.

    `sets_fields` is False for a PATCH older than what is kept: it adds its `charging_periods`
    alone. `adds_periods` is False for one that is older than the PUT which had them all.
    """
    fields, patch = _fields(document), _fields(changes)
    sent = patch.pop(_PERIODS, None)
    found: tuple[Deviation, ...] = ()
    now = fields | patch if sets_fields else fields
    if adds_periods and sent is not None:
        periods, found = _with_periods(_items(fields.get(_PERIODS)), _items(sent))
        if periods is not None:
            now = now | {_PERIODS: Raw(b"[" + b",".join(map(bytes, periods)) + b"]")}
    # An encoder's own spelling is not a change.
    return Merge(document if now == fields else msgspec.json.encode(now), found)


class _Period(NamedTuple):
    """What identifies a ChargingPeriod; hashable."""

    start: datetime | str
    dimensions: Hashable


def _with_periods(
    kept: Sequence[Raw], sent: Sequence[Raw]
) -> tuple[list[Raw] | None, tuple[Deviation, ...]]:
    """The periods with those that are new among them, each where its start belongs.

    None when none is new: the same PATCH comes once for each party that it is sent to. "A period
    ends when the next period starts" (mod_cdrs), so a late one must not stand behind a later one.
    """
    periods, read = list(kept), [_read(period) for period in kept]
    known, begun = set(read), {period.start for period in read}
    starts = [period.start for period in read if isinstance(period.start, datetime)]
    is_sorted = len(starts) == len(read) and starts == sorted(starts)
    found: tuple[Deviation, ...] = ()
    for raw in sent:
        period = _read(raw)
        if period in known:
            continue
        if period.start and period.start in begun:
            found = (_OTHER_DIMENSIONS,)
        known.add(period)
        begun.add(period.start)
        place = len(periods)
        if is_sorted and isinstance(period.start, datetime):
            place = bisect_right(starts, period.start)
            starts.insert(place, period.start)
        else:
            is_sorted = False
        periods.insert(place, raw)
    return (periods if len(periods) > len(kept) else None), found


def _read(raw: Raw) -> _Period:
    """Two spellings of one moment or number are equal; the order of dimensions does not matter.

    What has no start or no dimensions is told from others by its bytes.
    """
    value = plain(bytes(raw))
    if isinstance(value, dict):
        start, dimensions = value.get("start_date_time"), value.get("dimensions")
        begun = lenient.moment(start) or heads.text(start)
        if begun and isinstance(dimensions, list):
            return _Period(begun, frozenset(map(_dimension, dimensions)))
        return _Period(begun, bytes(raw))
    return _Period("", bytes(raw))


def _dimension(value: Any) -> Hashable:
    if not isinstance(value, dict):
        return ""
    volume = value.get("volume")
    amount = lenient.number(volume)
    return heads.word(value.get("type")), heads.text(volume) if amount is None else amount


def _items(raw: Raw | None) -> Sequence[Raw]:
    """The elements of a list; one object stands for a list of one, anything else for none."""
    match b"" if raw is None else bytes(raw).lstrip()[:1]:
        case b"[":
            return _list(raw or b"")
        case b"{":
            return [raw or Raw()]
    return []
