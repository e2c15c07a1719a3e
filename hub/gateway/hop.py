"""One hop: a message on its way to its receiver, and what that answers (message routing).

The gateway's part of hub/outbound/platform_calls.py: headers, the record, and what a refused token
means.
"""

import time
from http import HTTPStatus

from django.conf import settings

from hub.gateway import recorded as record
from hub.gateway.process import WebProcess
from hub.gateway.request import Incoming, routing_headers
from hub.ocpi import headers
from hub.ocpi.errors import ConnectionProblem, ForwardTimeout, NotTaken, OcpiError
from hub.outbound.platform_calls import Response
from hub.parties import token_forms
from hub.parties.alive_checks import NOT_ITS_OWN
from hub.routing.decisions import Forward


async def call(
    worker: WebProcess,
    incoming: Incoming,
    decision: Forward,
    url: str,
    authorization: str = "",
    seconds: float | None = None,
) -> Response:
    """Send it; the receiver's answer, whatever its status, but for a 401.

    ForwardTimeout (4002), ConnectionProblem (4003) or another OcpiError when there is none. With an
    `authorization` header of its own it is a second attempt, whose answer is given back as it is.
    """
    platform, way = decision.receiver.platform, incoming.way
    began, request_id = time.monotonic(), headers.new_id()
    sent = {
        "Authorization": authorization or platform.authorization,
        headers.REQUEST_ID: request_id,
        headers.CORRELATION_ID: incoming.correlation_id,
        **(routing_headers(incoming, decision) if way is None else way.sent),
    }
    if incoming.body:
        sent["Content-Type"] = "application/json"
    try:
        response = await worker.outbound.call(
            platform.id,
            incoming.scope["method"],
            url,
            sent,
            incoming.body,
            seconds=seconds,
            known=platform.versions_url,
            lease=incoming.lease,
            room=incoming.room(worker.under_way, platform.id),
        )
    except OcpiError as error:
        record.sent_on(incoming, decision, request_id, began, error, worker.directory)
        if isinstance(error, (ConnectionProblem, ForwardTimeout)):
            worker.suspect(platform)
        raise
    record.sent_on(incoming, decision, request_id, began, response, worker.directory)
    if response.status not in NOT_ITS_OWN:
        worker.heard(platform)
    if response.status in token_forms.REFUSALS and not authorization:
        return await _once_more(worker, incoming, decision, url, response, began)
    return response


async def _once_more(
    worker: WebProcess,
    incoming: Incoming,
    decision: Forward,
    url: str,
    refused: Response,
    began: float,
) -> Response:
    """In the other form of the token, within the time of the first attempt."""
    platform = decision.receiver.platform

    async def send(authorization: str) -> Response:
        left = settings.FORWARD_TIMEOUT - (time.monotonic() - began)
        return await call(worker, incoming, decision, url, authorization, max(left, 0.0))

    response = await token_forms.sent_again(platform, refused, send, worker.django.run)
    if response.status == HTTPStatus.UNAUTHORIZED:
        # Between the hub and the receiver; passed on, it would speak of the sender's token.
        worker.suspect(platform)
        raise NotTaken(f"{decision.receiver.identity} refuses the hub's credentials.")
    return response
