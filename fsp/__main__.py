"""`python -m fsp`: the reference FSP as a party; docs/party.md says what its environment tells.

PRICES_FILE: a CSV of start_utc,eur_per_mwh, read anew for each plan. Without it all hours cost the
same, and every car charges as soon as it may.
"""

import os
from pathlib import Path

import numpy as np

from fsp.planner import Grid
from fsp.prices import Series
from fsp.provider import ReferenceFsp
from party.serving import listen_options, run


def grid() -> Grid:
    """What is known of prices now."""
    file = os.environ.get("PRICES_FILE")
    return Grid(Series.read(Path(file)) if file else Series(0, 3600, np.zeros(1)))


if __name__ == "__main__":
    run(lambda: ReferenceFsp(grid, **listen_options()))
