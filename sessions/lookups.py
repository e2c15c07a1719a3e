"""What routing asks of the session table (Open Routing Request)."""

from urllib.parse import unquote

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import NotFound
from hub.ocpi.modules import leads_astray
from hub.ocpi.party import PartyId
from hub.routing.decisions import Found
from hub.routing.owners import in_url
from hub.routing.request import OcpiRequest
from sessions.handed_on import HandedOn
from sessions.models import Session


def session_parties(request: OcpiRequest, sender: PartyId) -> Found:
    """For a CPO's push: the session's eMSP. For an eMSP's preferences: the session's CPO.

    Only among the sender's own sessions, so that an id alone tells nothing about others'.
    """
    session_id = unquote(request.place.ids["session_id"])
    what = f"session {session_id!r}"
    if request.place.role == InterfaceRole.RECEIVER:
        # routing has seen that the URL names the sender as the owner.
        pushed = Session.objects.owned(sender, session_id)
        return Found(tuple({one.emsp for one in pushed if one.emsp_party_id}), what)
    own = Session.objects.named(session_id).filter(
        emsp_country_code__iexact=sender.country_code, emsp_party_id__iexact=sender.party_id
    )
    return Found(tuple(sorted({session.owner for session in own})), what)


def session_emsp(request: OcpiRequest, sender: PartyId) -> Found:
    """For another party's Session that `sender` hands on: the eMSP of its driver.

    As its CPO has told the hub, or else the eMSP that has handed it on to this receiver before.
    """
    owner, session_id = in_url(request.place), unquote(request.place.ids["session_id"])
    session = Session.find(owner, session_id)
    if session is not None and session.emsp_party_id:
        return Found((session.emsp,), f"session {session_id!r}")
    scsp = PartyId.of(*request.to_address) if request.to_address is not None else sender
    emsps = HandedOn.emsps(session_id, scsp, owner=owner)
    return Found(tuple(emsps), f"session {session_id!r}")


def check_preferences_sender(request: OcpiRequest) -> None:
    """Charging Preferences come "on behalf of the driver": from the eMSP of the session's token.

    NotFound (404) for somebody else's session, as the text allows; a session that the hub does not
    know is left to the CPO, unless its id may lead to another of the CPO's URLs; so is one of which
    it does not know whose driver it is.
    """
    sender, cpo = request.sender, request.receiver
    session_id = unquote(request.place.ids["session_id"])
    session = Session.find(cpo, session_id)
    if session is None and leads_astray(session_id):
        raise NotFound(f"The hub knows no session {session_id!r}, and passes on no such id.")
    if session is not None and session.emsp_party_id and sender != session.emsp:
        raise NotFound(f"{sender} has no session {session_id!r} at {cpo}.")
