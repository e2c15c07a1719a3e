"""The parties of the histories by hand, and a clock that the test drives."""

from collections.abc import Iterator

import pytest

from hub.routing.directory import holder
from tests.clearing import clear_tables
from tests.flex.histories.by_hand import Clock, agree, driven_clock, join_parties, locate


@pytest.fixture
def clock(transactional_db) -> Iterator[Clock]:
    """Parties and agreements; a clock that the test drives."""
    join_parties()
    agree()
    locate()
    with driven_clock() as driven:
        yield driven
    clear_tables()
    holder.__init__()  # type: ignore[misc]
