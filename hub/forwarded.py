"""A forwarded message as the modules see it when its receiver has answered."""

from dataclasses import dataclass

from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.outbound import Response


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


class InOneMoment(Exception):
    """The same message is on its way already: its outcome will be known in a moment."""
