"""Who pushes what by itself, and so need not be asked for it (hub/sync/pull_tasks.py)."""

import time
from typing import Final

from django.db.models.functions import Now

from hub.models.pulls import Pull
from hub.ocpi.party import PartyId

# A note is good to the day: a process writes it once in ten minutes, whatever a party pushes.
_WRITTEN_EVERY: Final = 600.0  # seconds
_written: dict[tuple[PartyId, str], float] = {}


def is_noted(party: PartyId, module: str) -> bool:
    """Whether there is nothing to write of it just now."""
    return _written.get((party, module), 0.0) > time.monotonic()


def note(party: PartyId, module: str) -> None:
    """This party has pushed an object of this module."""
    now = time.monotonic()
    if _written.get((party, module), 0.0) > now:
        return
    Pull.objects.filter(
        country_code=party.country_code, party_id=party.party_id, module=module
    ).update(pushed_at=Now())
    _written[party, module] = now + _WRITTEN_EVERY
