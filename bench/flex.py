"""The planner of the reference FSP: groups against HiGHS alone, real sessions at real prices."""

import argparse
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from zoneinfo import ZoneInfo

import numpy as np

from bench import flex_histories, flex_load
from bench.flex_sessions import replay
from fsp.group import Group, Member, Site
from fsp.group_plan import GroupPlan, is_within, plan_group
from fsp.linear import INFINITE, Columns, solve, solver
from fsp.needs import Bounds, Need
from fsp.planner import Grid
from fsp.prices import Series
from fsp.rates import Scale

STEPS = 96
QUARTER = 900
SEED = 20_26
MONDAY = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Size:
    """A group, what the limit allows a session, and what its plan may take of the bare problem."""

    sessions: int
    kw_each: float
    most: float


SIZES = (Size(1_000, 2.0, 2.0), Size(1_000, 1.2, 2.0), Size(10_000, 2.0, 3.0))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.add_argument(
        "--histories", type=int, help="so many random histories of FSPs instead, on real tables"
    )
    parser.add_argument("--first", type=int, default=0, help="the seed of the first history")
    parser.add_argument("--processes", type=int, default=1, help="that share the histories")
    parser.add_argument("--load", action="store_true", help="a hub with many live sessions")
    parser.add_argument("--live", type=int, default=10_000, help="so many, of the load")
    parser.add_argument("--ended", type=int, default=0, help="and so many that have ended")
    parser.add_argument("--against", type=Path, help="a checkout of an older hub, in turn with it")
    parser.add_argument("--quick", action="store_true", help="short rounds; no group of 10,000")
    parser.add_argument(
        "--sessions", type=Path, help="charging sessions (CSV), replayed one by one"
    )
    parser.add_argument("--prices", type=Path, help="their prices: start_utc,eur_per_mwh (CSV)")
    parser.add_argument("--zone", type=ZoneInfo, default="Europe/Amsterdam", help="of both files")


def run(options: argparse.Namespace) -> int:
    """Measure, print; 1 where something promised was missed."""
    if options.histories:
        return flex_histories.run(options.histories, options.first, options.processes)
    if options.load:
        return flex_load.run(options)
    if bool(options.sessions) != bool(options.prices):
        sys.stderr.write("script/bench flex: --sessions and --prices belong together\n")
        return 2
    if options.sessions:
        return replay(options.sessions, options.prices, ZoneInfo(str(options.zone)))
    sizes = [size for size in SIZES if size.sessions <= 1_000 or not options.quick]
    return 0 if all(list(map(_compare, sizes))) else 1


def _compare(size: Size) -> bool:
    """CPU time of the whole plan against that of HiGHS alone, which is given the bare problem."""
    group = _group(size)
    columns = _bare(group)
    begin = process_time()
    bare = solve(solver(columns))
    bare_seconds = process_time() - begin
    begin = process_time()
    planned = plan_group(group)
    seconds = process_time() - begin
    least = float(bare[-len(group.members) :].sum())
    ratio = seconds / bare_seconds
    short = _worst_shortfall(group, planned)
    within = is_within(group, [plan.schedule for plan in planned.plans])
    worst = min(
        p.energy_kwh / m.asked_kwh for p, m in zip(planned.plans, group.members, strict=True)
    )
    met = ratio <= size.most and short <= 1 and within
    sys.stdout.write(
        f"{size.sessions:,} x {STEPS}, {size.kw_each} kW each: {seconds:.1f} s of CPU, "
        f"{ratio:.2f} times the bare LP's {bare_seconds:.1f} s (at most {size.most:g}); "
        f"unmet {planned.unmet_kwh:,.1f} kWh, LP bound {least:,.1f}; worst session "
        f"{short:.2f} minimum-rate steps above its bound; worst served share {worst:.0%}; "
        f"capacity {'kept' if within else 'EXCEEDED'}: {'met' if met else 'MISSED'}\n"
    )
    sys.stdout.flush()
    return met


def _group(size: Size) -> Group:
    """Cars of one and three phases that want 5 to 40 kWh within 6 to 24 hours."""
    random = np.random.default_rng(SEED)
    wave = 0.05 * np.sin(np.arange(STEPS) / STEPS * 4 * np.pi)
    prices = Series(MONDAY, QUARTER, 0.1 + wave + random.normal(0, 0.01, STEPS))
    members = []
    for _ in range(size.sessions):
        scale = Scale.amperes(int(random.choice([1, 3])))
        maximum = float(random.choice([16, 32]))
        stay = int(random.integers(STEPS // 4, STEPS + 1)) * QUARTER
        feasible = 0.9 * maximum * scale.least_kw * stay / 3600
        need = Need(energy_kwh=min(float(random.uniform(5, 40)), feasible), departure=MONDAY + stay)
        members.append(Member(need, Bounds(scale, maximum, 6.0)))
    limit = size.sessions * size.kw_each * 1000
    return Group(members, Site(Scale.watts(), ((MONDAY, limit),)), Grid(prices), MONDAY)


def _bare(group: Group) -> Columns:
    """The same powers, needs, limits and prices; one column of each session for what is unmet."""
    members = len(group.members)
    rows, steps = np.nonzero(group.hours > 0)
    count = len(rows)
    kw = group.kw[rows]
    entries = np.stack((rows, members + steps), axis=1).ravel()
    values = np.stack((group.hours[rows, steps], group.load[rows] / kw), axis=1).ravel()
    prices = group.grid.prices.means(group.edges)
    dearest = 100.0 * (1.0 + float(np.abs(prices).max()))
    return Columns(
        np.concatenate((prices[steps] * group.hours[rows, steps], [dearest] * members)),
        np.zeros(count + members),
        np.concatenate((group.highest[rows, steps] * kw, group.need_kwh)),
        np.concatenate((group.need_kwh, np.full(len(group.room), -INFINITE))),
        np.concatenate((group.need_kwh, group.room)),
        np.concatenate((np.arange(0, 2 * count, 2), 2 * count + np.arange(members + 1))).astype(
            np.int32
        ),
        np.concatenate((entries, np.arange(members))).astype(np.int32),
        np.concatenate((values, np.ones(members))),
    )


def _worst_shortfall(group: Group, planned: GroupPlan) -> float:
    """Of one session: what it lacks beyond the linear problem's, in steps at its minimum rate."""
    met = np.array([plan.energy_kwh for plan in planned.plans])
    beyond = group.need_kwh - met - planned.bound.unmet_kwh
    return float((beyond / (group.minimum * group.kw * QUARTER / 3600)).max())
