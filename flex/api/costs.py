"""What a session has cost until now, and what its steering has saved (mod_tariffs). Pure.

The saving is against charging the same energy uncontrolled: at the full rate, from the beginning of
the session on. Both are energy alone, by the price of each quarter of an hour, without VAT; fixed
and parking costs are the same or nobody's doing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from flex.api import prices
from flex.api.prices import STEP, Driven
from tariffs.objects import Tariff
from tariffs.pricing import Period, Unclear, Usage, price

_CENT: Final = Decimal("0.0001")
_LONGEST: Final = timedelta(days=7)
_Steps = Mapping[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class Saved:
    """What the energy has cost, and what it would have cost uncontrolled."""

    controlled: Decimal
    uncontrolled: Decimal


def so_far(tariff: Tariff, periods: Sequence[Period], zone: tzinfo | None) -> Decimal:
    """What the periods cost by the Tariff, all of it; Unclear where nobody can say."""
    return price([tariff], Usage(periods, zone)).total.excl_vat.quantize(_CENT)


def saved(tariff: Tariff, periods: Sequence[Period], zone: tzinfo | None, watts: Decimal) -> Saved:
    """By the energy of the periods, and by the full rate in W; Unclear where nobody can say."""
    energy = sum((period.energy for period in periods), Decimal(0))
    if not periods or energy <= 0:
        raise Unclear("no charging period tells of energy yet")
    if not prices.is_of_the_clock_alone(tariff):
        raise Unclear(f"the price of Tariff {tariff.id} depends on more than the time of day")
    began = min(period.start for period in periods)
    hours = energy * 1000 / watts
    full = began + timedelta(hours=float(hours))
    until = max(full, *(period.end for period in periods))
    if until - began > _LONGEST:
        raise Unclear("the session is too long to be computed")
    steps = _prices(tariff, zone, began, until)
    controlled = sum((_cost(steps, one.start, one.end, one.energy) for one in periods), Decimal(0))
    uncontrolled = _cost(steps, began, full, energy)
    return Saved(controlled.quantize(_CENT), uncontrolled.quantize(_CENT))


def _prices(tariff: Tariff, zone: tzinfo | None, begin: datetime, end: datetime) -> _Steps:
    found: dict[datetime, Decimal] = {}
    for step in prices.steps(tariff, Driven(begin, Decimal(0)), zone, begin, end):
        if step.per_kwh is None:
            raise Unclear(step.why)
        found[step.start] = step.per_kwh
    return found


def _cost(steps: _Steps, start: datetime, end: datetime, energy: Decimal) -> Decimal:
    """Of energy that was taken evenly from start to end."""
    seconds = Decimal(str((end - start).total_seconds()))
    if seconds <= 0:
        at = max(begin for begin in steps if begin <= start)
        return energy * steps[at]
    total = Decimal(0)
    for begin, per_kwh in steps.items():
        overlap = (min(end, begin + STEP) - max(start, begin)).total_seconds()
        if overlap > 0:
            total += energy * Decimal(str(overlap)) / seconds * per_kwh
    return total
