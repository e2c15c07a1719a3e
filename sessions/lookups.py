"""What routing asks of the session table (Open Routing Request)."""

from urllib.parse import unquote

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import NotFound
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.routing import Found, Message
from sessions.models import Session


def session_parties(message: Message, sender: PartyId) -> Found:
    """For a CPO's push: the session's eMSP. For an eMSP's preferences: the session's CPO.

    Only among the sender's own sessions, so that an id alone tells nothing about others'.
    """
    session_id = unquote(message.match.ids["session_id"])
    what = f"session {session_id!r}"
    if message.match.role == InterfaceRole.RECEIVER:
        # routing has seen that the URL names the sender as the owner.
        pushed = Session.objects.owned(sender, session_id)
        return Found(tuple({one.emsp for one in pushed if one.emsp_party_id}), what)
    own = Session.objects.named(session_id).filter(
        emsp_country_code__iexact=sender.country_code, emsp_party_id__iexact=sender.party_id
    )
    return Found(tuple(sorted({session.owner for session in own})), what)


def check_preferences_sender(sender: PartyId, cpo: PartyId, match: Match, _body: bytes) -> None:
    """Charging Preferences come "on behalf of the driver": from the eMSP of the session's token.

    NotFound (404) for somebody else's session, as the text allows; a session that the hub does not
    know, or of which it does not know whose driver it is, is left to the CPO.
    """
    session_id = unquote(match.ids["session_id"])
    session = Session.find(cpo, session_id)
    if session is not None and session.emsp_party_id and sender != session.emsp:
        raise NotFound(f"{sender} has no session {session_id!r} at {cpo}.")
