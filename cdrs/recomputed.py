"""What a CDR bills beside what its Tariffs say (mod_cdrs: CDR object; mod_tariffs)."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from cdrs.objects import CDR, CdrDimensionType, ChargingPeriod
from hub.ocpi.datatypes import Price
from tariffs.objects import Tariff, TariffDimensionType
from tariffs.pricing import Amount, Bill, Line, Period, Range, Unclear, Usage, price

# Each amount of a CDR may be rounded; those of ISO 4217 that have no smaller unit, to a whole one.
_HALF_CENT: Final = Decimal("0.005")
_HALF: Final = Decimal("0.5")
_WHOLE_UNITS: Final = frozenset(
    {
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "HUF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    }
)
# Of a CPO that does not know when its session was (mod_cdrs, last note of the CDR object).
_LONG_AGO: Final = timedelta(days=365 * 30)
# Beyond this a CDR is not a session's, and would take a worker's time from all others.
_MOST: Final = 50_000
_LONG: Final = timedelta(days=31)
# The EVSE of a reservation that no session has followed (mod_cdrs: CdrLocation).
_NOT_AVAILABLE: Final = "#NA"
_COSTS: Final[dict[str, tuple[TariffDimensionType, ...]]] = {
    "total_fixed_cost": (TariffDimensionType.FLAT,),
    "total_energy_cost": (TariffDimensionType.ENERGY,),
    "total_time_cost": (TariffDimensionType.TIME,),
    "total_parking_cost": (TariffDimensionType.PARKING_TIME,),
}


class Difference(NamedTuple):
    """A field that bills something else; `elements` are those that it is computed by, in words."""

    field: str
    billed: Decimal
    computed: Decimal
    elements: Sequence[str]


def differences(cdr: CDR, tariffs: Sequence[Tariff], zone: tzinfo | None) -> list[Difference]:
    """Where the costs of a CDR are not those of its Tariffs; Unclear where nobody can say.

    `tariffs` are those that the CPO had published when the session began, for a CDR that does not
    bring its own; `zone` is that of its Location.
    """
    if cdr.credit:
        raise Unclear("a Credit CDR takes back what another one has billed")
    known = cdr.tariffs or tariffs
    parts = sum(len(element.price_components) for tariff in known for element in tariff.elements)
    if parts * len(cdr.charging_periods) > _MOST or cdr.end_date_time - cdr.start_date_time > _LONG:
        raise Unclear("it is too long to be computed")
    if any(tariff.currency != cdr.currency for tariff in known):
        raise Unclear("it is billed in another currency than its Tariff is in")
    if all(period.tariff_id is None for period in cdr.charging_periods):
        raise Unclear("none of its charging_periods names a Tariff")
    bill = price(known, usage(cdr, zone))
    found = list(_compared("total_cost", cdr.total_cost, bill.total, bill.lines, cdr))
    for name, dimensions in _COSTS.items():
        lines = [
            line
            for line in bill.lines
            if line.component.type in dimensions and not line.is_reservation
        ]
        found += _compared(name, getattr(cdr, name), bill.cost(*dimensions), lines, cdr)
    reserved = [line for line in bill.lines if line.is_reservation]
    amount = _reserved(bill)
    found += _compared("total_reservation_cost", cdr.total_reservation_cost, amount, reserved, cdr)
    return found


def billed_pauses(
    cdr: CDR, held: Collection[int], tariffs: Sequence[Tariff], zone: tzinfo | None
) -> list[Difference]:
    """What a CDR bills as PARKING_TIME of the periods in which a profile held the car back.

    `held` are their indices. The time, in hours, with the elements that price it; and its price,
    where it has one. Where the Tariffs leave the price open, the time alone.
    """
    told = [_parking_time(period) for period in cdr.charging_periods]
    paused = sum((hours for index, hours in enumerate(told) if index in held), Decimal(0))
    if not paused:
        return []
    all_hours = sum(told, Decimal(0))
    known = cdr.tariffs or tariffs
    try:
        bill = price(known, usage(cdr, zone))
        without = price(known, usage(_without_parking(cdr, held), zone))
    except Unclear:
        return [Difference("total_parking_time", all_hours, all_hours - paused, [])]
    lines = [each for each in bill.lines if each.component.type is TariffDimensionType.PARKING_TIME]
    elements = [f"elements[{line.element}] of Tariff {line.tariff_id}" for line in lines]
    found = [Difference("total_parking_time", all_hours, all_hours - paused, elements)]
    was, is_now = (each.cost(TariffDimensionType.PARKING_TIME).excl_vat for each in (bill, without))
    if was != is_now:
        found.append(Difference("total_parking_cost", was, is_now, elements))
    return found


def _parking_time(period: ChargingPeriod) -> Decimal:
    return sum(
        (one.volume for one in period.dimensions if one.type is CdrDimensionType.PARKING_TIME),
        Decimal(0),
    )


def _without_parking(cdr: CDR, held: Collection[int]) -> CDR:
    periods = []
    for index, period in enumerate(cdr.charging_periods):
        if index in held:
            left = [d for d in period.dimensions if d.type is not CdrDimensionType.PARKING_TIME]
            period = msgspec.structs.replace(period, dimensions=left)
        periods.append(period)
    return msgspec.structs.replace(cdr, charging_periods=periods)


def usage(cdr: CDR, zone: tzinfo | None) -> Usage:
    """What a CDR says of its session, or of a reservation that no session has followed."""
    periods = sorted(cdr.charging_periods, key=lambda period: period.start_date_time)
    ends = [period.start_date_time for period in periods[1:]] + [cdr.end_date_time]
    if periods[0].start_date_time.timestamp() < _LONG_AGO.total_seconds():
        raise Unclear("it does not say when the session was")
    if ends[-1] < periods[-1].start_date_time:
        raise Unclear("its last charging period begins after its end")
    has_expired = cdr.cdr_location.evse_uid == _NOT_AVAILABLE
    listed = [used_in(period, end) for period, end in zip(periods, ends, strict=True)]
    return Usage(listed, zone, has_expired)


def used_in(period: ChargingPeriod, end: datetime) -> Period:
    """What a ChargingPeriod says was used until its end."""
    volumes: dict[CdrDimensionType, Decimal] = {}
    for dimension in period.dimensions:
        volume = volumes.get(dimension.type, Decimal(0))
        volumes[dimension.type] = volume + dimension.volume
    energy = volumes.get(CdrDimensionType.ENERGY, Decimal(0))
    charging = volumes.get(CdrDimensionType.TIME, Decimal(0))
    # A CPO begins a period when its power matters: where nothing is told of it, the mean does.
    mean = energy / charging if charging else None
    return Period(
        period.start_date_time,
        end,
        period.tariff_id,
        energy,
        charging,
        volumes.get(CdrDimensionType.PARKING_TIME, Decimal(0)),
        volumes.get(CdrDimensionType.RESERVATION_TIME, Decimal(0)),
        Range(volumes.get(CdrDimensionType.MIN_CURRENT), volumes.get(CdrDimensionType.MAX_CURRENT)),
        Range(
            volumes.get(CdrDimensionType.MIN_POWER, mean),
            volumes.get(CdrDimensionType.MAX_POWER, mean),
        ),
    )


def _reserved(bill: Bill) -> Amount:
    return bill.cost(*TariffDimensionType, is_reservation=True)


def _compared(
    field: str, billed: Price | None, computed: Amount, lines: Sequence[Line], cdr: CDR
) -> Iterable[Difference]:
    """Each side of an amount that the CDR gives; of two that differ, the one without VAT."""
    if billed is None:
        return
    unit = _HALF if cdr.currency in _WHOLE_UNITS else _HALF_CENT
    # What each period costs may have been rounded, or each line, and then the sum.
    allowed = unit * (max(len(lines), len(cdr.charging_periods)) + 1)
    sides = [(billed.excl_vat, computed.excl_vat)]
    if billed.incl_vat is not None:
        sides.append((billed.incl_vat, computed.incl_vat))
    for value, amount in sides:
        if abs(value - amount) > allowed:
            elements = [f"elements[{line.element}] of Tariff {line.tariff_id}" for line in lines]
            yield Difference(field, value, amount, elements)
            return
