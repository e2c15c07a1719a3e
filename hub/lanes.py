"""On whose behalf the hub works at the moment, and on which lane: what fairness goes by.

The gateway says so for each request; threads, names and bytes are shared out by it.
"""

from contextvars import ContextVar
from enum import IntEnum
from typing import Final, NamedTuple


class Lane(IntEnum):
    """Kinds of work that do not wait for one another, within a platform and beyond it."""

    # The hub's own house-keeping, and the console.
    HUB = 0
    # What of a forwarded message needs the database.
    FORWARD = 1
    # GETs and pushes that the hub answers from its own store.
    READ = 2
    PUSH = 3
    COMMAND = 4
    RESULT = 5
    CREDENTIALS = 6
    VERSIONS = 7
    CLIENT_INFO = 8


class Behalf(NamedTuple):
    """A platform's id, 0 for the hub itself, and the lane."""

    platform: int
    lane: Lane


HUB: Final = Behalf(0, Lane.HUB)
behalf: Final[ContextVar[Behalf]] = ContextVar("behalf", default=HUB)
