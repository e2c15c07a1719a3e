"""Energy for each member of a group at each step: a linear problem (least unmet, fair, cheapest).

Columns are the powers (kW) of the members at the steps before their departure, the parts of the
needs that remain unmet (kWh), and the peak (kW). Rows are the needs, the limit at each step, and
the capacity periods.
Minimum rates are not part of it (fsp/rounding.py): so no schedule can be better.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsp.group import Array, Group
from fsp.linear import INFINITE, Columns, solve, solver

# A missing kWh costs so many times the dearest one.
FAR_DEARER = 100.0
# Of all members together: less counts as met (kWh).
MET_KWH = 1e-3
# The first part of a need is worth so many times the last one, so that all get the same share.
FIRST_PART = 4.0


@dataclass(frozen=True)
class Allocation:
    """`kw` of members (rows) and steps; `unmet_kwh` of members; the peak; the cost of all (EUR)."""

    kw: Array
    unmet_kwh: Array
    peak_kw: float
    cost: float


def _is_short(group: Group) -> bool:
    """Surely not all can be met: those who leave until some step need more than there is room."""
    hours = np.diff(group.edges) / 3600
    needed = group.need_kwh / group.kw * group.load
    last = np.searchsorted(group.edges, group.departures) - 1
    by_step = np.bincount(np.maximum(last, 0), weights=needed, minlength=len(hours))
    return bool((np.cumsum(by_step) > np.cumsum(group.room * hours) + MET_KWH).any())


@dataclass(frozen=True)
class _Problem:
    group: Group
    columns: Columns
    rows: NDArray[np.intp]  # of the powers: the member
    steps: NDArray[np.intp]  # of the powers: the step


def allocate(group: Group) -> Allocation:
    """The best allocation; NotSolved is HiGHS's affair, since every group has one."""
    members = len(group.members)
    for parts in (group.parts,) if _is_short(group) else (1, group.parts):
        problem = _problem(group, parts)
        values = solve(solver(problem.columns))
        count = len(problem.rows)
        unmet = values[count : count + members * parts].reshape(members, parts).sum(axis=1)
        if unmet.sum() <= MET_KWH:
            break  # Nothing has to be shared.
    kw = np.zeros(group.hours.shape)
    kw[problem.rows, problem.steps] = values[:count]
    peak = float(values[-1]) if group.site.peak else 0.0
    prices = group.grid.prices.means(group.edges)
    cost = float((kw * group.hours @ prices).sum())
    if group.site.peak:
        cost += group.site.peak.price * (peak - group.site.peak.reached_kw)
    return Allocation(kw, unmet, peak, cost)


def _problem(group: Group, parts: int) -> _Problem:
    """The columns in the order powers, unmet, peak; each with its entries in the order of rows."""
    members = len(group.members)
    rows, at = np.nonzero((group.hours > 0) & (group.highest > 0))
    hours, kw = group.hours[rows, at], group.kw[rows]
    limited = np.isfinite(group.room)
    row_of_step = members + np.cumsum(limited) - 1
    periods, per_kw = _periods(group)
    first_period = members + int(limited.sum())
    entries = [(rows, hours, np.ones(len(rows), bool))]
    entries += [(row_of_step[at], group.load[rows] / kw, limited[at])]
    if group.site.peak is not None:
        most = np.array([m.bounds.scale.most_kw for m in group.members])
        entries += [
            (first_period + periods[at], most[rows] / kw * hours * per_kw, np.ones(len(rows), bool))
        ]
    index = np.stack([entry[0] for entry in entries], axis=1)
    value = np.stack([entry[1] for entry in entries], axis=1)
    present = np.stack([entry[2] for entry in entries], axis=1)
    lengths = present.sum(axis=1)
    cost = group.keys[rows, at] * hours
    unmet_cost, unmet_upper = _unmet(group, parts)
    unmet_starts = lengths.sum() + 1 + np.arange(len(unmet_cost))
    columns = Columns(
        cost=np.concatenate((cost, unmet_cost)),
        lower=np.zeros(len(rows) + len(unmet_cost)),
        upper=np.concatenate((group.highest[rows, at] * kw, unmet_upper)),
        row_lower=np.concatenate((group.need_kwh, np.full(first_period - members, -INFINITE))),
        row_upper=np.concatenate((group.need_kwh, group.room[limited])),
        starts=np.concatenate(([0], np.cumsum(lengths), unmet_starts)),
        index=np.concatenate((index[present], np.repeat(np.arange(members), parts))),
        value=np.concatenate((value[present], np.ones(len(unmet_cost)))),
    )
    if group.site.peak is not None:
        columns = _with_peak(columns, group, first_period, periods, per_kw)
    return _Problem(group, _typed(columns), rows, at)


def _unmet(group: Group, parts: int) -> tuple[Array, Array]:
    """Costs and bounds of what remains unmet: parts of each need, of which each next one is dearer.

    So the worst served share is the best one, within one part.
    """
    dearest = 1.0 + float(np.abs(group.keys).max(initial=0.0))
    growing = 1 + (FIRST_PART - 1) * np.arange(parts) / parts
    width = np.array([member.asked_kwh for member in group.members])[:, None] / parts
    left = group.need_kwh[:, None] - width * np.arange(parts)
    upper = np.clip(left, 0.0, width)
    return np.tile(FAR_DEARER * dearest * growing, len(group.members)), upper.ravel()


def _periods(group: Group) -> tuple[NDArray[np.intp], float]:
    """The capacity period of each step, counted from the one that runs, and periods an hour."""
    period = group.site.peak.period if group.site.peak else group.step
    starts = np.array(group.edges[:-1])
    return (starts // period - group.now // period).astype(np.intp), 3600 / period


def _with_peak(
    columns: Columns, group: Group, first: int, periods: NDArray[np.intp], per_kw: float
) -> Columns:
    """The peak as a column, at least what is reached, at most what a need is worth."""
    peak = group.site.peak
    if peak is None:
        return columns
    count = int(periods.max()) + 1
    used = np.zeros(count)
    used[0] = peak.used_kwh * per_kw
    return Columns(
        cost=np.append(columns.cost, peak.price),
        lower=np.append(columns.lower, peak.reached_kw),
        upper=np.append(columns.upper, INFINITE),
        row_lower=np.concatenate((columns.row_lower, np.full(count, -INFINITE))),
        row_upper=np.concatenate((columns.row_upper, -used)),
        starts=np.append(columns.starts, columns.starts[-1] + count),
        index=np.concatenate((columns.index, first + np.arange(count))),
        value=np.concatenate((columns.value, np.full(count, -1.0))),
    )


def _typed(columns: Columns) -> Columns:
    return Columns(
        columns.cost,
        columns.lower,
        columns.upper,
        columns.row_lower,
        columns.row_upper,
        columns.starts.astype(np.int32),
        columns.index.astype(np.int32),
        columns.value,
    )
