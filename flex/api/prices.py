"""A Tariff as a price per step (mod_tariffs; SCALE D2.3, 8.4): what a kWh costs, and when. Pure.

Each step is asked of `tariffs.pricing`, as a short period of a session that has charged so much
already: what that cannot say is unclear here too, and never a guess.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from tariffs.objects import Tariff, TariffDimensionType
from tariffs.pricing import Line, Period, Unclear, Usage, price

STEP: Final = timedelta(minutes=15)
# So little of a kWh that no step_size or restriction is reached by it.
_BIT: Final = Decimal("0.000001")
_PER_UNIT: Final = {TariffDimensionType.ENERGY, TariffDimensionType.TIME}
# What restrictions ask of how the session goes on, beside the time of day.
_BY_ENERGY: Final = ("min_kwh", "max_kwh")
_BY_POWER: Final = ("min_power", "max_power", "min_current", "max_current")


@dataclass(frozen=True, slots=True)
class Step:
    """What is paid from `start` on, for 15 minutes; None where it is not known, and then `why`.

    `per_kwh` of energy and `per_hour` of charging, without VAT; VAT in percent.
    """

    start: datetime
    per_kwh: Decimal | None = None
    per_kwh_vat: Decimal | None = None
    per_hour: Decimal | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Driven:
    """How a session went until now: when it began, and the kWh that it has charged."""

    began: datetime
    kwh: Decimal


def steps(
    tariff: Tariff, driven: Driven, zone: tzinfo | None, begin: datetime, end: datetime
) -> list[Step]:
    """The price of each quarter of an hour that touches `begin` to `end`."""
    return [_step(tariff, driven, zone, start) for start in _quarters(begin, end)]


def _quarters(begin: datetime, end: datetime) -> Iterator[datetime]:
    at = datetime.fromtimestamp(begin.timestamp() // 900 * 900, UTC)
    while at < end:
        yield at
        at += STEP


def _step(tariff: Tariff, driven: Driven, zone: tzinfo | None, start: datetime) -> Step:
    began = min(driven.began, start)
    hours = Decimal(int(STEP.total_seconds())) / 3600
    periods = [
        Period(began, start, None, driven.kwh),
        Period(start, start + STEP, tariff.id, _BIT, hours),
    ]
    try:
        lines = price([tariff], Usage(periods[began == start :], zone)).lines
    except Unclear as error:
        return Step(start, why=str(error))
    except (ArithmeticError, ValueError) as error:
        return Step(start, why=beyond(error))
    energy = _line(lines, TariffDimensionType.ENERGY)
    charging = _line(lines, TariffDimensionType.TIME)
    return Step(
        start,
        energy.component.price if energy else Decimal(0),
        energy.component.vat if energy else None,
        charging.component.price if charging else None,
    )


def beyond(error: ArithmeticError | ValueError) -> str:
    """Why nothing is computed of 1e300 kWh, or the year 1: no other session is kept by it."""
    return f"it has a value that cannot be computed with: {error}"


def _line(lines: Sequence[Line], dimension: TariffDimensionType) -> Line | None:
    found = (line for line in lines if line.component.type is dimension)
    return next(found, None)


def unclear(tariff: Tariff) -> list[str]:
    """What of a Tariff no price per step can show, element by element, in words."""
    found = []
    for number, element in enumerate(tariff.elements):
        name, limits = f"elements[{number}] of Tariff {tariff.id}", element.restrictions
        if limits is not None and limits.reservation is not None:
            continue
        if limits is not None and any(getattr(limits, one) is not None for one in _BY_ENERGY):
            found.append(f"{name} depends on the kWh charged: the steps show what the next one is.")
        if limits is not None and any(getattr(limits, one) is not None for one in _BY_POWER):
            found.append(f"{name} depends on the power, which is not known beforehand.")
        for component in element.price_components:
            if component.type not in _PER_UNIT:
                found.append(f"{name} has a price of {component.type}, which is in no step.")
    if tariff.min_price is not None or tariff.max_price is not None:
        found.append(f"Tariff {tariff.id} has a least or a greatest price of the whole session.")
    return found


def is_of_the_clock_alone(tariff: Tariff) -> bool:
    """Whether its steps are the same for all sessions."""
    limits = [element.restrictions for element in tariff.elements if element.restrictions]
    names = (*_BY_ENERGY, *_BY_POWER, "min_duration", "max_duration")
    return not any(getattr(one, name) is not None for one in limits for name in names)
