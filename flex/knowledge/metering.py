"""What a Session's ChargingPeriods say of its power and energy (mod_cdrs: ChargingPeriod).

Pure. A period ends when the next one starts; volumes are those of CdrDimensionType: kW, A, kWh, %.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from hub.ocpi import heads, lenient

_MOST: Final = 5_000
_WATTS: Final = 1000
# A mean over less than this says nothing.
SHORTEST: Final = 30  # seconds


@dataclass(frozen=True, slots=True)
class Metered:
    """One charging period; `end` is None where neither a next one nor the Session tells it."""

    begin: datetime
    end: datetime | None
    volumes: dict[str, Decimal] = field(default_factory=dict)
    tariff_id: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasted; 0 where nobody knows."""
        return 0.0 if self.end is None else (self.end - self.begin).total_seconds()

    @property
    def power(self) -> Decimal | None:
        """Mean power in W: as told, or energy over time."""
        told = self.volumes.get("POWER")
        if told is not None:
            return told * _WATTS
        energy = self.volumes.get("ENERGY", self.volumes.get("ENERGY_IMPORT"))
        if energy is None or self.seconds < SHORTEST:
            return None
        return energy * _WATTS * 3600 / Decimal(self.seconds)

    @property
    def highest_power(self) -> Decimal | None:
        """The most that flowed at any time of it, in W, as far as it is told."""
        told = self.volumes.get("MAX_POWER")
        return self.power if told is None else told * _WATTS

    @property
    def lowest_power(self) -> Decimal | None:
        """The least, in W."""
        told = self.volumes.get("MIN_POWER")
        return self.power if told is None else told * _WATTS


def periods_of(found: Any, until: datetime | None) -> tuple[Metered, ...]:
    """The periods of a document, by time; `until` ends the last one. What is odd is left out."""
    if not isinstance(found, list):
        return ()
    begun = sorted(_begun(found[:_MOST]), key=lambda one: one[0])
    ends = [*[moment for moment, _, _ in begun[1:]], until][: len(begun)]
    return tuple(
        Metered(begin, end if end is None or end > begin else None, volumes, tariff)
        for (begin, volumes, tariff), end in zip(begun, ends, strict=True)
    )


def _begun(found: Sequence[Any]) -> Iterator[tuple[datetime, dict[str, Decimal], str]]:
    for period in found:
        if not isinstance(period, dict):
            continue
        begin = lenient.moment(period.get("start_date_time"))
        if begin is not None:
            volumes = dict(_volumes(period.get("dimensions")))
            yield lenient.clamped(begin), volumes, heads.text(period.get("tariff_id"))


def _volumes(dimensions: Any) -> Iterator[tuple[str, Decimal]]:
    for dimension in dimensions if isinstance(dimensions, list) else ():
        if isinstance(dimension, dict):
            volume = lenient.number(dimension.get("volume"))
            if volume is not None:
                yield heads.word(dimension.get("type")), volume
