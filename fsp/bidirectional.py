"""Charging and discharging one battery, for a driver who allows it and a car that is able to.

Limits below 0 are discharging, as in OCPP; OCPI gives a limit no lower bound and no meaning
below 0, so they go only to a session that is known to be able to discharge.
"""

from collections.abc import Sequence

import numpy as np

from fsp.linear import INFINITE, Columns, solve, solver
from fsp.needs import Battery, Bounds
from fsp.prices import Series
from fsp.rates import one_decimal
from fsp.schedule import Schedule

# Of a missing kWh against the dearest one: a need is met before anything is earned.
FAR_DEARER = 100.0


def with_discharge(
    edges: Sequence[int],
    bounds: Bounds,
    need_kwh: float,
    prices: Series,
    feed_in: Series | None,
    tail: float,
) -> Schedule:
    """Steps of charging or discharging at full rate, each for as long as its energy needs.

    What is fed in is paid at most what it costs then, and not while prices are negative, so that
    doing both at once never pays and a step does one of the two.
    """
    battery = bounds.battery
    if battery is None:
        raise ValueError("nothing is known of a battery")
    lengths = np.diff(np.array(edges)) / 3600
    kw = bounds.scale.least_kw
    charging = np.array(bounds.rates(list(edges[:-1])))
    most = one_decimal(battery.maximum)
    discharging = np.where(prices.at(edges[:-1]) > 0, most, 0.0) * (most >= battery.minimum)
    charged = charging * kw * lengths
    # A discharge that is lossy takes more out of the battery than arrives at the meter.
    given = np.minimum(discharging, most) * kw * lengths
    solved = solve(solver(_columns(charged, given, battery, need_kwh, edges, prices, feed_in)))
    count = len(lengths)
    told: list[tuple[int, float]] = []
    for i in range(count):
        begin, end = edges[i], edges[i + 1]
        share_in = solved[i] / charged[i] if charged[i] else 0.0
        share_out = solved[count + i] / given[i] if given[i] else 0.0
        rate = float(charging[i]) if share_in >= share_out else -float(discharging[i])
        seconds = round(max(share_in, share_out) * (end - begin))
        told += [(begin, rate if seconds else 0.0)]
        told += [(begin + seconds, 0.0)] if 0 < seconds < end - begin else []
    return Schedule.of([*told, (edges[-1], tail)])


def _columns(
    charged: np.ndarray,
    given: np.ndarray,
    battery: Battery,
    need_kwh: float,
    edges: Sequence[int],
    prices: Series,
    feed_in: Series | None,
) -> Columns:
    """Columns: kWh in, kWh out, unmet. Rows: the battery's content after each step, the need."""
    count = len(charged)
    price = prices.at(edges[:-1])
    paid = np.minimum(price, price if feed_in is None else feed_in.at(edges[:-1]))
    worth = FAR_DEARER * (1.0 + float(np.abs(price).max()))
    out = 1.0 / battery.round_trip_efficiency
    starts, index, value = [0], [], []
    for sign in (1.0, -out):
        for i in range(count):
            index += [*range(i, count), count]
            value += [sign] * (count - i + 1)
            starts.append(len(index))
    index.append(count)
    value.append(1.0)
    starts.append(len(index))
    early = np.arange(count) * 1e-7
    return Columns(
        np.concatenate((price + early, -paid + early, [worth])),
        np.zeros(2 * count + 1),
        np.concatenate((charged, given, [max(0.0, need_kwh)])),
        np.concatenate((np.full(count, -battery.available_kwh), [need_kwh])),
        np.concatenate((np.full(count, max(battery.room_kwh, need_kwh)), [INFINITE])),
        np.array(starts, np.int32),
        np.array(index, np.int32),
        np.array(value),
    )
