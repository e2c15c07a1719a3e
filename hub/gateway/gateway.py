"""The gateway: the path that every OCPI message takes (transport_and_format).

1. `_received`     authenticate, check the head, find the route, read the body (capped)
2. `_decide`       routing: to whom? (hub/routing/decisions.py), with a look into the database where
                   it asks
3. `hop.forward`   to another party, within the request, byte for byte (hub/gateway/hop.py), or
   `via.send_on`   to the URL of a party for which the hub has given out its own (via.py), or
   `_answer`       the hub's own answer, from a Django view (hub/gateway/own_answers.py)
4. `_send`         back to the sender, with ids and routing headers; one log line, one note for the
                   message record (hub/record/)

The request is an OcpiRequest (hub/routing/request.py), which nobody changes: each step gives one
that says more. What becomes of it is its Outcome. What is not below /ocpi/ (console, assets) is not
a message: hub/gateway/other_pages.py, and apis.py for the flex API.
"""

import logging
import time
from typing import Final

from hub.deviations import noting
from hub.fairness.lanes import Lane, behalf, behalf_of, lane_in_store, lane_of
from hub.gateway import extended, hop, modules, own_answers, via, ways
from hub.gateway import recorded as record
from hub.gateway.answer import (
    MOST_UNREAD,
    Outgoing,
    addressed,
    identified,
    of_failure,
    refusal,
    send_whole,
)
from hub.gateway.apis import Apis
from hub.gateway.bodies import SenderGone, read_body
from hub.gateway.other_pages import Pages
from hub.gateway.outcome import Outcome
from hub.gateway.process import Receive, Send, WebProcess
from hub.gateway.whole_requests import WholeRequest, whole_of
from hub.ocpi import own_paths
from hub.ocpi.authorization import why_refused
from hub.ocpi.datatypes import check_json
from hub.ocpi.errors import HubError, NotAuthenticated, OcpiError, TooManyRequests, UnknownReceiver
from hub.ocpi.masking import quiet_path
from hub.ocpi.odd_urls import is_ocpi
from hub.openapi.views import PUBLIC
from hub.outbound import loops
from hub.record.note import Kind
from hub.routing import decisions
from hub.routing.directory import KnownToken
from hub.routing.owners import owner_of
from hub.routing.request import OcpiRequest, Scope
from hub.routing.senders import sending_party
from hub.startup import log
from hub.startup.quick_settings import setting

logger = logging.getLogger("hub.messages")

_WITH_JSON: Final = frozenset({"PUT", "PATCH"})
_MAY_BE_CALLED: Final = b'"response_url"'


class Gateway:
    """The ASGI application of a web process."""

    def __init__(self) -> None:
        self._worker = WebProcess(modules.STATEMENTS)
        self._pages = Pages(self._worker)
        self._apis = Apis(self._worker, self._decide)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or live through the server's lifespan."""
        if scope["type"] == "http":
            if is_ocpi(scope["path"]) and scope["path"] not in PUBLIC:
                await self._message(scope, receive, send)
            elif scope["path"].startswith(own_paths.FLEX):
                await self._apis(scope, receive, send)
            else:
                await self._pages(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._worker.lifespan(receive, send)

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = whole_of(scope)
        request, outcome = OcpiRequest.of(scope), Outcome()
        log.about(request.request_id, request.correlation_id)
        is_told = True
        try:
            try:
                if loops.is_own_message(request.headers):
                    raise HubError(loops.REASON)
                request = request.authenticated(await self._token(request))
                usual = request.usual_path(self._worker.directory)
                if usual is None:
                    request = request.mended(self._worker.directory)
                self._admit(request, is_usual=usual is not None)
                request = request.placed(usual)
                request = await self._with_body(request, outcome, receive, whole)
                outgoing = await self._outgoing(request, outcome)
            except SenderGone:
                return
            except Exception as error:
                outgoing = self._refused(request, outcome, error)
                # Not in the log and the record each time: that would cost more than it saves.
                is_told = not isinstance(error, TooManyRequests)
            sent = self._headers(request, outcome, outgoing)
            if not _is_sent(outgoing, sent, whole):
                await send_whole(send, outgoing.status, sent, outgoing.body)
            if is_told:
                self._tell(request, outcome, outgoing)
            if outgoing.sent is not None:
                await outgoing.sent(self._worker.writer, self._worker.django)
        finally:
            outcome.give_back()

    # --- 1. Receive -----------------------------------------------------------------------------

    async def _token(self, request: OcpiRequest) -> KnownToken:
        request.check_authorization_once()
        credentials_token = request.text("authorization")
        found = None
        if credentials_token:
            found = self._worker.directory.authenticate(credentials_token)
            if found is None:
                # A handshake may have ended in another process a moment ago.
                directory = await self._worker.newer_directory()
                found = directory.authenticate(credentials_token)
        if found is None:
            raise NotAuthenticated(why_refused(credentials_token))
        return found

    def _admit(self, request: OcpiRequest, *, is_usual: bool) -> None:
        """Refuse what its sender may not send, or whose head is not in order."""
        platform = request.platform
        lane = Lane.FORWARD if is_usual else lane_of(request.method, request.path)
        behalf.set(behalf_of(platform.id, lane))
        self._worker.rates.check(platform, lane)
        self._worker.heard(platform)
        request.check_headers()
        if not is_usual:
            request.check_version()
        request.check_token_a()

    async def _with_body(
        self,
        request: OcpiRequest,
        outcome: Outcome,
        receive: Receive,
        whole: WholeRequest | None,
    ) -> OcpiRequest:
        limit: int = setting("MAX_BODY_BYTES")
        body = None if whole is None else whole.body(limit)
        if body is None:
            room = outcome.with_room(self._worker.under_way.of_sender(request.platform.id))
            body = await read_body(receive, limit, room)
        return request.with_body(body)

    async def _outgoing(self, request: OcpiRequest, outcome: Outcome) -> Outgoing:
        method, body = request.method, request.body
        # A POST may come without a body: real-time authorization (mod_tokens). A body on GET or
        # DELETE is ignored, unless there is a response_url in it that has to be replaced.
        if method in _WITH_JSON or (body and (method == "POST" or _MAY_BE_CALLED in body)):
            check_json(body)
        if (place := request.match) is None:
            return await self._unrouted(request, outcome)
        if method in _WITH_JSON:
            request = await extended.taken_apart(request, place)
        decision = self._known_way(request, outcome) or await self._decide(request, outcome)
        if decision.noted:
            noting.note(request.platform.id, decision.noted)
        if isinstance(decision, decisions.Forward):
            outcome.kind = Kind.FORWARD
            return await hop.forward(self._worker, request, outcome, decision)
        if isinstance(decision, decisions.Ask):
            outcome.kind = Kind.FORWARD
            return await hop.ask_all(self._worker, request, outcome, decision)
        outcome.kind = record.kind_of(place, method)
        outcome.receiver = decision.receiver
        behalf.set(behalf_of(request.platform.id, lane_in_store(place, method)))
        return await self._answer(request.between(decision.sender, decision.receiver), outcome)

    async def _unrouted(self, request: OcpiRequest, outcome: Outcome) -> Outgoing:
        own, rest = own_paths.at(request.path)
        if own is own_paths.VIA and rest and "/" not in rest:
            return await via.send_on(self._worker, request, outcome, rest)
        if own is own_paths.PROFILE_RESULT:
            outcome.kind = Kind.RESULT
        return await self._answer(request, outcome)

    # --- 2. Decide ------------------------------------------------------------------------------

    def _known_way(self, request: OcpiRequest, outcome: Outcome) -> decisions.Forward | None:
        """The way that the same token and headers led before, unless the content contradicts it."""
        way = ways.known(self._worker.directory, ways.key_of(request))
        if way is None:
            return None
        outcome.sender, own = way.sender, request.platform.parties
        owner = owner_of(request.place, request.method, request.body, way.sender, own)
        if owner is not None and owner != way.sender:
            return None
        outcome.way = way
        return way.forward

    async def _decide(
        self, request: OcpiRequest, outcome: Outcome
    ) -> decisions.Forward | decisions.Hub | decisions.Ask:
        directory = self._worker.directory
        # Known before anything else is refused: a refusal too is addressed to the sender.
        sender = outcome.sender = sending_party(request, directory)
        try:
            decision = decisions.decide(request, directory, sender=sender)
        except UnknownReceiver:
            directory = await self._worker.newer_directory()
            decision = decisions.decide(request, directory)
        if isinstance(decision, decisions.Lookup):
            lookup = modules.LOOKUPS[decision.kind]
            found = await self._worker.django.run(lookup, request, decision.sender)
            directory = self._worker.directory
            decision = decisions.decide(request, directory, found)
        if isinstance(decision, decisions.Lookup):
            raise HubError("The receiver of this message cannot be found.")
        if isinstance(decision, decisions.Forward):
            ways.remember(directory, request, sender, decision)
        return decision

    # --- 3. Answer ------------------------------------------------------------------------------

    async def _answer(self, request: OcpiRequest, outcome: Outcome) -> Outgoing:
        outgoing = await own_answers.answer(self._worker, request, outcome)
        if request.beside is not None and (outcome.code or 0) // 1000 == 1:
            await extended.keep(self._worker, request)
        return outgoing

    def _refused(self, request: OcpiRequest, outcome: Outcome, error: Exception) -> Outgoing:
        """The answer to what is refused, or has failed."""
        if isinstance(error, OcpiError):
            said, outgoing = error, refusal(error)
        else:
            said, outgoing = of_failure(error, request.request_id)
        outcome.code, outcome.problem = said.code, said.message
        if isinstance(error, TooManyRequests):
            self._worker.refused.note(request.platform, error)
        return outgoing

    # --- 4. Send --------------------------------------------------------------------------------

    def _headers(
        self, request: OcpiRequest, outcome: Outcome, outgoing: Outgoing
    ) -> list[tuple[bytes, bytes]]:
        sent = identified(outgoing, (request.request_id, request.correlation_id))
        if outcome.way is not None:
            sent += outcome.way.answered
        elif outcome.sender is not None:
            sent += addressed(outcome.sender, outcome.receiver or self._worker.directory.hub)
        return sent

    def _tell(self, request: OcpiRequest, outcome: Outcome, outgoing: Outgoing) -> None:
        """Write the log and the record of what was answered."""
        if request.token is None and not record.stranger(request, outcome, outgoing.status):
            return
        place = request.match or outcome.match
        log.tell(
            logger,
            "%s %s from %s to %s: HTTP %s OCPI %s, %.0f ms, request %s correlation %s",
            request.method,
            place.module if place else quiet_path(request.path),
            outcome.sender or _from_whom(request),
            outcome.receiver or "hub",
            outgoing.status,
            outcome.code,
            (time.monotonic() - request.began) * 1000,
            request.request_id,
            request.correlation_id,
        )
        if request.token is not None:
            record.received(request, outcome, outgoing, self._worker.directory)


def _is_sent(
    outgoing: Outgoing, headers: list[tuple[bytes, bytes]], whole: WholeRequest | None
) -> bool:
    """Whether it has left at once, as another party's answer of usual size can."""
    if whole is None or not outgoing.is_plain or len(outgoing.body) > MOST_UNREAD:
        return False
    return whole.answer(outgoing.status, headers, outgoing.body)


def _from_whom(request: OcpiRequest) -> str:
    """The sender for the log, where its party is not known."""
    return request.platform.name if request.token else f"nobody at {request.caller}"
