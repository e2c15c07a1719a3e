"""The gateway: the path that every OCPI message takes (transport_and_format).

1. `_receive`      read the message ids, authenticate, read the body (capped), find the place
2. `_decide`       routing: to whom? (hub/routing/decisions.py), with a look into the database where
it asks 3. `_forward`      to another party, within the request, byte for byte (hub/gateway/hop.py);
or
   `_answer`       the hub's own answer, from a Django view (hub/views.py)
4. `_send`         back to the sender, with ids and routing headers; one log line, one note for the
                   message record (hub/record/)

What is not below /ocpi/ (console, assets) is no message: hub/gateway/other_pages.py.
"""

import asyncio
import logging
import time
from typing import Final

from django.conf import settings
from django.http.response import HttpResponse

from hub.db.leases import Lease
from hub.db.notify import LOOK_AGAIN
from hub.deviations import noting
from hub.fairness.lanes import Behalf, Lane, behalf, lane_in_store, lane_of
from hub.fairness.unanswered import forwards
from hub.gateway import hop, modules, own_urls, ways
from hub.gateway import recorded as record
from hub.gateway.answer import (
    MOST_UNREAD,
    Outgoing,
    addressed,
    answer_of,
    identified,
    of_django,
    of_failure,
    refusal,
    send_whole,
)
from hub.gateway.other_pages import Pages
from hub.gateway.process import WebProcess
from hub.gateway.request import (
    Incoming,
    Receive,
    Scope,
    Send,
    SenderGone,
    check_authorization_once,
    check_headers,
    check_not_own,
    check_token_a,
    check_version,
    from_address,
    join,
    match_of,
    match_path,
    mend_path,
    message_of,
    place_of,
    presented_by,
    quiet_path,
    read_body,
    usual_path,
)
from hub.gateway.whole_requests import WholeRequest, whole_of
from hub.ocpi import envelope, headers, own_paths, response_url
from hub.ocpi.authorization import why_refused
from hub.ocpi.datatypes import InterfaceRole, check_json
from hub.ocpi.errors import (
    ForwardTimeout,
    HubError,
    NotAuthenticated,
    NotTaken,
    OcpiError,
    TooManyRequests,
    UnknownReceiver,
)
from hub.ocpi.modules import Match
from hub.ocpi.odd_urls import is_ocpi
from hub.ocpi.party import PartyId
from hub.openapi.views import PUBLIC
from hub.outbound import rewritten_urls
from hub.outbound.forwarded import Forwarded, InOneMoment
from hub.outbound.platform_calls import Response
from hub.record.note import Kind
from hub.routing import decisions
from hub.routing.directory import Directory, Presented
from hub.routing.owners import owner_of
from hub.startup import log
from hub.startup.quick_settings import setting
from hub.views import AnswerLater, Exchange, RelatedAnswer
from tokens import authorization

logger = logging.getLogger("hub.messages")

# Between two looks at what the same message, sent a moment ago, became.
_MOMENT: Final = 0.1
_WITH_JSON: Final = frozenset({"PUT", "PATCH"})
_MAY_BE_CALLED: Final = b'"response_url"'
_LOOK_AT_LEAST: Final = 5.0


class Gateway:
    """The ASGI application of a web process."""

    def __init__(self) -> None:
        self._worker = WebProcess(modules.STATEMENTS)
        self._pages = Pages(self._worker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or live through the server's lifespan."""
        if scope["type"] == "http":
            if is_ocpi(scope["path"]) and scope["path"] not in PUBLIC:
                await self._message(scope, receive, send)
            else:
                await self._pages(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._worker.lifespan(receive, send)

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = dict(scope["headers"])
        incoming = Incoming(
            scope,
            found,
            found.get(b"x-request-id", b"").decode("latin-1") or headers.new_id(),
            found.get(b"x-correlation-id", b"").decode("latin-1") or headers.new_id(),
            time.monotonic(),
        )
        whole = whole_of(scope)
        try:
            try:
                outgoing = await self._outgoing(incoming, receive, whole)
            except OcpiError as error:
                outgoing = refusal(error)
                incoming.code, incoming.problem = error.code, error.message
                if isinstance(error, TooManyRequests):
                    # Not in the log and the record each time: that would cost more than it saves.
                    self._worker.refused.note(presented_by(incoming).platform, error)
                    await self._send(incoming, outgoing, send)
                    return
            except SenderGone:
                return
            except Exception as error:
                said, outgoing = of_failure(error, incoming.request_id)
                incoming.code, incoming.problem = said.code, said.message
            if not self._is_sent(incoming, outgoing, whole):
                await self._send(incoming, outgoing, send)
            self._tell(incoming, outgoing)
            if outgoing.sent is not None:
                await outgoing.sent(self._worker.writer, self._worker.django)
        finally:
            for room in incoming.rooms:
                room.give_back()

    async def _outgoing(
        self, incoming: Incoming, receive: Receive, whole: WholeRequest | None
    ) -> Outgoing:
        check_not_own(incoming)
        directory = self._worker.directory
        presented = self._presented(incoming, directory)
        if presented is None:
            presented = await self._presented_lately(incoming)
            directory = self._worker.directory
        self._accept(incoming, presented, directory)
        body = None if whole is None else whole.body(setting("MAX_BODY_BYTES"))
        if body is None:
            room = incoming.room(self._worker.under_way)
            body = await read_body(receive, settings.MAX_BODY_BYTES, room)
            directory = self._worker.directory  # It may have taken its time.
        incoming.body = body
        method = incoming.scope["method"]
        # A POST may come without a body: real-time authorization (mod_tokens). What comes with a
        # GET or DELETE means nothing, unless a response_url is to be replaced in it.
        if method in _WITH_JSON or (body and (method == "POST" or _MAY_BE_CALLED in body)):
            check_json(body)
        if incoming.place is None:
            return await self._unrouted(incoming)
        decision = self._known_way(incoming, directory) or await self._decide(incoming)
        if decision.noted:
            noting.note(presented.platform.id, decision.noted)
        if isinstance(decision, decisions.Forward):
            incoming.kind = Kind.FORWARD
            return await self._forward_routed(incoming, decision)
        if isinstance(decision, decisions.Ask):
            incoming.kind = Kind.FORWARD
            return await self._ask(incoming, decision)
        incoming.kind = record.kind_of(incoming.place, method)
        behalf.set(Behalf(presented.platform.id, lane_in_store(incoming.place, method)))
        incoming.receiver = decision.receiver
        return await self._answer(incoming, decision.sender)

    async def _unrouted(self, incoming: Incoming) -> Outgoing:
        own, rest = own_paths.at(incoming.scope["path"])
        if own is own_paths.VIA and rest and "/" not in rest:
            return await self._via(incoming, rest)
        if own is own_paths.PROFILE_RESULT:
            incoming.kind = Kind.RESULT
        return await self._answer(incoming)

    # --- 1. Receive -----------------------------------------------------------------------------

    def _accept(self, incoming: Incoming, presented: Presented, directory: Directory) -> None:
        """Who sends it may, and its head is in order."""
        incoming.presented = presented
        platform = presented.platform
        usual = usual_path(incoming, directory)
        lane = Lane.FORWARD
        if usual is None:
            lane = lane_of(incoming.scope["method"], incoming.scope["path"])
        behalf.set(Behalf(platform.id, lane))
        self._worker.rates.check(platform, lane)
        self._worker.heard(platform)
        check_headers(incoming)
        if usual is None:
            mend_path(incoming, directory)
            check_version(incoming)
        check_token_a(incoming)
        incoming.place = place_of(incoming) if usual is None else match_path(incoming, usual)

    def _presented(self, incoming: Incoming, directory: Directory) -> Presented | None:
        check_authorization_once(incoming)
        credentials_token = incoming.text("authorization")
        if not credentials_token:
            raise NotAuthenticated(why_refused(""))
        return directory.authenticate(credentials_token)

    async def _presented_lately(self, incoming: Incoming) -> Presented:
        """Its handshake may have ended in another process a moment ago."""
        credentials_token = incoming.text("authorization")
        directory = await self._worker.newer_directory()
        presented = directory.authenticate(credentials_token)
        if presented is None:
            raise NotAuthenticated(why_refused(credentials_token))
        return presented

    # --- 2. Decide ------------------------------------------------------------------------------

    def _known_way(self, incoming: Incoming, directory: Directory) -> decisions.Forward | None:
        """Where others went that came with the same token and headers, if content says no more."""
        way = ways.known(directory, ways.key_of(incoming))
        if way is None:
            return None
        incoming.sender = way.sender
        method, own = incoming.scope["method"], presented_by(incoming).platform.parties
        owner = owner_of(match_of(incoming), method, incoming.body, way.sender, own)
        if owner is not None and owner != way.sender:
            return None
        incoming.way = way
        return way.forward

    async def _decide(
        self, incoming: Incoming
    ) -> decisions.Forward | decisions.Hub | decisions.Ask:
        message = message_of(incoming)
        # Known before anything else is refused: a refusal too is addressed to the sender.
        incoming.sender = decisions.sending_party(message, self._worker.directory)
        directory = self._worker.directory
        try:
            decision = decisions.decide(message, directory, sender=incoming.sender)
        except UnknownReceiver:
            directory = await self._worker.newer_directory()
            decision = decisions.decide(message, directory)
        if isinstance(decision, decisions.Lookup):
            lookup = modules.LOOKUPS[decision.kind]
            found = await self._worker.django.run(lookup, message, decision.sender)
            directory = self._worker.directory
            decision = decisions.decide(message, directory, found)
        if isinstance(decision, decisions.Lookup):
            raise HubError("The receiver of this message cannot be found.")
        if isinstance(decision, decisions.Forward):
            ways.remember(directory, incoming, decision)
        return decision

    # --- 3. Forward, or answer ------------------------------------------------------------------

    async def _forward_routed(self, incoming: Incoming, decision: decisions.Forward) -> Outgoing:
        receiver = incoming.receiver = decision.receiver.identity
        query = incoming.scope["query_string"].decode("latin-1")
        place, method = match_of(incoming), incoming.scope["method"]
        if (
            modules.before_forwarding(place, method, receiver) is not None
            and (known := await self._known(incoming, decision)) is not None
        ):
            return await self._outgoing_of(
                incoming, decision, join(decision.endpoint_url, incoming.rest, query), known
            )
        keys: tuple[str, ...] = ()
        try:
            if rewritten_urls.may_name_response_url(place.module, incoming.body, query):
                incoming.body, query, keys = await self._worker.django.run(
                    rewritten_urls.rewrite_response_url,
                    incoming.body,
                    query,
                    place,
                    incoming.rest,
                    decision,
                    incoming.correlation_id,
                )
            url = join(decision.endpoint_url, incoming.rest, query)
            response = await hop.call(self._worker, incoming, decision, url)
        except OcpiError as error:
            if (undo := modules.no_answer(place, method, error)) is not None:
                await self._worker.django.run(
                    undo, decision.sender, receiver, place, incoming.body, incoming.lease
                )
            await own_urls.end(self._worker.django, keys, decision.sender, error)
            raise modules.told(place, method, error) from error.__cause__
        keeper = modules.after_answer(place, method)
        if keeper is not None:
            forwarded = Forwarded(
                match=place,
                method=method,
                sender=decision.sender,
                receiver=receiver,
                body=incoming.body,
                query=query,
                correlation_id=incoming.correlation_id,
                response=response,
                lease=incoming.lease,
            )
            if not await modules.at_once(self._worker.writer, forwarded):
                await self._worker.django.run(keeper, forwarded)
        if keys:
            await own_urls.end(self._worker.django, keys, decision.sender, response)
        return await self._outgoing_of(incoming, decision, url, response)

    async def _known(self, incoming: Incoming, decision: decisions.Forward) -> Response | None:
        """The answer that is known without asking the receiver; None when it has to be asked."""
        asked = decision.sender, decision.receiver.identity, match_of(incoming), incoming.body
        check = modules.before_forwarding(asked[2], incoming.scope["method"], asked[1])
        while check is not None and incoming.lease is None:
            try:
                known = await modules.checked(
                    self._worker.writer, self._worker.django, check, asked
                )
            except InOneMoment:
                await asyncio.sleep(_MOMENT)
                continue
            if not isinstance(known, Lease):
                return known
            incoming.lease = known
        return None

    async def _ask(self, incoming: Incoming, decision: decisions.Ask) -> Outgoing:
        """Ask all who may know a Token; what says most is passed on as its eMSP's answer."""
        query = incoming.scope["query_string"].decode("latin-1")

        async def ask(forward: decisions.Forward) -> authorization.EmspAnswer:
            url = join(forward.endpoint_url, incoming.rest, query)
            response = await hop.call(self._worker, incoming, forward, url)
            return authorization.EmspAnswer(forward, url, response)

        answered = await authorization.ask_all(decision.forwards, ask)
        incoming.receiver = answered.forward.receiver.identity
        return await self._outgoing_of(incoming, *answered)

    async def _via(self, incoming: Incoming, key: str) -> Outgoing:
        """A URL that the hub has rewritten: a response_url, a next page, a CDR's Location."""
        incoming.kind = Kind.VIA
        presented = presented_by(incoming)
        forwarded = await self._worker.django.run(rewritten_urls.find, key, presented.platform.id)
        rewritten_urls.check_method(forwarded, incoming.scope["method"])
        incoming.sender, incoming.receiver = forwarded.caller_identity, forwarded.owner_identity
        if (address := from_address(incoming)) is not None:
            decisions.named_sender(address, presented.platform)
        decisions.check_may_send(self._worker.directory, incoming.sender)
        entry = decisions.reachable(
            self._worker.directory, incoming.sender, incoming.receiver, forwarded.module
        )
        decision = decisions.Forward(incoming.sender, entry, forwarded.target)
        incoming.place = Match(forwarded.module, InterfaceRole.SENDER, None, {})
        incoming.related_id = forwarded.correlation_id
        if forwarded.module == "commands":
            await self._worker.django.run(modules.result_posted, forwarded, incoming.body)
        keys: tuple[str, ...] = ()
        if forwarded.module in response_url.MODULES:
            incoming.body, _, keys = await self._worker.django.run(
                rewritten_urls.rewrite_response_url,
                incoming.body,
                "",
                incoming.place,
                "",
                decision,
                incoming.correlation_id,
            )
        try:
            response = await hop.call(self._worker, incoming, decision, forwarded.target)
        except ForwardTimeout as error:
            raise rewritten_urls.no_answer(error, forwarded.target, entry.platform) from error
        except NotTaken as error:
            await own_urls.end(self._worker.django, keys, decision.sender, error)
            raise
        await own_urls.end(self._worker.django, keys, decision.sender, response)
        if (own := await own_urls.kept_copy(self._worker.django, forwarded, response)) is not None:
            incoming.receiver = None  # The hub answers.
            return own
        return await self._outgoing_of(incoming, decision, forwarded.target, response)

    async def _outgoing_of(
        self, incoming: Incoming, decision: decisions.Forward, url: str, response: Response
    ) -> Outgoing:
        """The receiver's answer as the sender gets it: its errors unchanged, its URLs ours."""
        answer = answer_of(decision.receiver.identity, response)
        verdict = answer.verdict
        incoming.code, incoming.problem = verdict.status_code, verdict.status_message or ""
        sent = answer.headers
        if own_urls.may_be_named(incoming, response):
            sent += await own_urls.of_answer(self._worker.django, incoming, decision, url, response)
        return Outgoing(answer.status, answer.body, sent, is_plain=True)

    async def _answer(self, incoming: Incoming, caller: PartyId | None = None) -> Outgoing:
        """The hub's own answer to `caller`; it may have to wait for another party (AnswerLater)."""
        presented = presented_by(incoming)
        exchange = Exchange(
            platform=presented.platform,
            is_token_a=presented.is_token_a,
            authorization=incoming.text("authorization"),
            request_id=incoming.request_id,
            correlation_id=incoming.correlation_id,
            body=incoming.body,
            sender=caller,
            receiver=incoming.receiver,
            match=incoming.place,
        )
        whose = behalf.get()
        django = self._worker.threads_of(whose.lane)
        # Under which name the hub was called is nothing to OCPI: its URLs are those of BASE_URL.
        extra = {"flexhub.exchange": exchange, "HTTP_HOST": "127.0.0.1"}
        async with self._worker.in_hand.one(whose):
            writer = self._worker.writer
            response = await modules.answered_at_once(writer, django, exchange, incoming.scope)
            if response is None:
                response = await django.answer(incoming.scope, incoming.body, **extra)
            await incoming.room(self._worker.under_way).grow(len(response.content))
        sent = getattr(response, "sent", None)
        if isinstance(response, AnswerLater):
            # "Open response, Hub to requesting platform": FROM is the receiving party.
            incoming.receiver = response.answered_by
            receiver = response.receiver
            try:
                response = await self._wait(response)
            finally:
                forwards.give_back(receiver)
        if isinstance(response, RelatedAnswer):
            incoming.related_id = response.related_id
        outgoing = of_django(response)
        outgoing.sent = sent
        said = envelope.read_own(outgoing.body)
        incoming.code, incoming.problem = said.status_code, said.status_message or ""
        return outgoing

    async def _wait(self, later: AnswerLater) -> HttpResponse:
        """Wait without a thread; `resume` ends by itself at the command's deadline."""
        pause = LOOK_AGAIN
        with self._worker.listener.expect(later.topic) as expected:
            while True:
                told = await expected.wait(pause)
                if told:
                    return later.told(told)
                response = await self._worker.django.run(later.resume)
                if response is not None:
                    return response
                # Each look takes a thread: many that wait for long look less often.
                pause = min(2 * pause, _LOOK_AT_LEAST)

    # --- 4. Send --------------------------------------------------------------------------------

    def _is_sent(self, incoming: Incoming, outgoing: Outgoing, whole: WholeRequest | None) -> bool:
        """Whether it has left at once, as another party's answer of usual size can."""
        if whole is None or not outgoing.is_plain or len(outgoing.body) > MOST_UNREAD:
            return False
        return whole.answer(outgoing.status, self._headers(incoming, outgoing), outgoing.body)

    async def _send(self, incoming: Incoming, outgoing: Outgoing, send: Send) -> None:
        sent = self._headers(incoming, outgoing)
        await send_whole(send, outgoing.status, sent, outgoing.body)

    def _headers(self, incoming: Incoming, outgoing: Outgoing) -> list[tuple[bytes, bytes]]:
        sent = identified(outgoing, (incoming.request_id, incoming.correlation_id))
        if incoming.way is not None:
            sent += incoming.way.answered
        elif incoming.sender is not None:
            answering = incoming.receiver or self._worker.directory.hub
            sent += addressed(incoming.sender, answering)
        return sent

    def _tell(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """The log and the record of what was answered."""
        if incoming.presented is None and not record.stranger(incoming, outgoing.status):
            return
        place = incoming.place
        log.tell(
            logger,
            "%s %s from %s to %s: HTTP %s OCPI %s, %.0f ms, request %s correlation %s",
            incoming.scope["method"],
            place.module if place else quiet_path(incoming.scope["path"]),
            incoming.from_whom,
            incoming.receiver or "hub",
            outgoing.status,
            incoming.code,
            (time.monotonic() - incoming.started) * 1000,
            incoming.request_id,
            incoming.correlation_id,
        )
        if incoming.presented is not None:
            record.received(incoming, outgoing.status, outgoing.body, self._worker.directory)
