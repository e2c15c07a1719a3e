"""Sessions for the planner's tests: hypothesis strategies, and the exact problem for HiGHS."""

import highspy
import numpy as np
from hypothesis import strategies as st

from fsp.needs import Bounds, Need
from fsp.planner import Grid
from fsp.prices import Series
from fsp.rates import Scale
from fsp.single import Steps

NOW = 1_774_000_000  # not at the begin of any step
HOUR = 3600

scales = st.sampled_from([Scale.watts(), Scale.amperes(), Scale.amperes(1), Scale.amperes(3)])
# Of 10 hours, so that no schedule has more than 20 periods; equal prices are frequent.
grids = st.lists(st.integers(-5, 40), min_size=10, max_size=10).map(
    lambda cents: Grid(Series(NOW - NOW % HOUR, HOUR, np.array(cents) / 100))
)
needs = st.builds(
    Need, energy_kwh=st.floats(0.1, 60.0), departure=st.integers(NOW + 60, NOW + 9 * HOUR)
)


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    """Of W, or A with its phases known or not; sometimes under a site limit that changes."""
    scale = draw(scales)
    unit = 1.0 if scale.unit == "A" else 230.0
    maximum = draw(st.sampled_from([6.0, 9.3, 16.0, 32.0])) * unit
    minimum = draw(st.sampled_from([0.0, 6.0])) * unit
    seconds = st.integers(NOW, NOW + 9 * HOUR)
    limits = st.integers(0, 40).map(lambda amperes: amperes * unit)
    ceilings = draw(
        st.lists(st.tuples(seconds, limits), max_size=2, unique_by=lambda ceiling: ceiling[0])
    )
    return Bounds(scale, maximum, minimum, tuple(sorted(ceilings)))


def least_cost(steps: Steps, kwh: float, bounds: Bounds, minimum: float) -> float | None:
    """By HiGHS, of one rate a step: 0, or from the minimum to the highest. None: it cannot be met.

    With a minimum of 0 it is the linear problem.
    """
    highs = highspy.Highs()
    highs.silent()
    # The default accepts what is a ten-thousandth dearer than the best.
    highs.setOptionValue("mip_rel_gap", 0.0)
    hours = np.diff(steps.edges) / 3600
    powers = []
    for rate, length, key in zip(steps.rates, hours, steps.keys, strict=True):
        kw = bounds.scale.least_kw
        power = highs.addVariable(0, rate * kw, obj=key[0] * length)
        powers.append(power * length)
        if minimum > 0:
            runs = highs.addVariable(0, 1, type=highspy.HighsVarType.kInteger)
            highs.addConstr((power - rate * kw * runs) <= 0)
            highs.addConstr((power - minimum * kw * runs) >= 0)
    highs.addConstr(highs.qsum(powers) == kwh)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return highs.getInfo().objective_function_value
