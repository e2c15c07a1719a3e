"""What the gateway notes: each message that came in, and each that it sent on to another party.

Called on the hot path: a tuple is made and appended, the rest is the recorder's thread's.
"""

import time

from hub.fairness.callers import FirstOfMinute, group_of
from hub.gateway.request import Incoming
from hub.ocpi import masking
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import OcpiError
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from hub.record.note import Direction, Kind, Note, cleaned, is_failure, text
from hub.record.recorder import recorder
from hub.record.strangers import Stranger
from hub.routing.decisions import Forward
from hub.routing.directory import Directory, Presented
from hub.startup.quick_settings import setting

_strangers = FirstOfMinute()


def kind_of(place: Match, method: str) -> Kind:
    """The kind of a message that the hub answers itself."""
    if place.module == "chargingprofiles":
        return Kind.COMMAND
    is_push = place.role == InterfaceRole.RECEIVER and method != "GET"
    return Kind.BROADCAST if is_push else Kind.HUB


def received(incoming: Incoming, status: int, answer: bytes, directory: Directory) -> None:
    """Note a party's request and its answer."""
    if not setting("RECORD_MESSAGES"):
        return
    scope, body = incoming.scope, incoming.body
    sender = incoming.sender or _only_party(incoming.presented)
    receiver = incoming.receiver or directory.hub
    path = scope["path"]
    seconds = time.monotonic() - incoming.started
    bodies = None
    if directory.recorded_bodies and directory.records_bodies(sender, receiver):
        bodies = (body, answer)
    recorder.add(
        Note(
            time.time() - seconds,
            Direction.IN,
            incoming.kind,
            scope["method"],
            incoming.place,
            path,
            scope["query_string"].decode("latin-1"),
            incoming.request_id,
            incoming.correlation_id,
            incoming.related_id,
            sender,
            receiver,
            incoming.presented.platform.id if incoming.presented else None,
            status,
            incoming.code,
            seconds,
            len(body),
            len(answer),
            cleaned(incoming.problem, path, incoming.place, body)
            if incoming.problem and is_failure(status, incoming.code)
            else "",
            bodies,
        )
    )


def stranger(incoming: Incoming, status: int) -> bool:
    """Count a stranger's request. Returns whether it is the first of its address and minute."""
    minute, address, is_first = _strangers.look(group_of(incoming.caller))
    if setting("RECORD_MESSAGES"):
        path = incoming.scope["path"]
        recorder.stranger(
            Stranger(
                minute,
                address,
                text(incoming.scope["method"], 16),
                text(masking.safe_path(path, None), 300),
                text(incoming.request_id, 255),
                text(incoming.correlation_id, 255),
                status,
                incoming.code,
                [text(cleaned(incoming.problem, path, None, b""), 300)],
            )
        )
    return is_first


def sent_on(
    incoming: Incoming,
    decision: Forward,
    request_id: str,
    began: float,
    outcome: Response | OcpiError,
    directory: Directory,
) -> None:
    """Note the request to the receiver, and its answer, or why there was none."""
    if not setting("RECORD_MESSAGES"):
        return
    scope, body = incoming.scope, incoming.body
    receiver = decision.receiver.identity
    seconds = time.monotonic() - began
    if isinstance(outcome, Response):
        status, answer, verdict = outcome.status, outcome.body, outcome.verdict
        code = verdict.status_code
        problem = (verdict.status_message or "") if is_failure(status, code) else ""
    else:
        status, answer, code, problem = None, b"", outcome.code, outcome.message
    bodies = None
    if directory.recorded_bodies and directory.records_bodies(decision.sender, receiver):
        bodies = (body, answer)
    recorder.add(
        Note(
            time.time() - seconds,
            Direction.OUT,
            incoming.kind,
            scope["method"],
            incoming.place,
            scope["path"],
            scope["query_string"].decode("latin-1"),
            request_id,
            incoming.correlation_id,
            incoming.related_id,
            decision.sender,
            receiver,
            decision.receiver.platform.id,
            status,
            code,
            seconds,
            len(body),
            len(answer),
            cleaned(problem, scope["path"], incoming.place, body) if problem else "",
            bodies,
        )
    )


def _only_party(presented: Presented | None) -> PartyId | str:
    """The only party of the platform, or "": configuration modules name no party."""
    parties = presented.platform.parties if presented else ()
    return parties[0] if len(parties) == 1 else ""
