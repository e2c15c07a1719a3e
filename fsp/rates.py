"""Limits in the unit of the CPO, and what they are worth in kW (mod_charging_profiles).

W is the total power, A the current of each phase, and OCPI does not say how many phases a
session has. So an ampere is worth a range where they are not known: needs are counted with its
lower end, site limits with its upper end. Nothing is converted by an assumed number of phases.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from charging_profiles.objects import ChargingRateUnit

VOLTS: Final = 230.0  # of one phase against neutral, IEC 60038
MOST_PHASES: Final = 3
# Below this a difference is one of floating point, in any of the units.
NOTHING: Final = 1e-6


@dataclass(frozen=True)
class Scale:
    """One unit of a limit is worth at least `least_kw` and at most `most_kw`."""

    unit: ChargingRateUnit
    least_kw: float
    most_kw: float

    @classmethod
    def watts(cls) -> "Scale":
        """The total power: known exactly."""
        return cls(ChargingRateUnit.W, 0.001, 0.001)

    @classmethod
    def amperes(cls, phases: int | None = None, volts: float = VOLTS) -> "Scale":
        """The current of each of `phases`; None where nobody has said how many there are."""
        least, most = (1, MOST_PHASES) if phases is None else (phases, phases)
        return cls(ChargingRateUnit.A, least * volts / 1000, most * volts / 1000)

    def load_on(self, other: "Scale") -> float:
        """How much of a limit in the `other` unit one unit of this takes at most.

        A site's amperes are those of its fullest phase: a session's amperes count as they are, and
        its watts as if they were all on as few phases as are possible.
        """
        return 1.0 if self.unit is other.unit else self.most_kw / other.least_kw

    def limit_for(self, kw: float) -> float:
        """The highest limit, of one decimal, that surely lets through no more than so many kW."""
        return one_decimal(kw / self.most_kw)

    def carried_to(self, other: "Scale", limit: float) -> float:
        """The limit in another unit: never worth more than this one; there and back never more."""
        return other.limit_for(limit * self.least_kw)


def one_decimal(value: float) -> float:
    """Rounded down to what a limit may have: at most one digit after the point."""
    return math.floor(value * 10 + NOTHING) / 10


def as_decimal(limit: float) -> Decimal:
    """A limit of one decimal as it is written into a profile."""
    return Decimal(round(limit)) if limit == round(limit) else Decimal(str(round(limit, 1)))
