"""Who else may see a Session: the hook by which flexibility rules name the session's FSP.

`flex` sets it at start-up; this module itself knows nothing of assignments.
"""

from collections.abc import Callable
from typing import Any

from django.db import models

from hub.ocpi.party import PartyId
from sessions.models import Session

# From a viewer to the ids of the sessions that it is flexibility provider of.
OfFsp = Callable[[PartyId], "models.QuerySet[Any]"]
_installed: list[OfFsp] = []


def install(of_fsp: OfFsp) -> None:
    """Called once, when the apps are ready."""
    _installed[:] = [of_fsp]


def sessions_for(viewer: PartyId) -> "models.QuerySet[Session]":
    """The Sessions of a CPO, of an eMSP's drivers, and of who is their flexibility provider.

    Only those that a receiver has accepted.
    """
    own = models.Q(country_code__iexact=viewer.country_code, party_id__iexact=viewer.party_id)
    own |= models.Q(
        emsp_country_code__iexact=viewer.country_code, emsp_party_id__iexact=viewer.party_id
    )
    for of_fsp in _installed:
        own |= models.Q(pk__in=of_fsp(viewer))
    return Session.objects.filter(own, is_accepted=True)
