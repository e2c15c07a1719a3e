"""Three files are promised to have no untested line; coverage's tracer, which doubles what tests
cost, looks at the tests marked `measured` alone, and only for these files (tests/measured.toml).

Without that configuration, as in `script/test --cov`, it looks at everything all the time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from coverage import Coverage

_PAUSED: Final = pytest.StashKey[Coverage]()


def pause(config: pytest.Config) -> None:
    """Look away, until a block of `looking` begins."""
    measuring = Coverage.current()
    if measuring is not None and measuring.get_option("run:include"):
        config.stash[_PAUSED] = measuring
        measuring.stop()


@contextmanager
def looking(config: pytest.Config) -> Iterator[None]:
    """Look at what this process does, with the threads that begin in the block."""
    measuring = config.stash.get(_PAUSED, None)
    if measuring is None:
        yield
        return
    measuring.start()
    try:
        yield
    finally:
        measuring.stop()
