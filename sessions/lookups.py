"""What routing asks of the session table (Open Routing Request)."""

from urllib.parse import unquote

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.routing import Found
from sessions.models import Session


def session_parties(sender: PartyId, match: Match) -> Found:
    """For a CPO's push: the session's eMSP. For an eMSP's preferences: the session's CPO.

    Only among the sender's own sessions, so that an id alone tells nothing about others'.
    """
    session_id = unquote(match.ids["session_id"])
    if match.role == InterfaceRole.RECEIVER:
        pushed = Session.objects.owned(sender, session_id)
        return Found(tuple({session.emsp for session in pushed}))
    own = Session.objects.named(session_id).filter(
        emsp_country_code__iexact=sender.country_code, emsp_party_id__iexact=sender.party_id
    )
    return Found(tuple(sorted({session.owner for session in own})))
