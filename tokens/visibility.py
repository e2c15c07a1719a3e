"""Who may see which Tokens: CPOs, and the eMSP that issued them (mod_tokens)."""

from typing import Any

from django.db import models

from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.routing.directory import holder
from hub.store.sharing import shared_with
from tokens.models import Token


def tokens_for(viewer: PartyId) -> "models.QuerySet[Any]":
    """A CPO sees the Tokens that its agreements let it see; others their own alone."""
    seen = shared_with(Token, viewer, holder.current())
    entry = holder.current().parties.get(viewer)
    if entry is not None and Role.CPO in entry.roles:
        return seen
    return seen.filter(owner=str(viewer))
