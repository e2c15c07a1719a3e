"""Which Sessions this process knows to be with which receivers (mod_sessions, PUT Method).

A CPO PUTs a Session again and again; only before the first PUT has it to be written down that the
Session is known. What a process forgets, it asks the database again.
"""

import threading
from typing import Final

from hub.ocpi.party import PartyId

_MOST: Final = 20_000
_known: dict[tuple[PartyId, str, PartyId], None] = {}
_lock = threading.Lock()


def is_known(owner: PartyId, session_id: str, receiver: PartyId) -> bool:
    """Whether this receiver has accepted the Session before."""
    return (owner, session_id.upper(), receiver) in _known


def remember(owner: PartyId, session_id: str, receiver: PartyId) -> None:
    """Note that this receiver has accepted the Session."""
    key = (owner, session_id.upper(), receiver)
    if key in _known:
        return
    with _lock:
        while len(_known) >= _MOST:
            del _known[next(iter(_known))]
        _known[key] = None
