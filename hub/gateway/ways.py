"""The common part of all messages of two parties, worked out once for each snapshot.

Messages with the same token and the same routing headers, in the same spelling, for the same
interface, are routed the same way, unless the content says otherwise (hub/routing/decisions.py).
"""

from typing import Final

import msgspec

from hub.gateway.answer import addressed
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import CARRIED
from hub.ocpi.party import PartyId
from hub.routing import decisions
from hub.routing.directory import Directory
from hub.routing.request import OcpiRequest

_FROM_CODE: Final = b"ocpi-from-country-code"
_FROM_ID: Final = b"ocpi-from-party-id"
_TO_CODE: Final = b"ocpi-to-country-code"
_TO_ID: Final = b"ocpi-to-party-id"
# A country_code or a party_id, with a little white space.
_LONGEST: Final = 8  # bytes
_MOST_KNOWN: Final = 10_000
Key = tuple[int, bytes | None, bytes | None, bytes | None, bytes | None, str, InterfaceRole]


class Way(msgspec.Struct, frozen=True, eq=False):
    """From one party to another: the decision, and the routing headers of either direction."""

    sender: PartyId
    forward: decisions.Forward
    sent: dict[str, str]
    answered: list[tuple[bytes, bytes]]


def key_of(request: OcpiRequest) -> Key:
    """The key by which the way of a message is known."""
    found, place = request.headers, request.place
    return (
        request.platform.id,
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


def remember(
    directory: Directory, request: OcpiRequest, sender: PartyId, decision: decisions.Forward
) -> None:
    """Remember the way, if the headers alone have decided it; `sender` is who FROM names."""
    platform, key = request.platform, key_of(request)
    _, from_code, from_id, to_code, to_id, module, _ = key
    is_from_told = from_code is not None and from_id is not None
    if (
        to_code is None
        or to_id is None
        or module in CARRIED
        or decision.noted
        or decision.sender != sender
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
        request.routing_headers(decision.sender, decision.receiver),
        addressed(decision.sender, decision.receiver.identity),
    )
