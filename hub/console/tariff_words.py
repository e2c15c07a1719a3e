"""A Tariff as people read it: in words, and what a session pays that begins at each hour. Pure.

mod_tariffs, Tariff object. Prices are asked of `tariffs.pricing`: what it cannot say is told to be
unclear here too, and never guessed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from flex.api import prices
from hub.ocpi.datatypes import Price
from tariffs.objects import (
    DayOfWeek,
    PriceComponent,
    ReservationRestrictionType,
    Tariff,
    TariffDimensionType,
    TariffElement,
    TariffRestrictions,
    TariffType,
)
from tariffs.pricing import Line, Period, Unclear, Usage, price

# Of a Tariff with more, all pages would wait for one of them.
MOST: Final = 60
UNCLEAR: Final = "unclear"
HEADS: Final = ("from", "per kWh", "per hour of charging", "per hour of parking", "once")
_DIMENSIONS: Final = (
    TariffDimensionType.ENERGY,
    TariffDimensionType.TIME,
    TariffDimensionType.PARKING_TIME,
    TariffDimensionType.FLAT,
)
_USED: Final = _DIMENSIONS[:3]
_PER: Final = {
    TariffDimensionType.ENERGY: "per kWh",
    TariffDimensionType.TIME: "per hour of charging",
    TariffDimensionType.PARKING_TIME: "per hour of parking without charging",
    TariffDimensionType.FLAT: "once",
}
_TYPES: Final = {
    TariffType.AD_HOC_PAYMENT: "for drivers who pay on the spot",
    TariffType.PROFILE_CHEAP: "for drivers who prefer to charge cheap",
    TariffType.PROFILE_FAST: "for drivers who prefer to charge fast",
    TariffType.PROFILE_GREEN: "for drivers who prefer green energy",
    TariffType.REGULAR: "for drivers without a preference",
}
_BY_POWER: Final = ("min_power", "max_power", "min_current", "max_current")
_DAYS: Final = tuple(DayOfWeek)
_DAY: Final = timedelta(days=1)
# So little of everything that no step_size or restriction is reached by it.
_BIT: Final = Decimal("0.000001")
_NONE: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Day:
    """The prices of a day: for whom (`name`), and one row of HEADS after the other."""

    name: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A Tariff in words; `doubts` say what the table of hours does not show, `days` are it."""

    words: tuple[str, ...]
    doubts: tuple[str, ...]
    days: tuple[Day, ...]


def said(tariff: Tariff, today: date) -> Said:
    """All of it; `today` is the first day of the table."""
    shown = tariff.elements[:MOST]
    words = [*_about(tariff), *(f"{_prices(one)}{_when(one.restrictions)}" for one in shown)]
    if len(shown) > 1:
        words.append("Of several that name the same kind of price, the first that fits counts.")
    if len(shown) < len(tariff.elements):
        left = len(tariff.elements) - len(shown)
        return Said(tuple(words), (f"{left} more elements are only in the document.",), ())
    doubts = [*_doubts(tariff)]
    days = tuple(_days(tariff, today, doubts))
    return Said(tuple(words), tuple(doubts), days)


def summary(tariff: Tariff) -> str:
    """The span of each kind of price, in one line."""
    found = []
    for dimension in _DIMENSIONS:
        at = sorted(
            component.price
            for element in tariff.elements
            if element.restrictions is None or element.restrictions.reservation is None
            for component in element.price_components
            if component.type is dimension
        )
        if at:
            ends = dict.fromkeys(map(_number, (at[0], at[-1])))
            found.append(f"{' to '.join(ends)} {_PER[dimension].partition(' of ')[0]}")
    return ", ".join(found)


def _about(tariff: Tariff) -> Iterator[str]:
    if tariff.type is not None:
        yield f"It is {_TYPES[tariff.type]}."
    ends = {"from": tariff.start_date_time, "until": tariff.end_date_time}
    held = [f"{name} {end:%Y-%m-%d %H:%M} UTC" for name, end in ends.items() if end is not None]
    if held:
        yield f"It holds {' '.join(held)}."
    for name, limit in (("least", tariff.min_price), ("most", tariff.max_price)):
        if limit is not None:
            yield f"A session costs at {name} {_amount(limit, tariff.currency)}."
    if tariff.energy_mix is not None and tariff.energy_mix.is_green_energy:
        yield "The energy is green."
    yield f"Prices are in {tariff.currency}, without VAT."


def _amount(limit: Price, currency: str) -> str:
    return f"{_number(limit.excl_vat)} {currency} without VAT"


def _prices(element: TariffElement) -> str:
    return ", and ".join(map(_component, element.price_components))


def _component(component: PriceComponent) -> str:
    vat = "" if component.vat is None else f" + {_number(component.vat)}% VAT"
    return f"{_number(component.price)} {_PER[component.type]}{vat}{_block(component)}"


def _block(component: PriceComponent) -> str:
    size = component.step_size
    if component.type is TariffDimensionType.FLAT or size <= 1:
        return ""
    if component.type is TariffDimensionType.ENERGY:
        return f" (in blocks of {_number(Decimal(size) / 1000)} kWh)"
    return f" (in blocks of {_span(size)})"


def _when(limits: TariffRestrictions | None) -> str:
    """What all has to be so; nothing for what holds always."""
    if limits is None:
        return "."
    found = [*_by_clock(limits), *_by_course(limits)]
    if limits.reservation is ReservationRestrictionType.RESERVATION:
        found.append("for a reservation")
    elif limits.reservation is not None:
        found.append("for a reservation that expires")
    return f": {', '.join(found)}." if found else "."


def _by_clock(limits: TariffRestrictions) -> Iterator[str]:
    if limits.start_time or limits.end_time:
        yield f"from {limits.start_time or '00:00'} to {limits.end_time or '24:00'}"
    if limits.day_of_week:
        yield f"on {_names(frozenset(limits.day_of_week))}"
    if limits.start_date:
        yield f"from {limits.start_date} on"
    if limits.end_date:
        yield f"before {limits.end_date}"


def _by_course(limits: TariffRestrictions) -> Iterator[str]:
    for least, below, unit, of in (
        (limits.min_kwh, limits.max_kwh, "kWh", ""),
        (limits.min_power, limits.max_power, "kW", " of power"),
        (limits.min_current, limits.max_current, "A", " of current"),
    ):
        if least is not None:
            yield f"from {_number(least)} {unit}{of} on"
        if below is not None:
            yield f"below {_number(below)} {unit}{of}"
    if limits.min_duration is not None:
        yield f"after {_span(limits.min_duration)}"
    if limits.max_duration is not None:
        yield f"in the first {_span(limits.max_duration)}"


def _span(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _number(value: Decimal) -> str:
    """At least two decimals of a price, and no more than it has."""
    if value == value.to_integral_value():
        return f"{value:.0f}" if value.adjusted() < 12 else f"{value:.3g}"
    return f"{value:.2f}" if value == round(value, 2) else f"{value.normalize():f}"


def _names(days: frozenset[DayOfWeek]) -> str:
    """Monday to Friday, Sunday."""
    runs: list[list[str]] = []
    for number, day in enumerate(_DAYS):
        if day in days:
            if runs and _DAYS[number - 1] in days:
                runs[-1].append(day.title())
            else:
                runs.append([day.title()])
    joined = [
        f"{run[0]} to {run[-1]}" if len(run) > 2 else " and ".join(run) for run in runs if run
    ]
    return ", ".join(joined)


def _doubts(tariff: Tariff) -> Iterator[str]:
    """What a price at the beginning of a session does not show, element by element."""
    for number, element in enumerate(tariff.elements, start=1):
        limits = element.restrictions
        if limits is None:
            continue
        if limits.min_kwh is not None or limits.max_kwh is not None:
            yield f"Element {number} depends on the kWh charged: the table shows the first kWh."
        if limits.min_duration is not None or limits.max_duration is not None:
            yield f"Element {number} depends on the duration: the table shows the beginning."
        if any(getattr(limits, one) is not None for one in _BY_POWER):
            yield f"Element {number} depends on the power, which is not known beforehand."
        if limits.reservation is not None:
            yield f"Element {number} is for reservations, which the table does not show."
    if tariff.min_price is not None or tariff.max_price is not None:
        yield "The least or the greatest price of a session is not in the table."


# --- The table of hours ---------------------------------------------------------------------------


def _days(tariff: Tariff, today: date, doubts: list[str]) -> Iterator[Day]:
    """Today, or the days of a week from today on, those that are alike together."""
    by_day = any(one.restrictions and one.restrictions.day_of_week for one in tariff.elements)
    alike: dict[tuple[tuple[str, ...], ...], list[date]] = {}
    for number in range(7 if by_day else 1):
        at = today + number * _DAY
        alike.setdefault(_rows(tariff, at, doubts), []).append(at)
    for rows, dates in alike.items():
        names = frozenset(_DAYS[at.weekday()] for at in dates)
        yield Day(_names(names) if by_day else f"{today:%Y-%m-%d}", rows)


def _rows(tariff: Tariff, day: date, doubts: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (f"{at:%H:%M}", *(_cell(tariff, day, at, one, doubts) for one in _DIMENSIONS))
        for at in _clocks(tariff)
    )


def _clocks(tariff: Tariff) -> list[time]:
    """Each hour, and when prices change between two."""
    found = {time(hour) for hour in range(24)}
    for element in tariff.elements:
        if (limits := element.restrictions) is not None:
            named = (limits.start_time, limits.end_time)
            found |= {time.fromisoformat(at) for at in named if at is not None}
    return sorted(found)


def _cell(
    tariff: Tariff, day: date, at: time, dimension: TariffDimensionType, doubts: list[str]
) -> str:
    """The price of one dimension; the clock of the Location stands for UTC here."""
    start = datetime.combine(day, at, UTC)
    energy, charging, parking = (_BIT if dimension is one else _NONE for one in _USED)
    period = Period(start, start + timedelta(seconds=1), tariff.id, energy, charging, parking)
    try:
        lines = price([tariff], Usage([period], UTC)).lines
    except Unclear as error:
        why = str(error)
    except (ArithmeticError, ValueError) as error:
        why = prices.beyond(error)
    else:
        return _priced(lines, dimension)
    if (told := f"{why[0].upper()}{why[1:]}.") not in doubts:
        doubts.append(told)
    return UNCLEAR


def _priced(lines: Iterable[Line], dimension: TariffDimensionType) -> str:
    found = [line.component.price for line in lines if line.component.type is dimension]
    return _number(found[0]) if found else "-"
