"""Which Sessions a party is shown (mod_sessions, Sender interface)."""

from typing import Final

from django.db import models
from django.db.models import Value
from django.db.models.functions import Concat

from hub.ocpi.party import PartyId
from hub.routing.directory import Directory
from sessions import flexibility
from sessions.models import Session

MODULE: Final = "sessions"


def lists_for(viewer: PartyId, directory: Directory) -> "list[models.QuerySet[Session]]":
    """The Sessions of a CPO, of an eMSP's drivers, and of who is their flexibility provider.

    Only those that a receiver has accepted; of others only while the pair may exchange Sessions.
    The lists share no row, and each has an index of its own.
    """
    own = models.Q(country_code=viewer.country_code, party_id=viewer.party_id)
    emsp = models.Q(emsp_country_code=viewer.country_code, emsp_party_id=viewer.party_id)
    accepted = Session.objects.filter(is_accepted=True)
    others = _of_open_pairs(accepted.exclude(own), viewer, directory)
    of_fsp = others.exclude(emsp).filter(pk__in=flexibility.current().sessions_of(viewer))
    return [accepted.filter(own), others.filter(emsp), of_fsp.order_by("id")]


def _of_open_pairs(
    rows: "models.QuerySet[Session]", viewer: PartyId, directory: Directory
) -> "models.QuerySet[Session]":
    key = ("open for sessions", viewer)
    if key not in directory.memo:
        parties = {*directory.parties, *(one for pair, _ in directory.agreements for one in pair)}
        directory.memo[key] = [
            str(party)
            for party in sorted(parties)
            if (directory.closed_because(party, viewer, MODULE) is None)
            != directory.open_by_default
        ]
    exceptions: list[str] = directory.memo[key]
    if directory.open_by_default and not exceptions:
        return rows
    rows = rows.alias(owner_name=Concat("country_code", Value("-"), "party_id"))
    excepted = models.Q(owner_name__in=exceptions)
    return rows.exclude(excepted) if directory.open_by_default else rows.filter(excepted)
