"""How Tokens are handled on their way, for the gateway (mod_tokens)."""

from typing import Final

from hub.routing.decisions import LookupKind
from hub.store.handling import ModuleHandling
from hub.store.told_to_one import handling_of
from tokens.lookups import token_issuer
from tokens.models import Token
from tokens.urls import urlpatterns

HANDLING: Final = ModuleHandling(
    module=Token.MODULE,
    messages=handling_of(Token, "PATCH"),
    lookups={LookupKind.TOKEN: token_issuer},
    urls=urlpatterns,
)
