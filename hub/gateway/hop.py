"""One hop: a message on its way to its receiver, and what that answers (message routing).

What is asked before it leaves and remembered afterwards is named in hub/gateway/modules.py. The
call itself is hub/outbound/platform_calls.py's; headers, the record, and what a refused token means
are the gateway's part of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from django.conf import settings

from hub.db.leases import Lease
from hub.gateway import modules, own_urls
from hub.gateway import recorded as record
from hub.gateway.answer import Outgoing, answer_of
from hub.gateway.outcome import Outcome
from hub.gateway.process import WebProcess
from hub.ocpi import headers
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, NotTaken, OcpiError
from hub.outbound import rewritten_urls
from hub.outbound.forwarded import Forwarded, InOneMoment
from hub.outbound.platform_calls import Response
from hub.parties import token_forms
from hub.parties.alive_checks import NOT_ITS_OWN
from hub.routing.decisions import Ask, Forward
from hub.routing.request import OcpiRequest
from tokens import authorization

# Between two looks at what the same message, sent a moment ago, became.
_MOMENT: Final = 0.1  # seconds


async def forward(
    worker: WebProcess, request: OcpiRequest, outcome: Outcome, decision: Forward
) -> Outgoing:
    """Send it on within the request, byte for byte except a response_url, and answer with that."""
    outcome.receiver = decision.receiver.identity
    request = request.between(decision.sender, outcome.receiver)
    known, lease = await _asked_before(worker, request)
    if known is not None:
        url = join(decision.endpoint_url, request.rest, request.query)
        return await outgoing_of(worker, request, outcome, decision, url, known)
    keys: tuple[str, ...] = ()
    try:
        if rewritten_urls.may_name_response_url(request.place.module, request.body, request.query):
            request, keys = await worker.django.run(
                rewritten_urls.rewrite_response_url, request, decision
            )
        url = join(decision.endpoint_url, request.rest, request.query)
        response = await call(worker, request, outcome, decision, url, lease)
    except OcpiError as error:
        if (undo := modules.no_answer(request, error)) is not None:
            await worker.django.run(undo, request, lease)
        await own_urls.end(worker.django, keys, decision.sender, error)
        raise modules.told(request, error) from error.__cause__
    await _remember(worker, request, response, lease)
    await own_urls.end(worker.django, keys, decision.sender, response)
    return await outgoing_of(worker, request, outcome, decision, url, response)


async def _asked_before(
    worker: WebProcess, request: OcpiRequest
) -> tuple[Response | None, Lease | None]:
    """The answer that is known without the receiver; or else what the message leaves under."""
    check = modules.before_forwarding(request)
    while check is not None:
        try:
            known = await modules.checked(worker.writer, worker.django, check, request)
        except InOneMoment:
            await asyncio.sleep(_MOMENT)
            continue
        return (None, known) if isinstance(known, Lease) else (known, None)
    return None, None


async def _remember(
    worker: WebProcess, request: OcpiRequest, response: Response, lease: Lease | None
) -> None:
    keeper = modules.after_answer(request)
    if keeper is None:
        return
    forwarded = Forwarded(request, response, lease)
    if not await modules.at_once(worker.writer, forwarded):
        await worker.django.run(keeper, forwarded)


async def ask_all(
    worker: WebProcess, request: OcpiRequest, outcome: Outcome, decision: Ask
) -> Outgoing:
    """Ask all who may know a Token, and pass the most telling answer on as its eMSP's."""

    async def ask(one: Forward) -> authorization.EmspAnswer:
        url = join(one.endpoint_url, request.rest, request.query)
        return authorization.EmspAnswer(one, url, await call(worker, request, outcome, one, url))

    answered = await authorization.ask_all(decision.forwards, ask)
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
    authorization: str = "",
    seconds: float | None = None,
) -> Response:
    """Send it; the receiver's answer, whatever its status, except a 401.

    ForwardTimeout (4002), ConnectionProblem (4003) or another OcpiError when there is none. With an
    `authorization` header of its own it is a second attempt, whose answer is given back as it is.
    """
    platform, way = decision.receiver.platform, outcome.way
    began, request_id = time.monotonic(), headers.new_id()
    sent = {
        "Authorization": authorization or platform.authorization,
        headers.REQUEST_ID: request_id,
        headers.CORRELATION_ID: request.correlation_id,
        **(
            request.routing_headers(decision.sender, decision.receiver) if way is None else way.sent
        ),
    }
    if request.body:
        sent["Content-Type"] = "application/json"
    try:
        response = await worker.outbound.call(
            platform.id,
            request.method,
            url,
            sent,
            request.body,
            seconds=seconds,
            known=platform.versions_url,
            lease=lease,
            room=outcome.with_room(worker.under_way.of_answer(request.platform.id, platform.id)),
        )
    except OcpiError as error:
        record.sent_on(request, outcome, decision, request_id, began, error, worker.directory)
        if isinstance(error, (ConnectionProblem, ForwardTimeout)):
            worker.suspect(platform)
        raise
    record.sent_on(request, outcome, decision, request_id, began, response, worker.directory)
    if response.status not in NOT_ITS_OWN:
        worker.heard(platform)
    if response.status in token_forms.REFUSALS and not authorization:

        async def again(authorization: str) -> Response:
            left = settings.FORWARD_TIMEOUT - (time.monotonic() - began)
            more = lease, authorization, max(left, 0.0)
            return await call(worker, request, outcome, decision, url, *more)

        return await _once_more(worker, decision, response, again)
    return response


async def _once_more(
    worker: WebProcess,
    decision: Forward,
    refused: Response,
    again: Callable[[str], Awaitable[Response]],
) -> Response:
    """In the other form of the token, within the time of the first attempt."""
    platform = decision.receiver.platform
    response = await token_forms.sent_again(platform, refused, again, worker.django.run)
    if response.status == HTTPStatus.UNAUTHORIZED:
        # Between the hub and the receiver; passed on, it would speak of the sender's token.
        worker.suspect(platform)
        raise NotTaken(f"{decision.receiver.identity} refuses the hub's credentials.")
    return response


def join(endpoint_url: str, rest: str, query: str) -> str:
    """The receiver's endpoint, what followed ours, and the query."""
    if rest and not query and "?" not in endpoint_url:
        return f"{endpoint_url.rstrip('/')}/{rest}"
    base, _, own_query = endpoint_url.partition("?")
    url = f"{base.rstrip('/')}/{rest}" if rest else base
    queries = "&".join(part for part in (own_query, query) if part)
    return f"{url}?{queries}" if queries else url
