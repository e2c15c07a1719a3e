"""`python -m fsp`: the reference FSP as a party; docs/party.md says what its environment tells.

PRICES_FILE: a CSV of start_utc,eur_per_mwh, read anew for each plan. Without it all hours cost the
same, and every car charges as soon as it may.

FLEX_API_URL and FLEX_API_KEY: the hub's flex API (https://hub.example/flex/v1) and a key of this
FSP's back-end, for limits of sites and the wishes of drivers. FSP_MEMORY: a file that keeps what
became of drivers' statements.
"""

import os
from pathlib import Path

import numpy as np

from fsp.flex_api import FlexApi
from fsp.planner import Grid
from fsp.prices import Series
from fsp.provider import ReferenceFsp
from party.serving import listen_options, run


def grid() -> Grid:
    """What is known of prices now."""
    file = os.environ.get("PRICES_FILE")
    return Grid(Series.read(Path(file)) if file else Series(0, 3600, np.zeros(1)))


def fsp() -> ReferenceFsp:
    """As the environment says."""
    url, key = os.environ.get("FLEX_API_URL"), os.environ.get("FLEX_API_KEY")
    if bool(url) != bool(key):
        raise SystemExit("FLEX_API_URL and FLEX_API_KEY belong together.")
    kept = os.environ.get("FSP_MEMORY")
    return ReferenceFsp(
        grid,
        api=FlexApi(url, key) if url and key else None,
        file=Path(kept) if kept else None,
        **listen_options(),
    )


if __name__ == "__main__":
    run(fsp)
