"""Random histories by hand: the EV is never without a limit, and nothing stale takes effect."""

from collections.abc import Iterator

import pytest

from hub.routing.directory import holder
from tests.clearing import clear_tables
from tests.flex.histories.by_hand import ByHand, Clock, agree, driven_clock, join_parties, locate
from tests.flex.histories.history import random_history


@pytest.fixture
def clock(transactional_db) -> Iterator[Clock]:
    """Parties and agreements; a clock that the test drives."""
    join_parties()
    agree()
    locate()
    with driven_clock() as driven:
        yield driven
    clear_tables()
    holder.__init__()


def test_random_histories_leave_no_gap_and_nothing_stale(clock):
    wrong = []
    for seed in range(12):
        history = random_history(seed)
        faults = ByHand(history, clock, seed).run()
        if faults:
            wrong.append("\n".join([str(history), *faults]))
    assert not wrong, f"{len(wrong)} histories went wrong:\n" + "\n\n".join(wrong[:3])
