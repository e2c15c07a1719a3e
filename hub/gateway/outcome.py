"""The outcome of one request on its way through the gateway."""

import msgspec

from hub.fairness.memory import BytesTaken
from hub.gateway.ways import Way
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.record.note import Kind


class Outcome(msgspec.Struct, eq=False):
    """What the answer's headers, the log and the record say beside the request itself."""

    # Of which kind it is for the record, and as part of whose exchange.
    kind: Kind = Kind.HUB
    related_id: str = ""
    # Whom the answer is addressed to, and who answers; None for the hub.
    sender: PartyId | None = None
    receiver: PartyId | None = None
    # The OCPI status_code of the answer, and why it is not a success.
    code: int | None = None
    problem: str = ""
    # What a URL stands for that the hub has given out; None for all others.
    match: Match | None = None
    # The way that others have gone before (hub/gateway/ways.py).
    way: Way | None = None
    # The memory that its large bodies have.
    rooms: list[BytesTaken] = []

    def with_room(self, room: BytesTaken) -> BytesTaken:
        """Room for a body, to be given back with all others once the request has ended."""
        self.rooms.append(room)
        return room

    def give_back(self) -> None:
        """The request has ended."""
        for room in self.rooms:
            room.give_back()
