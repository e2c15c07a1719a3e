"""What the gateway notes: each message that came in, and each that it sent on to another party.

Called on the hot path: a Note is made and appended, the recorder's thread does the rest.
"""

import time

from hub.fairness.callers import FirstOfMinute, group_of
from hub.gateway.answer import Outgoing
from hub.gateway.outcome import Outcome
from hub.ocpi import masking
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import OcpiError
from hub.ocpi.modules import CARRIED, Match
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from hub.record.note import Direction, Kind, Note, cleaned, is_failure, text
from hub.record.recorder import recorder
from hub.record.strangers import Stranger
from hub.routing.decisions import Forward
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
    _add(
        request,
        outcome,
        directory,
        direction=Direction.IN,
        began=request.began,
        request_id=request.request_id,
        sender=outcome.sender or _only_party(request),
        receiver=outcome.receiver or directory.hub,
        platform=request.platform.id,
        status=outgoing.status,
        code=outcome.code,
        answer=outgoing.body,
        problem=outcome.problem if is_failure(outgoing.status, outcome.code) else "",
    )


def sent_on(
    request: OcpiRequest,
    outcome: Outcome,
    decision: Forward,
    request_id: str,
    began: float,
    answered: Response | OcpiError,
    directory: Directory,
) -> None:
    """Note the request to the receiver, and its answer, or why there was none."""
    if not setting("RECORD_MESSAGES"):
        return
    if isinstance(answered, Response):
        status, answer, verdict = answered.status, answered.body, answered.verdict
        code = verdict.status_code
        problem = (verdict.status_message or "") if is_failure(status, code) else ""
    else:
        status, answer, code, problem = None, b"", answered.code, answered.message
    _add(
        request,
        outcome,
        directory,
        direction=Direction.OUT,
        began=began,
        request_id=request_id,
        sender=decision.sender,
        receiver=decision.receiver.identity,
        platform=decision.receiver.platform.id,
        status=status,
        code=code,
        answer=answer,
        problem=problem,
    )


def _add(
    request: OcpiRequest,
    outcome: Outcome,
    directory: Directory,
    *,
    direction: Direction,
    began: float,
    request_id: str,
    sender: PartyId | str,
    receiver: PartyId,
    platform: int,
    status: int | None,
    code: int | None,
    answer: bytes,
    problem: str,
) -> None:
    seconds, body = time.monotonic() - began, request.body
    place = request.match or outcome.match
    is_with_bodies = directory.recorded_bodies and directory.records_bodies(sender, receiver)
    bodies = (body, answer) if is_with_bodies else None
    problem = cleaned(problem, request.path, place, body) if problem else ""
    at, lengths = time.time() - seconds, (len(body), len(answer))
    what = (request.method, place, request.path, request.query)
    ids = (request_id, request.correlation_id, outcome.related_id)
    ends = (sender, receiver, platform)
    # In the order of its fields: twenty names would cost ten times as much (Python 3.11).
    recorder.add(
        Note(
            at, direction, outcome.kind, *what, *ids, *ends, status, code, seconds, *lengths,
            problem, bodies,
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
