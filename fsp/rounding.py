"""Powers of a linear problem as rates that can be told: one decimal, 0 or at least the minimum.

A rate below the minimum becomes the minimum, or more, for a part of its step; what a step has no
room for moves to others. The limit holds at every second, since a rate that runs for a part of a
step counts for the whole of it.
"""

import math
from dataclasses import dataclass

import numpy as np

from fsp.group import Array, Group
from fsp.rates import NOTHING, one_decimal

# Of a member: less is not worth a change (kWh).
CRUMB_KWH = 1e-4


@dataclass
class Rounded:
    """`rate` of members and steps, for so many `seconds`; `room` is left of the limit."""

    group: Group
    rate: Array
    seconds: Array
    room: Array

    def kwh(self) -> Array:
        """Energy of members and steps."""
        return self.rate * self.seconds / 3600 * self.group.kw[:, None]


def rounded(group: Group, kw: Array) -> Rounded:
    """Round down, then give back what was lost: the worst served first."""
    rate = np.floor(kw / group.kw[:, None] * 10 + 1e-5) / 10
    rate[rate < group.minimum[:, None] - NOTHING] = 0.0
    seconds = np.where(rate > 0, group.hours * 3600, 0.0)
    room = group.room - group.load @ rate
    result = Rounded(group, rate, seconds, room)
    wanted = (kw * group.hours).sum(axis=1)
    lost = wanted - result.kwh().sum(axis=1)
    asked = np.array([max(m.asked_kwh, 1e-9) for m in group.members])
    for row in np.argsort(-lost / asked, kind="stable"):
        if lost[row] <= CRUMB_KWH:
            break
        _give_back(result, int(row), float(lost[row]))
    return result


def _give_back(result: Rounded, row: int, lost: float) -> None:
    """Raise rates, or run at more steps, from the cheapest step on, until nothing is lost."""
    group = result.group
    full = group.hours[row] * 3600
    own = result.rate[row]
    free = np.floor((own + result.room / group.load[row]) * 10 + 1e-5) / 10
    can = np.minimum(free, group.highest[row])
    gain = can * full - own * result.seconds[row]
    steps = np.nonzero((can >= group.minimum[row] - NOTHING) & (gain > NOTHING))[0]
    for step in steps[np.argsort(group.keys[row, steps], kind="stable")]:
        lost -= _raise(result, row, int(step), float(can[step]), lost)
        if lost <= CRUMB_KWH:
            return


def _raise(result: Rounded, row: int, step: int, can: float, lost: float) -> float:
    """One step takes as much as it can of what is lost; the energy that it took (kWh)."""
    group = result.group
    kw, length = group.kw[row], group.hours[row, step] * 3600
    had = result.rate[row, step] * result.seconds[row, step]
    target = had + lost * 3600 / kw
    rate = min(can, max(group.minimum[row], math.ceil(target / length * 10 - NOTHING) / 10))
    seconds = min(length, math.ceil(target / rate - NOTHING))
    result.room[step] -= (rate - result.rate[row, step]) * group.load[row]
    result.rate[row, step], result.seconds[row, step] = one_decimal(rate), seconds
    return float((result.rate[row, step] * seconds - had) * kw / 3600)
