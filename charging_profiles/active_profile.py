"""A CPO's own update of the active profile, and whose it is (mod_charging_profiles, Sender)."""

from urllib.parse import unquote

from hub.db.batch_writer import Writer
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
    """Tell the flexibility layer that the receiver of an update has answered."""
    flexibility.current().profile_updated(forwarded)


async def profile_updated_at_once(_: Writer, forwarded: Forwarded) -> bool:
    """Do the same on the event loop: it writes nothing."""
    profile_updated(forwarded)
    return True
