"""A CPO's own update of the active profile, and whose it is (mod_charging_profiles, Sender)."""

from typing import Any
from urllib.parse import unquote

from charging_profiles.profile_updates import ProfileUpdate, keep_at_once, values_of
from hub.db.batch_writer import Writer
from hub.db.leases import Lease
from hub.ocpi.errors import NotFound
from hub.ocpi.modules import leads_astray
from hub.ocpi.party import PartyId
from hub.outbound.forwarded import Forwarded
from hub.routing.decisions import Found
from hub.routing.request import OcpiRequest
from sessions import flexibility
from sessions.handed_on import HandedOn
from sessions.models import Session


def session_fsp(request: OcpiRequest, sender: PartyId) -> Found:
    """The FSP of the CPO's session; or the SCSP to which an eMSP passes on what the CPO told it."""
    session_id = unquote(request.place.ids["session_id"])
    what = f"session {session_id!r}"
    sessions = list(Session.objects.owned(sender, session_id))
    if sessions:
        fsps = {flexibility.current().fsp_of(session) for session in sessions}
        return Found(tuple(fsp for fsp in fsps if fsp is not None), what)
    scsps = HandedOn.scsps(session_id, sender)
    if not scsps and leads_astray(session_id):
        raise NotFound(f"The hub knows no session {session_id!r}, and passes on no such id.")
    return Found(tuple(scsps) if request.to_address is None else (), what)


def profile_updated(forwarded: Forwarded) -> None:
    """Keep the update, and tell the flexibility layer that its receiver has answered."""
    ProfileUpdate.keep(_values(forwarded.request))
    flexibility.current().profile_updated(forwarded)


async def profile_updated_at_once(writer: Writer, forwarded: Forwarded) -> bool:
    """Do the same on the event loop."""
    if not await keep_at_once(writer, _values(forwarded.request)):
        return False
    flexibility.current().profile_updated(forwarded)
    return True


def not_answered(request: OcpiRequest, _: Lease | None) -> None:
    """Keep it also where nobody has answered: it is as true as it was."""
    ProfileUpdate.keep(_values(request))


def _values(request: OcpiRequest) -> dict[str, Any]:
    return values_of(
        request.sender,
        unquote(request.place.ids["session_id"]),
        request.body,
        request.sent_to or request.sender,
        request.correlation_id,
    )
