"""What the gateway notes of each message that came in; of what leaves: hub/outbound/message.py.

Called on the hot path: a Note is made and appended, the recorder's thread does the rest.
"""

import time

from hub.fairness.callers import FirstOfMinute, group_of
from hub.gateway.answer import Outgoing
from hub.gateway.outcome import Outcome
from hub.ocpi import masking
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import CARRIED, Match
from hub.ocpi.party import PartyId
from hub.record.note import Direction, Kind, Note, cleaned, is_failure, text
from hub.record.recorder import recorder
from hub.record.strangers import Stranger
from hub.routing.directory import Directory
from hub.routing.request import OcpiRequest
from hub.startup.quick_settings import setting

_strangers = FirstOfMinute()


def kind_of(place: Match, method: str) -> Kind:
    """The kind of a message that the hub answers itself."""
    if place.module in CARRIED:
        return Kind.COMMAND
    is_push = place.role == InterfaceRole.RECEIVER and method != "GET"
    return Kind.BROADCAST if is_push else Kind.HUB


def received(
    request: OcpiRequest, outcome: Outcome, outgoing: Outgoing, directory: Directory
) -> None:
    """Note a party's request and its answer."""
    if not setting("RECORD_MESSAGES"):
        return
    place, body, answer = request.match or outcome.match, request.body, outgoing.body
    sender, receiver = outcome.sender or _only_party(request), outcome.receiver or directory.hub
    seconds, status, code = time.monotonic() - request.began, outgoing.status, outcome.code
    is_with_bodies = directory.recorded_bodies and directory.records_bodies(sender, receiver)
    bodies = (body, answer) if is_with_bodies else None
    problem = outcome.problem if is_failure(status, code) else ""
    problem = cleaned(problem, request.path, place, body) if problem else ""
    # In the order of its fields: twenty names would cost ten times as much (Python 3.11).
    recorder.add(
        Note(
            time.time() - seconds, Direction.IN, outcome.kind, request.method, place, request.path,
            request.query, request.request_id, request.correlation_id, outcome.related_id, sender,
            receiver, request.platform.id, status, code, seconds, len(body), len(answer), problem,
            bodies,
        )
    )  # fmt: skip


def stranger(request: OcpiRequest, outcome: Outcome, status: int) -> bool:
    """Count a stranger's request. Returns whether it is the first of its address and minute."""
    minute, address, is_first = _strangers.look(group_of(request.caller))
    if setting("RECORD_MESSAGES"):
        recorder.stranger(
            Stranger(
                minute,
                address,
                text(request.method, 16),
                text(masking.safe_path(request.path, None), 300),
                text(request.request_id, 255),
                text(request.correlation_id, 255),
                status,
                outcome.code,
                [text(cleaned(outcome.problem, request.path, None, b""), 300)],
            )
        )
    return is_first


def _only_party(request: OcpiRequest) -> PartyId | str:
    """The only party of the platform, or "": configuration modules name no party."""
    parties = request.platform.parties
    return parties[0] if len(parties) == 1 else ""
