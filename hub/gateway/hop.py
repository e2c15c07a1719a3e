"""One hop: a message on its way to its receiver, and what that answers (message routing).

What is asked before it leaves and remembered afterwards is named in each module's module.py. The
call itself, with its headers and the record, is hub/outbound/message.py's.
"""

import asyncio
import time
from http import HTTPStatus
from typing import Final

from hub.db.leases import Lease
from hub.gateway import extended, modules, own_urls
from hub.gateway.answer import Outgoing, answer_of
from hub.gateway.outcome import Outcome
from hub.gateway.process import WebProcess
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, NotTaken, OcpiError
from hub.outbound import rewritten_urls
from hub.outbound.forwarded import Forwarded, InOneMoment
from hub.outbound.message import Message, url_below
from hub.outbound.platform_calls import Response
from hub.parties import token_forms
from hub.parties.alive_checks import NOT_ITS_OWN
from hub.routing.decisions import Ask, Forward
from hub.routing.request import OcpiRequest
from hub.startup.quick_settings import setting
from hub.store.handling import BeforeForwarding

# Between two looks at what the same message, sent a moment ago, became.
_MOMENT: Final = 0.1  # seconds


async def forward(
    worker: WebProcess, request: OcpiRequest, outcome: Outcome, decision: Forward
) -> Outgoing:
    """Send it on within the request, and answer with that.

    Byte for byte, except a response_url and extension fields that the two have not agreed on.
    """
    outcome.receiver = decision.receiver.identity
    request = request.between(decision.sender, outcome.receiver)
    lease: Lease | None = None
    keys: tuple[str, ...] = ()
    if (check := modules.before_forwarding(request)) is not None:
        known, lease = await _asked_before(worker, request, check)
        if known is not None:
            url = url_below(decision.endpoint_url, request.rest, request.query)
            return await outgoing_of(worker, request, outcome, decision, url, known)
    try:
        if rewritten_urls.may_name_response_url(request.place.module, request.body, request.query):
            request, keys = await worker.django.run(
                rewritten_urls.rewrite_response_url, request, decision
            )
        url = url_below(decision.endpoint_url, request.rest, request.query)
        response = await call(worker, request, outcome, decision, url, lease)
    except OcpiError as error:
        if (undo := modules.no_answer(request, error)) is not None:
            # Kept first, here and below: what follows gives the object to those that agreed.
            if request.beside is not None:
                await extended.keep(worker, request)
            await worker.django.run(undo, request, lease)
        await own_urls.end(worker.django, keys, decision.sender, error)
        raise modules.told(request, error) from error.__cause__
    if request.beside is not None and response.is_accepted:
        await extended.keep(worker, request)
    if (keeper := modules.after_answer(request)) is not None:
        forwarded = Forwarded(request, response, lease)
        if not await modules.at_once(worker.writer, forwarded):
            await worker.django.run(keeper, forwarded)
    if keys:
        await own_urls.end(worker.django, keys, decision.sender, response)
    return await outgoing_of(worker, request, outcome, decision, url, response)


async def _asked_before(
    worker: WebProcess, request: OcpiRequest, check: BeforeForwarding
) -> tuple[Response | None, Lease | None]:
    """The answer that is known without the receiver; or else what the message leaves under."""
    while True:
        try:
            known = await modules.checked(worker.writer, worker.django, check, request)
        except InOneMoment:
            await asyncio.sleep(_MOMENT)
            continue
        return (None, known) if isinstance(known, Lease) else (known, None)


async def ask_all(
    worker: WebProcess, request: OcpiRequest, outcome: Outcome, decision: Ask
) -> Outgoing:
    """Ask all who may know a Token, and pass the most telling answer on as its eMSP's."""

    async def ask(one: Forward) -> modules.authorization.EmspAnswer:
        url = url_below(one.endpoint_url, request.rest, request.query)
        return modules.authorization.EmspAnswer(
            one, url, await call(worker, request, outcome, one, url)
        )

    answered = await modules.authorization.ask_all(decision.forwards, ask)
    outcome.receiver = answered.forward.receiver.identity
    return await outgoing_of(worker, request, outcome, *answered)


async def outgoing_of(
    worker: WebProcess,
    request: OcpiRequest,
    outcome: Outcome,
    decision: Forward,
    url: str,
    response: Response,
) -> Outgoing:
    """The receiver's answer as the sender gets it: its errors unchanged, its URLs ours."""
    if request.method == "GET":
        response = await extended.answer_for(request, outcome, decision, response)
    answer = answer_of(decision.receiver.identity, response)
    verdict = answer.verdict
    outcome.code, outcome.problem = verdict.status_code, verdict.status_message or ""
    sent = answer.headers
    if own_urls.may_be_named(request, response):
        sent += await own_urls.of_answer(worker.django, request, decision, url, response)
    return Outgoing(answer.status, answer.body, sent, is_plain=True)


async def call(
    worker: WebProcess,
    request: OcpiRequest,
    outcome: Outcome,
    decision: Forward,
    url: str,
    lease: Lease | None = None,
) -> Response:
    """Send it; the receiver's answer, whatever its status, except a 401.

    ForwardTimeout (4002), ConnectionProblem (4003) or another OcpiError when there is none.
    """
    platform, began = decision.receiver.platform, time.monotonic()
    message = _message(request, outcome, decision, url)

    async def send(authorization: str) -> Response:
        # A second attempt, with the token in its other form, has the rest of the first one's time.
        left = setting("FORWARD_TIMEOUT") - (time.monotonic() - began)
        room = outcome.with_room(worker.under_way.of_answer(request.platform.id, platform.id))
        try:
            response = await message.send(
                worker.outbound, authorization, seconds=max(left, 0.0), lease=lease, room=room
            )
        except (ConnectionProblem, ForwardTimeout):
            worker.suspect(platform)
            raise
        if response.status not in NOT_ITS_OWN:
            worker.heard(platform)
        return response

    response = await token_forms.sent(platform, send, worker.django.run)
    if response.status == HTTPStatus.UNAUTHORIZED:
        # Between the hub and the receiver; passed on, it would speak of the sender's token.
        worker.suspect(platform)
        raise NotTaken(f"{decision.receiver.identity} refuses the hub's credentials.")
    return response


def _message(request: OcpiRequest, outcome: Outcome, decision: Forward, url: str) -> Message:
    place, way = request.match or outcome.match, outcome.way
    if way is None:
        routing = request.routing_headers(decision.sender, decision.receiver)
    else:
        routing = way.sent
    return Message(
        kind=outcome.kind,
        method=request.method,
        url=url,
        platform=decision.receiver.platform,
        module=place.module if place else "",
        routing=routing,
        correlation_id=request.correlation_id,
        body=request.body if request.beside is None else extended.body_for(request),
        came_to=(place, request.path, request.query),
        between=(decision.sender, decision.receiver.identity),
        related_id=outcome.related_id,
    )
