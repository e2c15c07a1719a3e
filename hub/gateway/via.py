"""A message to a URL that the hub has given out in place of a party's: `…/via/{key}`.

A response_url (mod_commands), a next page, or a CDR's Location (hub/outbound/rewritten_urls.py).
"""

from msgspec.structs import replace

from hub.gateway import hop, modules, own_urls
from hub.gateway.answer import Outgoing
from hub.gateway.outcome import Outcome
from hub.gateway.process import WebProcess
from hub.models import ForwardedUrl
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import ForwardTimeout, NotTaken
from hub.ocpi.modules import WITH_RESPONSE_URL, Match
from hub.outbound import rewritten_urls
from hub.outbound.platform_calls import Response
from hub.record.note import Kind
from hub.routing import decisions, senders
from hub.routing.request import OcpiRequest


async def send_on(worker: WebProcess, request: OcpiRequest, outcome: Outcome, key: str) -> Outgoing:
    """Send it to the URL behind the key, and answer as that does."""
    outcome.kind = Kind.VIA
    url = await worker.django.run(rewritten_urls.find, key, request.platform.id)
    rewritten_urls.check_method(url, request.method)
    outcome.related_id = url.correlation_id
    outcome.match = Match(url.module, InterfaceRole.SENDER, None, {})
    request = replace(request, match=outcome.match)
    decision = _decide(worker, request, outcome, url)
    if (result_posted := modules.RESULT_POSTED.get(url.module)) is not None:
        await worker.django.run(result_posted, url, request.body)
    keys: tuple[str, ...] = ()
    if url.module in WITH_RESPONSE_URL:
        # What its URL names is the hub's own.
        named = replace(request, query="")
        rewritten, keys = await worker.django.run(
            rewritten_urls.rewrite_response_url, named, decision
        )
        request = request.with_body(rewritten.body)
    response = await _call(worker, request, outcome, decision, keys)
    if (own := await own_urls.kept_copy(worker.django, url, response)) is not None:
        outcome.receiver = None  # The hub answers.
        return own
    return await hop.outgoing_of(worker, request, outcome, decision, url.target, response)


def _decide(
    worker: WebProcess, request: OcpiRequest, outcome: Outcome, url: ForwardedUrl
) -> decisions.Forward:
    """Send it to the owner of the URL, in the name of the party that was given it."""
    sender, receiver = url.caller_identity, url.owner_identity
    outcome.sender, outcome.receiver = sender, receiver
    if (address := request.from_address) is not None:
        senders.named_sender(address, request.platform)
    senders.check_may_send(worker.directory, sender)
    entry = decisions.reachable(worker.directory, sender, receiver, url.module)
    return decisions.Forward(sender, entry, url.target)


async def _call(
    worker: WebProcess,
    request: OcpiRequest,
    outcome: Outcome,
    decision: decisions.Forward,
    keys: tuple[str, ...],
) -> Response:
    target = decision.endpoint_url
    try:
        response = await hop.call(worker, request, outcome, decision, target)
    except ForwardTimeout as error:
        platform = decision.receiver.platform
        raise rewritten_urls.no_answer(error, target, platform) from error
    except NotTaken as error:
        await own_urls.end(worker.django, keys, decision.sender, error)
        raise
    await own_urls.end(worker.django, keys, decision.sender, response)
    return response
