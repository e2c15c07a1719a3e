"""A session over time: price, limits, power and energy on one time axis (SCALE D2.3, 8.4).

Out of what the hub was told, when the page asks. Times are by the CPO's clock, in UTC; W are shown
as kW and A stay A: OCPI says nowhere how many phases an EV has.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, NamedTuple

from flex.api.objects import Prices
from flex.api.shown import Shower
from flex.knowledge.facts import Facts
from flex.knowledge.metering import Metered
from flex.knowledge.profiles import Profile
from hub.console.tables import duration
from hub.ocpi import lenient
from sessions.models import Session

# Beyond these a picture shows no more than one of fewer steps, and takes longer.
MOST_MOMENTS: Final = 600
MOST_ROWS: Final = 200
_LONGEST: Final = timedelta(days=7)
_AHEAD: Final = timedelta(hours=1)
_PROFILE_AHEAD: Final = timedelta(hours=24)
# A level far above all that happens would press the rest flat: it stands in the table of bounds.
_FAR_ABOVE: Final = 2.5
_UNITS: Final = {"W": ("power", "kW", 1000.0), "A": ("current", "A per phase", 1.0)}


class Part(NamedTuple):
    """A value from one moment to another."""

    begin: datetime
    end: datetime
    value: float


@dataclass(slots=True)
class Series:
    """Steps, or with `is_line` points (of which `end` means nothing) that a line joins."""

    key: str
    label: str
    parts: list[Part]
    is_line: bool = False


@dataclass(slots=True)
class Panel:
    """What shares a unit; `levels` are horizontal lines with their names."""

    key: str
    title: str
    unit: str
    series: list[Series]
    levels: list[tuple[str, float]] = field(default_factory=list)


@dataclass(slots=True)
class Chart:
    """The panels, one below the other; `marks` are moments with names."""

    begin: datetime
    end: datetime
    now: datetime | None
    panels: list[Panel]
    marks: list[tuple[str, datetime]]
    notes: list[str]

    @property
    def moments(self) -> list[datetime]:
        """Where anything changes; where that is too often, equal steps."""
        found = {self.begin, self.end}
        for panel in self.panels:
            for one in panel.series:
                found.update(part.begin for part in one.parts)
                found.update(part.end for part in one.parts)
        inside = sorted(moment for moment in found if self.begin <= moment <= self.end)
        if len(inside) <= MOST_MOMENTS:
            return inside
        step = (self.end - self.begin) / (MOST_MOMENTS - 1)
        return [self.begin + step * number for number in range(MOST_MOMENTS)]

    def data(self) -> dict[str, Any]:
        """For the page's script. Each moment stands twice: before a change and after it."""
        moments = self.moments
        return {
            "begin": _seconds(self.begin),
            "end": _seconds(self.end),
            "now": None if self.now is None else _seconds(self.now),
            "marks": [{"label": label, "at": _seconds(at)} for label, at in self.marks],
            "times": [_seconds(moment) for moment in moments for _ in range(2)],
            "panels": [
                {
                    "key": panel.key,
                    "title": panel.title,
                    "unit": panel.unit,
                    "levels": [{"label": label, "value": value} for label, value in panel.levels],
                    "series": [
                        {
                            "key": one.key,
                            "label": one.label,
                            "line": one.is_line,
                            "values": list(_doubled(one, moments)),
                        }
                        for one in panel.series
                    ],
                }
                for panel in self.panels
            ],
        }

    def heads(self) -> list[str]:
        """Of the table."""
        named = [f"{one.label} ({panel.unit})" for panel in self.panels for one in panel.series]
        return ["from (UTC)", *named]

    def rows(self) -> list[list[str]]:
        """The same as a table: a row where anything changes, the first ones of many."""
        moments = self.moments
        columns = [list(_after(one, moments)) for panel in self.panels for one in panel.series]
        found: list[list[str]] = []
        for number, moment in enumerate(moments):
            values = [_text(column[number]) for column in columns]
            if any(values) and (not found or found[-1][1:] != values):
                found.append([f"{moment.astimezone(UTC):%d %b %H:%M:%S}", *values])
        return found[:MOST_ROWS]


def _seconds(moment: datetime) -> float:
    return round(moment.timestamp(), 3)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}" if abs(value) < 100 else f"{value:.1f}"


def _after(one: Series, moments: Sequence[datetime]) -> Iterator[float | None]:
    """The value from each moment on; of a line at the moment itself."""
    for _, after in _pairs(one, moments):
        yield after


def _doubled(one: Series, moments: Sequence[datetime]) -> Iterator[float | None]:
    for pair in _pairs(one, moments):
        yield from pair


def _pairs(one: Series, moments: Sequence[datetime]) -> Iterator[tuple[float | None, float | None]]:
    """The value just before and just after each moment; parts are in order."""
    index = 0
    for moment in moments:
        while index < len(one.parts) and one.parts[index].end < moment:
            index += 1
        if one.is_line:
            at = _point(one.parts, index, moment)
            yield at, at
            continue
        before = after = None
        for part in one.parts[index : index + 2]:
            if part.begin < moment <= part.end:
                before = part.value
            if part.begin <= moment < part.end:
                after = part.value
        yield before, after


def _point(parts: Sequence[Part], index: int, moment: datetime) -> float | None:
    return parts[index].value if index < len(parts) and parts[index].begin == moment else None


# --- What is shown --------------------------------------------------------------------------------


def of(session: Session, known: Facts) -> Chart:
    """Of a session, out of its facts; a query or two more for its prices."""
    now = _now(known)
    begin, end = _window(known, now)
    limits = [*_pushed(known, end), *_active(known, end)]
    measured = _measured(known.metered, now)
    panels = [
        _of_limits("W", limits, measured, known),
        _of_limits("A", limits, [], known),
        _energy(session, known, begin, now),
    ]
    prices, price_panel = _prices(session, known, begin, end)
    panels.append(price_panel)
    shown = [panel for panel in panels if any(one.parts for one in panel.series)]
    for panel in shown:
        panel.series = [_cut(one, begin, end) for one in panel.series if one.parts]
    asked = known.preferences
    marks = []
    if asked is not None and asked.departure_time is not None and begin < asked.departure_time:
        marks.append(("departure", asked.departure_time))
    return Chart(
        begin,
        end,
        None if known.is_over else now,
        shown,
        [one for one in marks if one[1] <= end],
        list(_notes(known, shown, prices)),
    )


def _now(known: Facts) -> datetime:
    """By the CPO's clock, of which the last that was told may be ahead of what is known."""
    told = [one.end or one.begin for one in known.metered]
    return max([known.by_cpo(known.now), *told])


def _window(known: Facts, now: datetime) -> tuple[datetime, datetime]:
    """From the beginning of the session to its end, or to where it is planned to."""
    begin = known.started_at
    ends = [one.end or one.begin for one in known.metered]
    if known.is_over:
        ended = lenient.moment(known.document.get("end_date_time"))
        ends += [lenient.clamped(ended)] if ended else []
        end = max([*ends, begin + timedelta(minutes=1)])
    else:
        asked = known.preferences.departure_time if known.preferences else None
        ends += [asked + _AHEAD] if asked and asked > now else []
        last = known.set[-1] if known.set else None
        if last is not None and last.until is None and last.profile is not None:
            ends += _planned(last.profile)
        end = min(max([*ends, now + _AHEAD]), now + _PROFILE_AHEAD)
    return max(begin, end - _LONGEST), max(end, begin + timedelta(minutes=1))


def _planned(profile: Profile) -> list[datetime]:
    """Where its last step begins or it ends, and a little of that."""
    last = profile.start + timedelta(seconds=profile.steps[-1][0])
    return [(profile.end or last) + timedelta(minutes=15)]


class _Limits(NamedTuple):
    """Limits that held one after the other, in one unit."""

    key: str
    label: str
    unit: str
    parts: list[Part]


def _pushed(known: Facts, end: datetime) -> Iterator[_Limits]:
    """What FSPs have set and the CPO has accepted, each until the next."""
    told = [
        (one.profile, known.by_cpo(one.accepted_at), known.by_cpo(one.until) if one.until else end)
        for one in known.set
        if one.profile is not None
    ]
    yield from _by_unit("pushed", "Pushed limit", told)


def _active(known: Facts, end: datetime) -> Iterator[_Limits]:
    """What the CPO has told to be active, each until it told anew."""
    moments = [known.by_cpo(one.observed_at) for one in known.seen]
    told = [
        (one.profile, moment, following)
        for one, moment, following in zip(known.seen, moments, [*moments[1:], end], strict=False)
    ]
    yield from _by_unit("active", "Active limit", told)


def _by_unit(
    key: str, label: str, told: Sequence[tuple[Profile, datetime, datetime]]
) -> Iterator[_Limits]:
    for unit, (_, _, divisor) in _UNITS.items():
        parts = [
            Part(limit.begin, limit.end or until, float(limit.value) / divisor)
            for profile, since, until in told
            if profile.unit == unit and since < until
            for limit in profile.limits(since, until)
        ]
        yield _Limits(key, label, unit, parts)


def _of_limits(
    unit: str, limits: Iterable[_Limits], measured: Sequence[Part], known: Facts
) -> Panel:
    key, shown, divisor = _UNITS[unit]
    series = [Series(one.key, one.label, one.parts) for one in limits if one.unit == unit]
    if measured:
        series.append(Series("measured", "Measured power", list(measured)))
    title = "Power" if unit == "W" else "Current"
    panel = Panel(key, title, shown, series)
    rating = None if known.connector is None else known.connector.watts
    if unit == "A":
        rating = None if known.connector is None else known.connector.amperes
    highest = max((part.value for one in series for part in one.parts), default=0.0)
    if rating is not None and 0 < float(rating) / divisor <= highest * _FAR_ABOVE:
        panel.levels.append(("connector", float(rating) / divisor))
    return panel


def _measured(metered: Sequence[Metered], now: datetime) -> list[Part]:
    """Mean power of each charging period, in kW."""
    return [
        Part(one.begin, one.end or max(now, one.begin), float(one.power) / 1000)
        for one in metered
        if one.power is not None
    ]


def _energy(session: Session, known: Facts, begin: datetime, now: datetime) -> Panel:
    """Charged so far, and what the driver needs at departure."""
    total, points = Decimal(0), [(known.started_at, 0.0)]
    for one in known.metered:
        energy = one.volumes.get("ENERGY", one.volumes.get("ENERGY_IMPORT"))
        if energy is not None:
            total += energy
            points.append((one.end or one.begin, float(total)))
    charged, told_at = session.kwh, known.by_cpo(known.received_at or known.now)
    if charged is not None and (len(points) == 1 or told_at > points[-1][0]):
        points.append((max(told_at, points[-1][0]), float(charged)))
    panel = Panel("energy", "Energy", "kWh", [_line("energy", "Charged", points)])
    asked = known.preferences
    if asked is not None and asked.energy_need is not None and asked.departure_time is not None:
        since = float(asked.kwh_at_receipt or 0)
        need = [
            (max(known.by_cpo(asked.received_at), begin), since),
            (asked.departure_time, since + float(asked.energy_need)),
        ]
        if need[0][0] < need[1][0]:
            panel.series.append(_line("need", "Needed, counted from when it was told", need))
    return panel


def _line(key: str, label: str, points: Iterable[tuple[datetime, float]]) -> Series:
    return Series(key, label, [Part(at, at, value) for at, value in points], is_line=True)


def _prices(session: Session, known: Facts, begin: datetime, end: datetime) -> tuple[Prices, Panel]:
    """By the Tariff that applies now, from the beginning of the session on."""
    found = Shower(begin).prices(session, known.preferences)
    starts = [one.start for one in found.steps]
    parts = [
        Part(max(one.start, begin), until, float(one.per_kwh))
        for one, until in zip(found.steps, [*starts[1:], end], strict=False)
        if one.per_kwh is not None and one.start < end and max(one.start, begin) < until
    ]
    joined = list(_joined(parts))
    unit = f"{found.currency or '?'} per kWh"
    return found, Panel("price", "Price", unit, [Series("price", "Price without VAT", joined)])


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Neighbours of one value as one."""
    held: Part | None = None
    for part in parts:
        if held is not None and held.value == part.value and held.end == part.begin:
            held = Part(held.begin, part.end, held.value)
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held


def _cut(one: Series, begin: datetime, end: datetime) -> Series:
    """Within the window; and each part ends where the next begins."""
    if one.is_line:
        return Series(one.key, one.label, [p for p in one.parts if begin <= p.begin <= end], True)
    parts = sorted(one.parts)
    ends = [min(part.end, following.begin) for part, following in pairwise(parts)]
    ends += [part.end for part in parts[-1:]]
    inside = (
        Part(max(part.begin, begin), min(until, end), part.value)
        for part, until in zip(parts, ends, strict=True)
    )
    return Series(one.key, one.label, list(_joined(p for p in inside if p.begin < p.end)))


def _notes(known: Facts, panels: Sequence[Panel], prices: Prices) -> Iterator[str]:
    """What the picture cannot show, in words."""
    keys = {panel.key for panel in panels}
    if "current" in keys:
        yield (
            "Limits in A stand apart from power in kW: nobody tells how many phases the EV uses, "
            "so neither is computed from the other."
        )
    if not known.set:
        yield "No profile has been accepted yet: there is no pushed limit."
    if not known.seen:
        yield "The CPO has told no active profile yet: there is no active limit."
    if all(one.power is None for one in known.metered):
        yield "No charging period with power or energy was told: there is no measured power."
    if "price" not in keys:
        yield " ".join(prices.unclear) or "No price is known."
    if (apart := known.by_cpo(known.now) - known.now) != timedelta(0):
        word = "ahead of" if apart > timedelta(0) else "behind"
        yield f"Times are by the CPO's clock, which is {duration(abs(apart))} {word} the hub's."
