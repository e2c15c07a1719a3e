"""What a charging session costs by its Tariffs (mod_tariffs; mod_cdrs, step_size).

Energy is in kWh, time in hours, VAT in percent; amounts are not rounded, since the text leaves that
to laws and contracts. Where the text does not say what a session costs, or the session does not say
what the text asks, the answer is Unclear and never a guess.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

from hub.ocpi.datatypes import Price
from tariffs.objects import (
    DayOfWeek,
    PriceComponent,
    ReservationRestrictionType,
    Tariff,
    TariffDimensionType,
    TariffRestrictions,
)

_DAYS: Final = tuple(DayOfWeek)
_WH_IN_KWH: Final = Decimal(1000)
_SECONDS_IN_HOUR: Final = Decimal(3600)
_MIDNIGHT: Final = time(0)


class Unclear(Exception):
    """The price cannot be said; the message says why."""


class Range(NamedTuple):
    """Between which values something was, as far as it is known."""

    lowest: Decimal | None = None
    highest: Decimal | None = None

    def reaches(self, least: Decimal) -> bool | None:
        """Whether it was at least so much, all the time; None: it is not known."""
        if self.lowest is not None and self.lowest >= least:
            return True
        if self.highest is not None and self.highest < least:
            return False
        return None


NOT_KNOWN: Final = Range()


@dataclass(frozen=True, slots=True)
class Period:
    """What was used from one moment to the next, under one Tariff (mod_cdrs: ChargingPeriod)."""

    start: datetime
    end: datetime
    tariff_id: str | None
    energy: Decimal = Decimal(0)
    charging: Decimal = Decimal(0)
    parking: Decimal = Decimal(0)
    reservation: Decimal = Decimal(0)
    # In A over all phases, and in kW.
    current: Range = NOT_KNOWN
    power: Range = NOT_KNOWN


@dataclass(frozen=True, slots=True)
class Usage:
    """A session, or a reservation that has expired without one."""

    periods: Sequence[Period]
    # Of the Location; None: it is not known.
    zone: tzinfo | None = None
    has_expired: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """What is paid by one Price Component.

    `billed` has the unit of the price: kWh, hours, or one for a FLAT. `element` counts from 0.
    """

    tariff_id: str
    element: int
    component: PriceComponent
    is_reservation: bool
    used: Decimal
    billed: Decimal

    @property
    def excl_vat(self) -> Decimal:
        """The amount."""
        return self.billed * self.component.price

    @property
    def incl_vat(self) -> Decimal:
        """With VAT; a component that names none has none."""
        return self.excl_vat * (1 + (self.component.vat or Decimal(0)) / 100)


class Amount(NamedTuple):
    """An amount of money, unrounded."""

    excl_vat: Decimal
    incl_vat: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """What is to be paid, line by line."""

    lines: Sequence[Line]
    total: Amount

    def cost(self, *dimensions: TariffDimensionType, is_reservation: bool = False) -> Amount:
        """What the lines of these dimensions come to."""
        return _sum(
            line
            for line in self.lines
            if line.component.type in dimensions and line.is_reservation == is_reservation
        )


def price(tariffs: Sequence[Tariff], usage: Usage) -> Bill:
    """What a session costs by those of `tariffs` that its periods name; Unclear where none can say.

    A period that names no Tariff costs nothing (mod_cdrs: ChargingPeriod).
    """
    by_id = {tariff.id.casefold(): tariff for tariff in tariffs}
    used = _used(by_id, usage)
    lines = [line for kind in (_energy, _times, _reservations) for line in kind(used)]
    lines += _flats(used)
    named = {line.tariff_id.casefold() for line in lines} or {
        period.tariff_id.casefold() for period in usage.periods if period.tariff_id
    }
    return Bill(lines, _limited(_sum(lines), [by_id[name] for name in sorted(named)]))


class _Used(NamedTuple):
    """So much of one dimension, in one period, by one component."""

    tariff_id: str
    element: int
    component: PriceComponent
    is_reservation: bool
    amount: Decimal


@dataclass(frozen=True, slots=True)
class _Moment:
    """What restrictions look at; `at` and what follows are from the beginning of a period."""

    period: Period
    zone: tzinfo | None
    consumed: Decimal
    lasted: timedelta
    kinds: frozenset[ReservationRestrictionType] = frozenset()

    @property
    def local(self) -> datetime:
        if self.zone is None:
            raise Unclear("the time zone of the Location is not known")
        return self.period.start.astimezone(self.zone)


def _used(by_id: Mapping[str, Tariff], usage: Usage) -> list[_Used]:
    found: list[_Used] = []
    consumed, began = Decimal(0), _session_began(usage)
    for period in usage.periods:
        if period.tariff_id is None:
            consumed += period.energy
            continue
        tariff = by_id.get(period.tariff_id.casefold())
        if tariff is None:
            raise Unclear(f"Tariff {period.tariff_id} is not known")
        moment = _Moment(period, usage.zone, consumed, period.start - began)
        amounts = {
            TariffDimensionType.ENERGY: period.energy,
            TariffDimensionType.TIME: period.charging,
            TariffDimensionType.PARKING_TIME: period.parking,
        }
        if period.reservation or usage.has_expired:
            found += _of_reservation(tariff, moment, usage.has_expired)
        if not usage.has_expired and (not period.reservation or any(amounts.values())):
            amounts[TariffDimensionType.FLAT] = Decimal(1)
            for dimension, amount in amounts.items():
                entry = _whole(tariff, moment, dimension) if amount else None
                if entry is not None:
                    found.append(_Used(tariff.id, *entry, False, amount))
        consumed += period.energy
    return found


def _session_began(usage: Usage) -> datetime:
    """When the session itself began: after its reservation."""
    starts = [period.start for period in usage.periods if not period.reservation]
    return min(starts or [usage.periods[0].start])


def _of_reservation(tariff: Tariff, moment: _Moment, has_expired: bool) -> list[_Used]:
    """Of both kinds of elements, an expired one's go first, for each dimension."""
    kinds = [ReservationRestrictionType.RESERVATION]
    if has_expired:
        kinds.insert(0, ReservationRestrictionType.RESERVATION_EXPIRES)
    found = []
    reserved = moment.period.reservation or _hours(moment.period)
    for dimension, amount in (
        (TariffDimensionType.FLAT, Decimal(1)),
        (TariffDimensionType.TIME, reserved),
    ):
        for kind in kinds:
            entry = _component(tariff, replace(moment, kinds=frozenset({kind})), dimension)
            if entry is not None:
                found.append(_Used(tariff.id, *entry, True, amount))
                break
    return found


def _hours(period: Period) -> Decimal:
    return Decimal(str((period.end - period.start).total_seconds())) / _SECONDS_IN_HOUR


def _component(
    tariff: Tariff, moment: _Moment, dimension: TariffDimensionType
) -> tuple[int, PriceComponent] | None:
    """That of the first element that has the dimension and whose restrictions match."""
    for number, element in enumerate(tariff.elements):
        for component in element.price_components:
            if component.type is not dimension:
                continue
            matches = _matches(element.restrictions or TariffRestrictions(), moment)
            if matches is None:
                raise Unclear(
                    f"whether elements[{number}] of Tariff {tariff.id} applies is not told"
                )
            if matches:
                return number, component
    return None


def _whole(
    tariff: Tariff, moment: _Moment, dimension: TariffDimensionType
) -> tuple[int, PriceComponent] | None:
    """The component of a whole period: a CPO begins another when something matters to the costs.

    Where it did not, how much was used on each side is not told.
    """
    at_start = _component(tariff, moment, dimension)
    if dimension is TariffDimensionType.FLAT:
        return at_start
    for later in _boundaries(tariff, moment, dimension):
        if _component(tariff, later, dimension) != at_start:
            raise Unclear(
                f"the price of Tariff {tariff.id} changes within the period of "
                f"{moment.period.start:%Y-%m-%dT%H:%M:%SZ}"
            )
    return at_start


def _boundaries(
    tariff: Tariff, moment: _Moment, dimension: TariffDimensionType
) -> Iterator[_Moment]:
    """The moments after its beginning at which some restriction may begin or cease to match."""
    period = moment.period
    lasts = period.end - period.start
    for element in tariff.elements:
        limits = element.restrictions
        if limits is None or all(part.type is not dimension for part in element.price_components):
            continue
        for kwh in (limits.min_kwh, limits.max_kwh):
            at = moment.consumed if kwh is None else kwh
            if moment.consumed < at < moment.consumed + period.energy:
                yield replace(moment, consumed=at)
        for seconds in (limits.min_duration, limits.max_duration):
            after = timedelta(seconds=seconds or 0)
            if moment.lasted < after < moment.lasted + lasts:
                yield _later(moment, after - moment.lasted)
        for clock in _clocks(limits):
            for gap in _gaps(moment.local, lasts, clock):
                yield _later(moment, gap)


def _clocks(limits: TariffRestrictions) -> Iterator[time]:
    """At which times of the day they may begin or cease to match."""
    yield from (_time(at) for at in (limits.start_time, limits.end_time) if at is not None)
    if limits.day_of_week or limits.start_date or limits.end_date:
        yield _MIDNIGHT


def _later(moment: _Moment, by: timedelta) -> _Moment:
    period = replace(moment.period, start=moment.period.start + by)
    return replace(moment, period=period, lasted=moment.lasted + by)


def _gaps(local: datetime, lasts: timedelta, at: time) -> list[timedelta]:
    """How long after `local` the clock shows `at`, each day, before it has lasted so long."""
    found = []
    for days in range(lasts.days + 2):
        there = datetime.combine(local.date() + timedelta(days), at, local.tzinfo)
        gap = timedelta(seconds=there.timestamp() - local.timestamp())
        if timedelta(0) < gap < lasts:
            found.append(gap)
    return found


# --- Restrictions ---------------------------------------------------------------------------------


def _matches(limits: TariffRestrictions, moment: _Moment) -> bool | None:
    """All of them; None where it is not known."""
    kinds = frozenset({limits.reservation} if limits.reservation is not None else ())
    if kinds != moment.kinds:
        return False
    answers = [check(limits, moment) for check in _CHECKS]
    if False in answers:
        return False
    return None if None in answers else True


def _by_time(limits: TariffRestrictions, moment: _Moment) -> bool:
    start, end = limits.start_time, limits.end_time
    if start is None and end is None:
        return True
    now = moment.local.time()
    begins, ends = _time(start or "00:00"), _time(end or "00:00")
    if ends == _MIDNIGHT:
        return now >= begins
    return begins <= now < ends if begins <= ends else now >= begins or now < ends


def _by_day(limits: TariffRestrictions, moment: _Moment) -> bool:
    start, end, days = limits.start_date, limits.end_date, limits.day_of_week
    if start is not None and moment.local.date() < date.fromisoformat(start):
        return False
    if end is not None and moment.local.date() >= date.fromisoformat(end):
        return False
    return not days or _DAYS[moment.local.weekday()] in days


def _by_energy(limits: TariffRestrictions, moment: _Moment) -> bool:
    at_least, below = limits.min_kwh, limits.max_kwh
    if at_least is not None and moment.consumed < at_least:
        return False
    return below is None or moment.consumed < below


def _by_duration(limits: TariffRestrictions, moment: _Moment) -> bool:
    seconds, at_least, below = (
        moment.lasted.total_seconds(),
        limits.min_duration,
        limits.max_duration,
    )
    return (at_least is None or seconds >= at_least) and (below is None or seconds < below)


def _by_current(limits: TariffRestrictions, moment: _Moment) -> bool | None:
    return _within(moment.period.current, limits.min_current, limits.max_current)


def _by_power(limits: TariffRestrictions, moment: _Moment) -> bool | None:
    return _within(moment.period.power, limits.min_power, limits.max_power)


def _within(was: Range, at_least: Decimal | None, below: Decimal | None) -> bool | None:
    answers: list[bool | None] = []
    if at_least is not None:
        answers.append(was.reaches(at_least))
    if below is not None:
        reaches = was.reaches(below)
        answers.append(None if reaches is None else not reaches)
    if False in answers:
        return False
    return None if None in answers else True


_CHECKS: Final[tuple[Callable[[TariffRestrictions, _Moment], bool | None], ...]] = (
    _by_time,
    _by_day,
    _by_energy,
    _by_duration,
    _by_current,
    _by_power,
)


def _time(text: str) -> time:
    return time(int(text[:2]), int(text[3:5]))


# --- Blocks of step_size --------------------------------------------------------------------------


def _energy(used: Sequence[_Used]) -> list[Line]:
    """Rounded once for all of the session, by the last component."""
    of = [entry for entry in used if entry.component.type is TariffDimensionType.ENERGY]
    return _lines(of, of, _WH_IN_KWH)


def _times(used: Sequence[_Used]) -> list[Line]:
    """Charging and parking are rounded once together: the total of parking, where there was any."""
    of = [
        entry
        for entry in used
        if not entry.is_reservation
        and entry.component.type in (TariffDimensionType.TIME, TariffDimensionType.PARKING_TIME)
    ]
    parking = [e for e in of if e.component.type is TariffDimensionType.PARKING_TIME]
    if not parking:
        return _lines(of, of, _SECONDS_IN_HOUR)
    lines = _lines(of, parking, _SECONDS_IN_HOUR)
    if of[-1].component.type is TariffDimensionType.TIME:
        charging = [entry for entry in of if entry not in parking]
        if _sum(_lines(of, charging, _SECONDS_IN_HOUR)) != _sum(lines):
            raise Unclear("which time is rounded to its step_size when charging follows parking")
    return lines


def _reservations(used: Sequence[_Used]) -> list[Line]:
    of = [
        entry
        for entry in used
        if entry.is_reservation and entry.component.type is TariffDimensionType.TIME
    ]
    return _lines(of, of, _SECONDS_IN_HOUR)


def _flats(used: Sequence[_Used]) -> list[Line]:
    """Each is paid once; the text does not say what two of one session come to."""
    lines: list[Line] = []
    for is_reservation in (True, False):
        found = {
            (entry.tariff_id, entry.element): entry
            for entry in used
            if entry.component.type is TariffDimensionType.FLAT
            and entry.is_reservation == is_reservation
        }
        if len(found) > 1:
            raise Unclear("several FLAT components apply, one after the other")
        lines += [Line(*entry, billed=entry.amount) for entry in found.values()]
    return lines


def _lines(used: Sequence[_Used], rounded: Sequence[_Used], per_unit: Decimal) -> list[Line]:
    """A line for each component; what rounding adds to the total of `rounded` is the last one's."""
    if not used:
        return []
    last = rounded[-1]
    total = sum((entry.amount for entry in rounded), Decimal(0)) * per_unit
    step = Decimal(max(1, last.component.step_size))
    # What comes of hours with many decimals is not a step more.
    steps = (round(total, 3) / step).to_integral_value(ROUND_CEILING)
    added = (steps * step - total) / per_unit
    amounts: dict[tuple[str, int, TariffDimensionType], tuple[_Used, Decimal]] = {}
    for entry in used:
        key = (entry.tariff_id, entry.element, entry.component.type)
        first, amount = amounts.get(key, (entry, Decimal(0)))
        amounts[key] = (first, amount + entry.amount)
    lasts = (last.tariff_id, last.element, last.component.type)
    return [
        Line(
            entry.tariff_id,
            entry.element,
            entry.component,
            entry.is_reservation,
            used=amount,
            billed=amount + (added if key == lasts else 0),
        )
        for key, (entry, amount) in amounts.items()
    ]


def _sum(lines: Iterable[Line]) -> Amount:
    amounts = [(line.excl_vat, line.incl_vat) for line in lines]
    return Amount(
        sum((excl for excl, _ in amounts), Decimal(0)),
        sum((incl for _, incl in amounts), Decimal(0)),
    )


def _limited(total: Amount, tariffs: Sequence[Tariff]) -> Amount:
    """Within min_price and max_price, with and without VAT each."""
    if len(tariffs) > 1 and any(tariff.min_price or tariff.max_price for tariff in tariffs):
        raise Unclear("several Tariffs apply, and one of them has a least or greatest price")
    for tariff in tariffs:
        total = Amount(
            _between(total.excl_vat, tariff, lambda limit: limit.excl_vat),
            _between(total.incl_vat, tariff, lambda limit: limit.incl_vat),
        )
    return total


def _between(amount: Decimal, tariff: Tariff, side: Callable[[Price], Decimal | None]) -> Decimal:
    if tariff.min_price is not None and (least := side(tariff.min_price)) is not None:
        amount = max(amount, least)
    if tariff.max_price is not None and (most := side(tariff.max_price)) is not None:
        amount = min(amount, most)
    return amount
