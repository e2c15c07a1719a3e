"""What is noted of the hub's own calls: `with noted(...) as call: call.answered(outbound.call(…))`.

Works around a synchronous call and around one that is awaited alike.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from django.conf import settings

from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import OcpiError
from hub.ocpi.modules import CONFIGURATION_MODULES, Match, match
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response
from hub.record.note import Direction, Kind, Note, cleaned, is_failure, named
from hub.record.recorder import recorder
from hub.routing.directory import PlatformEntry, holder
from hub.startup.quick_settings import setting


@dataclass(slots=True)
class RecordedCall:
    """One call that the hub makes on its own account."""

    response: Response | None = None
    problem: OcpiError | None = None

    def answered(self, response: Response) -> Response:
        """Keep the answer for the record, and give it back."""
        self.response = response
        return response


@contextmanager
def noted(
    kind: Kind,
    method: str,
    sent: Mapping[str, str],
    platform: PlatformEntry | None,
    *,
    module: str,
    role: InterfaceRole | None = None,
    rest: str = "",
    body: bytes = b"",
    merged: Sequence[str] = (),
) -> Iterator[RecordedCall]:
    """Note one call when the block ends; an OcpiError in it is noted and goes on.

    `sent` are its headers, which name ids and parties; `rest` is what follows the endpoint's URL;
    `merged` are the correlation ids of earlier changes that it tells as well.
    """
    call, began = RecordedCall(), time.monotonic()
    try:
        yield call
    except OcpiError as error:
        call.problem = error
        raise
    finally:
        if setting("RECORD_MESSAGES") and (call.response or call.problem):
            place = _place(module, role, rest, method)
            note = _note(kind, method, sent, platform, place, module, body, call, began)
            recorder.add(note)
            for correlation_id in merged:
                recorder.add(_merged(note, correlation_id))


def _merged(note: Note, correlation_id: str) -> Note:
    """The same in the exchange of an earlier change, which was told with a later one."""
    told = f"told together with {note.correlation_id}"
    return msgspec.structs.replace(
        note,
        kind=Kind.MERGED,
        correlation_id=correlation_id,
        request_bytes=0,
        answer_bytes=0,
        problem=f"{told}: {note.problem}" if note.problem else told,
        bodies=None,
    )


def _place(module: str, role: InterfaceRole | None, rest: str, method: str) -> Match | None:
    """None for Configuration Modules; a callback's URL is on no interface that the hub knows."""
    if role is None:
        unrouted = module in CONFIGURATION_MODULES
        return None if unrouted else Match(module, InterfaceRole.SENDER, None, {})
    try:
        return match(module, role, rest.partition("?")[0], method)
    except LookupError:
        return Match(module, role, None, {})


def _note(
    kind: Kind,
    method: str,
    sent: Mapping[str, str],
    platform: PlatformEntry | None,
    place: Match | None,
    module: str,
    body: bytes,
    call: RecordedCall,
    began: float,
) -> Note:
    seconds = time.monotonic() - began
    sender = named(sent, headers.FROM_COUNTRY_CODE, headers.FROM_PARTY_ID)
    sender = sender or f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}".upper()
    receiver = named(sent, headers.TO_COUNTRY_CODE, headers.TO_PARTY_ID)
    if not receiver and platform is not None and len(platform.parties) == 1:
        receiver = str(platform.parties[0])
    status = code = None
    answer, problem = b"", ""
    if call.response is not None:
        status, answer = call.response.status, call.response.body
        code = call.response.said.status_code
        if is_failure(status, code):
            problem = call.response.said.status_message or ""
    if call.problem is not None:
        code, problem = call.problem.code, call.problem.message
    bodies = None
    recorded = holder.snapshot_if_loaded
    if (
        recorded is not None
        and recorded.recorded_bodies
        and recorded.records_bodies(*(PartyId.parse(who) for who in (sender, receiver) if who))
    ):
        bodies = (body, answer)
    return Note(
        time.time() - seconds,
        Direction.OUT,
        kind,
        method,
        place,
        module,
        "",
        sent.get(headers.REQUEST_ID, ""),
        sent.get(headers.CORRELATION_ID, ""),
        "",
        sender,
        receiver,
        platform.id if platform else None,
        status,
        code,
        seconds,
        len(body),
        len(answer),
        cleaned(problem, "", place, body),
        bodies,
    )
