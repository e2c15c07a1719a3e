"""What of a forwarded message is remembered, and what routing may ask: module by module.

The one table where the gateway meets the modules (beside hub/urls.py).
"""

from collections.abc import Callable
from typing import Final

from flex import relay
from hub.forwarded import Forwarded
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.routing import Found, LookupKind
from sessions import lookups

Keeper = Callable[[Forwarded], None]
_KEEPERS: Final[dict[tuple[str, InterfaceRole, str], Keeper]] = {
    ("sessions", InterfaceRole.RECEIVER, "PUT"): relay.session_pushed,
    ("sessions", InterfaceRole.RECEIVER, "PATCH"): relay.session_pushed,
    ("sessions", InterfaceRole.SENDER, "PUT"): relay.preferences_put,
}
# Asked before a message is forwarded; raises what refuses it.
_CHECKS: Final[dict[tuple[str, InterfaceRole, str], Callable[[PartyId, PartyId, Match], None]]] = {
    ("sessions", InterfaceRole.SENDER, "PUT"): lookups.check_preferences_sender,
}
LOOKUPS: Final[dict[LookupKind, Callable[[PartyId, Match], Found]]] = {
    LookupKind.SESSION: lookups.session_parties,
    LookupKind.SESSION_FSP: relay.session_fsp,
}


def check(match: Match | None, method: str) -> Callable[[PartyId, PartyId, Match], None] | None:
    """What to ask before the message leaves: (sender, receiver, match); None for most."""
    if match is None or match.route is None:
        return None
    return _CHECKS.get((match.module, match.role, method))


def keeper(match: Match | None, method: str) -> Keeper | None:
    """What to run after the receiver's answer and before ours; None for most messages."""
    if match is None or match.route is None:
        return None
    return _KEEPERS.get((match.module, match.role, method))
