"""What the hub answers of Tokens itself (mod_tokens, Interfaces and endpoints).

Real-time authorization is forwarded to the token's eMSP by the gateway (tokens/authorization.py).
"""

from django.http import HttpResponse

from hub.routing.request import OcpiRequest
from hub.store import broadcast_push
from hub.store.pages import list_page
from hub.store.sharing import only
from hub.views import OcpiView, answer_document
from tokens.models import Token
from tokens.visibility import tokens_for


class TokensSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """GET All: the Tokens that the caller may see."""
        return list_page(tokens_for(request.sender), request)


class TokensReceiver(OcpiView):
    """The Receiver interface: Broadcast Push, and reading back what the hub has."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A Token as the hub has it; `?type=` is RFID when left out."""
        seen = tokens_for(request.sender)
        named = seen.filter(**Token.identity(broadcast_push.read(request)))
        return answer_document(bytes(only(named, "Token of this uid and type").document))

    def put(self, request: OcpiRequest) -> HttpResponse:
        """Keep a Token, and tell everybody of the opposite role."""
        return broadcast_push.store_and_broadcast(request, Token)

    def patch(self, request: OcpiRequest) -> HttpResponse:
        """Merge changes into a Token, and tell everybody of the opposite role."""
        return broadcast_push.store_and_broadcast(request, Token)
