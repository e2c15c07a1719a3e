"""A message to another platform: its headers, its call, and what the record has of it.

The one way out: whatever the hub sends, its own messages and those of others, is a Message, and
leaves by `send` (awaited) or `send_now` (waited for in a thread).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from django.conf import settings

from hub.db.leases import Lease
from hub.fairness.memory import BytesTaken
from hub.ocpi import headers
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import OcpiError
from hub.ocpi.modules import CONFIGURATION_MODULES, Match, match
from hub.ocpi.party import PartyId
from hub.outbound import platform_calls
from hub.outbound.hang_up import HangUp
from hub.outbound.platform_calls import JSON_TYPE, AsyncCaller, Response
from hub.record.note import Direction, Kind, Note, cleaned, is_failure, named
from hub.record.recorder import recorder
from hub.routing.directory import PlatformEntry, holder
from hub.startup import log
from hub.startup.quick_settings import setting

_NONE: Final[Mapping[str, str]] = {}


def url_below(endpoint: str, path: str, query: str = "") -> str:
    """The URL of what is below an endpoint, whose own URL may have a query."""
    if path and not query and "?" not in endpoint:
        return f"{endpoint.rstrip('/')}/{path}"
    base, _, own_query = endpoint.partition("?")
    url = f"{base.rstrip('/')}/{path}" if path else base
    queries = "&".join(part for part in (own_query, query) if part)
    return f"{url}?{queries}" if queries else url


class Message(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One OCPI request, which may be sent more than once: in another form of the token, or later.

    `url` is where it goes; `module`, `role` and `path` (what follows the endpoint, still encoded)
    say what is there. `role` is None for Configuration Modules, and for a callback, whose URL is on
    no interface that the hub knows. `platform` is None while it is not registered.
    """

    kind: Kind
    method: str
    url: str
    platform: PlatformEntry | None
    module: str
    role: InterfaceRole | None = None
    path: str = ""
    # FROM and TO (headers.routing), as they are written, and what else only such messages have;
    # empty in Configuration Modules.
    routing: Mapping[str, str] = _NONE
    correlation_id: str = msgspec.field(default_factory=headers.new_id)
    body: bytes = b""
    # A URL of the receiver's at which it has spoken OCPI, where its platform does not say.
    known: str = ""
    # The correlation ids of earlier changes that it tells as well.
    merged: Sequence[str] = ()
    # All headers, where whoever asks makes them (hub/conformance/asking.py).
    given: Mapping[str, str] | None = None
    # Of another party's message: the place, path and query at which it came to the hub, from whom
    # to whom it goes, and the correlation id of the exchange that it is a part of, where it has one
    # of its own.
    came_to: tuple[Match | None, str, str] | None = None
    between: tuple[PartyId, PartyId] | None = None
    related_id: str = ""

    def headers(self, authorization: str) -> dict[str, str]:
        """The headers of one attempt, each with an X-Request-ID of its own."""
        if self.given is not None:
            return dict(self.given)
        sent = {
            "Authorization": authorization,
            headers.REQUEST_ID: headers.new_id(),
            headers.CORRELATION_ID: self.correlation_id,
            **self.routing,
        }
        if self.body:
            sent["Content-Type"] = JSON_TYPE
        return sent

    async def send(
        self,
        caller: AsyncCaller,
        authorization: str,
        *,
        seconds: float | None = None,
        only_once: bool = False,
        lease: Lease | None = None,
        room: BytesTaken | None = None,
    ) -> Response:
        """One attempt, with the errors of AsyncCaller.call; it is in the record either way."""
        log.sent(self.correlation_id)
        sent, began = self.headers(authorization), time.monotonic()
        platform = self.platform
        try:
            response = await caller.call(
                0 if platform is None else platform.id,
                self.method,
                self.url,
                sent,
                self.body,
                seconds=seconds,
                only_once=only_once,
                known=self.known if platform is None else platform.versions_url,
                lease=lease,
                room=room,
            )
        except OcpiError as error:
            self._note(sent, began, error)
            raise
        self._note(sent, began, response)
        return response

    def send_now(
        self,
        authorization: str = "",
        *,
        seconds: float | None = None,
        follow: bool = True,
        hang_up: HangUp | None = None,
        limit: int | None = None,
    ) -> Response:
        """The same in a job or a view, with the errors of platform_calls.call."""
        log.sent(self.correlation_id)
        sent, began = self.headers(authorization), time.monotonic()
        try:
            response = platform_calls.call(
                self.method,
                self.url,
                sent,
                self.body,
                seconds=seconds,
                follow=follow,
                known=self.known if self.platform is None else self.platform.versions_url,
                hang_up=hang_up,
                limit=limit,
            )
        except OcpiError as error:
            self._note(sent, began, error)
            raise
        self._note(sent, began, response)
        return response

    # --- The record -----------------------------------------------------------------------------

    @property
    def place(self) -> Match | None:
        """What a URL of the hub's own messages names; None in a Configuration Module."""
        if self.role is None:
            is_unrouted = self.module in CONFIGURATION_MODULES
            return None if is_unrouted else Match(self.module, InterfaceRole.SENDER, None, {})
        try:
            return match(self.module, self.role, self.path.partition("?")[0], self.method)
        except LookupError:
            return Match(self.module, self.role, None, {})

    def _note(self, sent: Mapping[str, str], began: float, outcome: Response | OcpiError) -> None:
        """Note one attempt, with the headers that were `sent`."""
        if not setting("RECORD_MESSAGES"):
            return
        seconds = time.monotonic() - began
        place, path, query = self.came_to or (self.place, "", "")
        sender, receiver = self.between or self._ends(sent)
        body, platform = self.body, self.platform
        if isinstance(outcome, Response):
            status, answer, verdict = outcome.status, outcome.body, outcome.verdict
            code = verdict.status_code
            problem = (verdict.status_message or "") if is_failure(status, code) else ""
        else:
            status, answer, code, problem = None, b"", outcome.code, outcome.message
        problem = cleaned(problem, path, place, body) if problem else ""
        bodies = (body, answer) if _keeps_bodies(sender, receiver) else None
        # In the order of its fields: by their names it takes ten times as long (Python 3.11).
        note = Note(
            time.time() - seconds, Direction.OUT, self.kind, self.method, place,
            path or self.module, query, sent.get(headers.REQUEST_ID, ""),
            sent.get(headers.CORRELATION_ID, ""), self.related_id, sender, receiver,
            platform.id if platform else None, status, code, seconds, len(body), len(answer),
            problem, bodies,
        )  # fmt: skip
        recorder.add(note)
        for correlation_id in self.merged:
            recorder.add(_merged(note, correlation_id))

    def _ends(self, sent: Mapping[str, str]) -> tuple[str, str]:
        """Who sends it, and to whom; "" where it names none of several."""
        sender = named(sent, headers.FROM_COUNTRY_CODE, headers.FROM_PARTY_ID) or _hub()
        receiver = named(sent, headers.TO_COUNTRY_CODE, headers.TO_PARTY_ID)
        if not receiver and self.platform is not None and len(self.platform.parties) == 1:
            receiver = str(self.platform.parties[0])
        return sender, receiver


def _hub() -> str:
    return f"{settings.HUB_COUNTRY_CODE}-{settings.HUB_PARTY_ID}".upper()


def _keeps_bodies(*ends: PartyId | str) -> bool:
    directory = holder.snapshot_if_loaded
    if directory is None or not directory.recorded_bodies:
        return False
    return directory.records_bodies(*(PartyId.parse(str(one)) for one in ends if one))


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
