"""The platform for which the hub works at the moment, and the lane: fairness goes by these.

The gateway says so for each request; threads, names and bytes are shared out by it.
"""

from contextvars import ContextVar
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from hub.ocpi import own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import CARRIED, Match


class Lane(IntEnum):
    """Kinds of work that do not wait for one another."""

    # House-keeping, and the console.
    HUB = 0
    # The part of a forwarded message that needs the database.
    FORWARD = 1
    # Messages that the hub answers from its own store: GETs, pushes, charging profiles.
    READ = 2
    PUSH = 3
    COMMAND = 4
    # Results that others wait for: of a command, of a profile, of a check.
    RESULT = 5
    VERSIONS = 6
    CREDENTIALS = 7
    # Handshakes, which call the other side back.
    HANDSHAKE = 8
    CLIENT_INFO = 9


class Behalf(NamedTuple):
    """A platform's id, 0 for the hub itself, and the lane."""

    platform: int
    lane: Lane


# Made for each message; there are as many as platforms and lanes.
behalf_of: Final = lru_cache(maxsize=8192)(Behalf)
HUB: Final = Behalf(0, Lane.HUB)
behalf: Final[ContextVar[Behalf]] = ContextVar("behalf", default=HUB)
_UNROUTED: Final = {
    own_paths.CLIENT_INFO: Lane.CLIENT_INFO,
    own_paths.PROFILE_RESULT: Lane.RESULT,
    own_paths.CHECK_RESULT: Lane.RESULT,
    own_paths.DEVIATIONS: Lane.READ,
    own_paths.CDR: Lane.READ,
}


def lane_of(method: str, path: str) -> Lane:
    """The lane of a request by its URL; what is routed begins as what is forwarded."""
    if own_paths.is_interface(path):
        return Lane.FORWARD
    own, _ = own_paths.at(path)
    if own is own_paths.VIA:
        return Lane.RESULT if method == "POST" else Lane.FORWARD
    if own is own_paths.CREDENTIALS:
        return Lane.CREDENTIALS if method in {"GET", "HEAD"} else Lane.HANDSHAKE
    return Lane.VERSIONS if own is None else _UNROUTED.get(own, Lane.READ)


def lane_in_store(place: Match, method: str) -> Lane:
    """The lane of a routed message that the hub answers itself."""
    if place.module in CARRIED:
        return Lane.COMMAND
    is_push = place.role == InterfaceRole.RECEIVER and method not in {"GET", "HEAD"}
    return Lane.PUSH if is_push else Lane.READ
