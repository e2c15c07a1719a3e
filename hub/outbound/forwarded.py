"""A forwarded message as the modules see it when its receiver has answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.db.leases import Lease
from hub.deviations import noting
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from hub.routing.directory import holder


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Who sent what to whom, and the answer."""

    match: Match
    method: str
    sender: PartyId
    receiver: PartyId
    body: bytes
    query: str
    correlation_id: str
    response: Response
    # Under which the message left, where it is one that leaves once.
    lease: Lease | None = None

    def note(self, found: Sequence[Deviation]) -> None:
        """Count what its sender spelled otherwise than the text."""
        entry = holder.snapshot.parties.get(self.sender)
        if entry is not None:
            note(entry.platform.id, found)


def note(platform_id: int, found: Sequence[Deviation]) -> None:
    """Count what a platform spelled otherwise than the text; mostly it is nothing."""
    if found:
        noting.note(platform_id, found)


class InOneMoment(Exception):
    """The same message is on its way already: its outcome will be known in a moment."""
