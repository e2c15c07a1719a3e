"""A driver's ChargingPreferences, when the CPO has answered them (mod_sessions, PUT Method).

They belong to the flexibility layer, which keeps them (flexibility.py).
"""

from typing import Final
from urllib.parse import unquote

from hub.ocpi import envelope
from hub.ocpi.reading import deviations_of
from hub.outbound.forwarded import Forwarded
from sessions import flexibility
from sessions.models import Session
from sessions.objects import ChargingPreferences

# Differences from the text that leave no doubt about what is meant.
_SPELLINGS: Final = frozenset({"date-time", "number-as-text"})


def preferences_put(forwarded: Forwarded) -> None:
    """Tell the flexibility layer what an eMSP has PUT for its driver.

    Also when the CPO says that its EVSE cannot (404, 2001): an FSP can still use them, unless
    something in them is what the CPO may have meant.
    """
    request = forwarded.request
    session_id = unquote(request.place.ids["session_id"])
    session = Session.find(request.receiver, session_id)
    if session is None or session.emsp != request.sender:
        return
    deviations = deviations_of(request.body, ChargingPreferences)
    forwarded.note(deviations)
    is_accepted = envelope.is_accepted(forwarded.response.status, forwarded.response.body)
    if is_accepted or all(one.rule in _SPELLINGS for one in deviations):
        flexibility.current().preferences_put(session, forwarded)
