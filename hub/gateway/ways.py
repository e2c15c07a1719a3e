"""What all messages of two parties have in common, worked out once for each snapshot.

Whoever presents the same token and the same routing headers, in the same spelling, for the same
interface, is routed the same way, unless the content says otherwise (hub/routing/decisions.py).
"""

from typing import Final

from hub.gateway.answer import addressed
from hub.gateway.request import Incoming, Way, match_of, presented_by, routing_headers
from hub.ocpi.datatypes import InterfaceRole
from hub.routing import decisions
from hub.routing.directory import Directory

_FROM_CODE: Final = b"ocpi-from-country-code"
_FROM_ID: Final = b"ocpi-from-party-id"
_TO_CODE: Final = b"ocpi-to-country-code"
_TO_ID: Final = b"ocpi-to-party-id"
# A country_code and a party_id, with a little white space.
_LONGEST: Final = 8
_MOST_KNOWN: Final = 10_000
Key = tuple[int, bytes | None, bytes | None, bytes | None, bytes | None, str, InterfaceRole]


def key_of(incoming: Incoming) -> Key:
    """What the way of a message is known by."""
    found, place = incoming.headers, match_of(incoming)
    return (
        presented_by(incoming).platform.id,
        found.get(_FROM_CODE),
        found.get(_FROM_ID),
        found.get(_TO_CODE),
        found.get(_TO_ID),
        place.module,
        place.role,
    )


def known(directory: Directory, key: Key) -> Way | None:
    """The way that a message of this key has gone before, by this snapshot."""
    ways: dict[Key, Way] = directory.memo.setdefault(Way, {})
    return ways.get(key)


def remember(directory: Directory, incoming: Incoming, decision: decisions.Forward) -> None:
    """Where who sent it, and whom it named, have said alone where it goes."""
    platform, key = presented_by(incoming).platform, key_of(incoming)
    _, from_code, from_id, to_code, to_id, module, _ = key
    is_from_told = from_code is not None and from_id is not None
    if (
        to_code is None
        or to_id is None
        or module == "chargingprofiles"
        or decision.noted
        or decision.sender != incoming.sender
        or not (is_from_told or (from_code is from_id is None and len(platform.parties) == 1))
        or any(value is not None and len(value) > _LONGEST for value in key[1:5])
    ):
        return
    ways: dict[Key, Way] = directory.memo.setdefault(Way, {})
    if len(ways) >= _MOST_KNOWN:
        ways.clear()
    ways[key] = Way(
        decision.sender,
        decision,
        routing_headers(incoming, decision),
        addressed(decision.sender, decision.receiver.identity),
    )
