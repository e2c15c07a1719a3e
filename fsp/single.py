"""The best schedule for one session: exact, in the order of what is to be little.

Why it is exact, with rates of 0 or at least the minimum: a limit may change at any second, so a
step that is needed in part runs at its full rate for a part of it, instead of the whole time at a
rate that may be too low. Every rate is then 0 or the highest one, which is at least the minimum,
and the result is that of the linear problem without a minimum, below which no schedule can be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fsp.needs import First
from fsp.rates import NOTHING, Scale
from fsp.schedule import MOST_PERIODS, Schedule


@dataclass(frozen=True)
class Steps:
    """The time until departure: step i from edges[i] to edges[i + 1], its key, its highest rate.

    Keys are compared and no more (EUR, kg CO2, or tuples of both); rates of 0 forbid a step.
    """

    edges: Sequence[int]
    keys: Sequence[Any]
    rates: Sequence[float]

    def without(self, banned: frozenset[int]) -> "Steps":
        """The same with these steps forbidden."""
        rates = [0.0 if i in banned else rate for i, rate in enumerate(self.rates)]
        return Steps(self.edges, self.keys, rates)


def fill(
    steps: Steps, need_kwh: float, scale: Scale, *, latest: bool = False, first: First | None = None
) -> dict[int, int]:
    """For how many seconds each step runs at its rate; steps that do not run are left out.

    Of steps with the same key the earliest come first, or the `latest`. Less than the need is met
    only where all steps run. Seconds are rounded up, which is less than a second's energy too much.
    `first` is taken out of the best steps before its time, and the rest out of all that are left:
    exact too, since every schedule that meets both may use these steps.
    """
    direction = -1 if latest else 1
    order = sorted(range(len(steps.rates)), key=lambda i: (steps.keys[i], direction * i))
    running: dict[int, int] = {}
    if first is not None:
        before = [i for i in order if steps.edges[i + 1] <= first.until]
        _run(steps, before, min(first.energy_kwh, need_kwh), scale, running)
    _run(steps, order, need_kwh, scale, running)
    return running


def _run(
    steps: Steps, order: Sequence[int], kwh: float, scale: Scale, running: dict[int, int]
) -> None:
    """Raise what runs to so much energy in all, in this order of steps."""
    missing = kwh * 3600 / scale.least_kw
    missing -= sum(steps.rates[i] * seconds for i, seconds in running.items())
    for i in order:
        if missing <= NOTHING:
            break
        rate, runs = steps.rates[i], running.get(i, 0)
        length = steps.edges[i + 1] - steps.edges[i] - runs
        if rate > 0 and length > 0:
            running[i] = runs + min(length, math.ceil(missing / rate - NOTHING))
            missing -= (running[i] - runs) * rate


def best_schedule(
    steps: Steps,
    need_kwh: float,
    scale: Scale,
    tail: float,
    *,
    latest: bool = False,
    first: First | None = None,
) -> Schedule:
    """The schedule of the least keys, then `tail` from the last edge on, in at most 20 periods.

    Where the exact one has more periods, its shortest runs are forbidden one after the other, as
    long as the rest has the energy; else it is the full rate from the first second on.
    """
    banned: frozenset[int] = frozenset()
    enough = min(need_kwh, _reach(steps, scale)) - NOTHING
    while _reach(steps.without(banned), scale) >= enough:
        allowed = steps.without(banned)
        running = fill(allowed, need_kwh, scale, latest=latest, first=first)
        schedule = _scheduled(allowed, running, tail, latest=latest)
        if len(schedule.steps) <= MOST_PERIODS:
            return schedule
        banned |= _shortest_run(running)
    return _at_once(steps, need_kwh, scale, tail)


def _at_once(steps: Steps, need_kwh: float, scale: Scale, tail: float) -> Schedule:
    """The earliest steps; where limits change too often for 20 periods, without the shortest runs.

    One run whose limits change too often has the lowest one of several steps.
    """
    together = 1
    while True:
        rates = [
            min(steps.rates[i - i % together : i - i % together + together])
            for i in range(len(steps.rates))
        ]
        coarse = Steps(steps.edges, list(range(len(rates))), rates)
        running = fill(coarse, need_kwh, scale)
        while True:
            schedule = _scheduled(coarse, running, tail, latest=False)
            if len(schedule.steps) <= MOST_PERIODS:
                return schedule
            shortest = _shortest_run(running)
            if len(shortest) == len(running):
                break
            running = {i: seconds for i, seconds in running.items() if i not in shortest}
        together *= 2


def _reach(steps: Steps, scale: Scale) -> float:
    lengths = (end - begin for begin, end in zip(steps.edges, steps.edges[1:], strict=False))
    return sum(
        rate * scale.least_kw * length / 3600
        for rate, length in zip(steps.rates, lengths, strict=True)
    )


def _shortest_run(running: dict[int, int]) -> frozenset[int]:
    """Of the runs of neighbouring steps the one of the fewest seconds, the later of two."""
    runs: list[list[int]] = []
    for i in sorted(running):
        if runs and runs[-1][-1] == i - 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    return frozenset(min(reversed(runs), key=lambda run: sum(running[i] for i in run)))


def _scheduled(steps: Steps, running: dict[int, int], tail: float, *, latest: bool) -> Schedule:
    """A step that runs in part does so beside a neighbour that runs, else at its own beginning."""
    told: list[tuple[int, float]] = []
    for i, (begin, end) in enumerate(zip(steps.edges, steps.edges[1:], strict=False)):
        seconds, rate = running.get(i, 0), steps.rates[i]
        if begin == end:
            continue
        before, after = running.get(i - 1), running.get(i + 1)
        if not seconds:
            told.append((begin, 0.0))
        elif seconds < end - begin and ((after and not before) or (latest and not before)):
            told += [(begin, 0.0), (end - seconds, rate)]
        else:
            told += [(begin, rate), (begin + seconds, 0.0 if begin + seconds < end else rate)]
    return Schedule.of([*told, (steps.edges[-1], tail)])
