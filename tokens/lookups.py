"""What routing asks of the Tokens that the hub keeps (Open Routing Request)."""

from urllib.parse import parse_qsl, unquote

from hub.ocpi.party import PartyId
from hub.routing.decisions import Found
from hub.routing.request import OcpiRequest
from tokens.models import token_type
from tokens.visibility import tokens_for


def token_issuer(request: OcpiRequest, sender: PartyId) -> Found:
    """For real-time authorization: the issuer of a Token that the sender may see."""
    seen = tokens_for(sender).filter(
        object_id=unquote(request.place.ids["token_uid"]).upper(),
        type=token_type(dict(parse_qsl(request.query, keep_blank_values=True))),
    )
    owners = sorted(set(seen.values_list("owner", flat=True)))
    return Found(tuple(map(PartyId.parse, owners)), "a Token of this uid and type")
