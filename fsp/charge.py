"""States of charge as energy: what the wishes of the driver's app are worth (SCALE D2.3, 11.1).

OCPI tells a state of charge (charging periods, STATE_OF_CHARGE) and no capacity of a battery. That
is learned of the session: the energy between two states of charge that were told beside the meter;
or of the EV's own word, where the CPO carries it (`ev_constraints`, docs/flexibility.md).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fsp.flex_api import Wishes
from fsp.needs import First, Need

# Of so many percent at least a capacity is learned: states of charge are told as whole numbers.
CLEARLY: Final = 5.0
# kWh; beyond these nobody's car.
LEAST, MOST = 2.0, 1000.0


@dataclass
class Charge:
    """What a session has told of its battery: (meter, percent) first and last, and its own word."""

    first: tuple[float, float] | None = None
    last: tuple[float, float] | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    def take(self, session: Mapping[str, Any]) -> None:
        """Look at a Session as it came."""
        told = session.get("ev_constraints")
        self.told = told if isinstance(told, dict) else {}
        percent = _number(self.told.get("present_soc"))
        if percent is None:
            percent = _of_periods(session)
        kwh = _number(session.get("kwh"))
        if percent is None or kwh is None or not 0 <= percent <= 100:
            return
        self.last = (kwh, percent)
        # Energy that flows back leaves a lower one: what is learned is between the two.
        if self.first is None:
            self.first = self.last

    @property
    def percent(self) -> float | None:
        """The state of charge as it was told last."""
        return None if self.last is None else self.last[1]

    @property
    def capacity_kwh(self) -> float | None:
        """At the meter, losses and all; None while nobody can know it."""
        told = _number(self.told.get("max_energy_request")), _number(self.told.get("max_soc"))
        if self.last is None or self.first is None:
            return None
        energy, most = told
        if energy is not None and most is not None and most - self.last[1] >= CLEARLY:
            return _plausible(energy / (most - self.last[1]) * 100)
        gained, charged = self.last[1] - self.first[1], self.last[0] - self.first[0]
        return _plausible(charged / gained * 100) if gained >= CLEARLY and charged > 0 else None

    def energy_to(self, percent: float) -> float | None:
        """kWh from now until this state of charge; below 0 where it is over it."""
        capacity = self.capacity_kwh
        if capacity is None or self.last is None:
            return None
        return (percent - self.last[1]) / 100 * capacity


def wished(
    left: Need, wishes: Wishes | None, charge: Charge, kw: float, now: int
) -> tuple[Need, tuple[str, ...]]:
    """What is left to be done, with the states of charge that are wished; and why one is not.

    `kw` is what the car charges with at its full rate. `target_soc` says exactly how much is left,
    so it counts before `energy_need`; `max_soc` is never passed; `min_soc` comes as soon as it can.
    """
    if wishes is None:
        return left, ()
    socs = {name: getattr(wishes, name) for name in ("target_soc", "max_soc", "min_soc")}
    asked = {name: value for name, value in socs.items() if value is not None}
    if not asked:
        return left, ()
    energies = {name: charge.energy_to(value) for name, value in asked.items()}
    if any(energy is None for energy in energies.values()):
        why = "its state of charge is" if charge.percent is None else "its battery's capacity is"
        return left, tuple(f"{name} {v:g} %: {why} not known" for name, v in asked.items())
    told = {name: max(0.0, energy) for name, energy in energies.items() if energy is not None}
    energy = told.get("target_soc", left.energy_kwh)
    if "max_soc" in told:
        energy = told["max_soc"] if energy is None else min(energy, told["max_soc"])
    least = told.get("min_soc", 0.0)
    if energy is not None and least > energy:
        energy = least  # The range for an emergency comes before what is asked beyond it.
    need = replace(left, energy_kwh=energy)
    if least > 0 and kw > 0:
        need = replace(need, first=First(least, now + math.ceil(least / kw * 3600)))
    return need, ()


def _of_periods(session: Mapping[str, Any]) -> float | None:
    for period in reversed(_objects(session.get("charging_periods"))):
        for one in _objects(period.get("dimensions")):
            if one.get("type") == "STATE_OF_CHARGE":
                return _number(one.get("volume"))
    return None


def _objects(value: object) -> list[dict[str, Any]]:
    """Those of a list; none of what should be one and is not."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e9 else None


def _plausible(kwh: float) -> float | None:
    return kwh if LEAST <= kwh <= MOST else None
