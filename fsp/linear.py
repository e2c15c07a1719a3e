"""Linear problems as arrays of columns, and their solution by HiGHS."""

from dataclasses import dataclass
from typing import Final

import highspy
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
INFINITE: Final = highspy.kHighsInf


class NotSolved(Exception):
    """HiGHS has found no best solution; its own word for why."""


@dataclass(frozen=True)
class Columns:
    """A least-cost problem: costs and bounds of columns, bounds of rows, a matrix by column.

    Entries of column j are `index` and `value` from starts[j] to starts[j + 1]. Coefficients below
    1e-9 are left out by HiGHS, so quantities are given in kW, kWh and EUR/kWh.
    """

    cost: Array
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    starts: NDArray[np.int32]
    index: NDArray[np.int32]
    value: Array

    def model(self) -> highspy.HighsLp:
        """As HiGHS takes it."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cost), len(self.row_lower)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost, self.lower, self.upper
        lp.row_lower_, lp.row_upper_ = self.row_lower, self.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = self.starts, self.index
        lp.a_matrix_.value_ = self.value
        return lp


def solver(columns: Columns) -> highspy.Highs:
    """HiGHS with this problem, silent, in one thread: the same input gives the same plan."""
    highs = highspy.Highs()  # type: ignore[no-untyped-call] # it says nothing of its result
    highs.silent()
    highs.setOptionValue("threads", 1)
    if highs.passModel(columns.model()) == highspy.HighsStatus.kError:
        raise NotSolved("the problem was not taken")
    return highs


def solve(highs: highspy.Highs) -> Array:
    """The values of the columns; NotSolved where there is no best solution.

    The status is read first: after a failed run HiGHS says 0.0 of every column.
    """
    highs.run()
    status = highs.getModelStatus()
    solution = highs.getSolution()
    if status != highspy.HighsModelStatus.kOptimal or not solution.value_valid:
        raise NotSolved(highs.modelStatusToString(status))
    return np.array(solution.col_value)
