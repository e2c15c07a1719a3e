"""URLs of the hub in one exchange: what becomes of them with the receiver's answer.

hub/outbound/rewritten_urls.py makes them; this is the gateway's part of it, without a thread unless
there is one.
"""

from typing import Final

from hub.db.django_threads import DjangoThreads
from hub.gateway import modules
from hub.gateway.answer import Outgoing, of_django
from hub.models import ForwardedUrl, ForwardedUrlKind
from hub.ocpi import envelope
from hub.ocpi.errors import NotTaken, OcpiError
from hub.ocpi.modules import POSTED
from hub.ocpi.party import PartyId
from hub.outbound import rewritten_urls
from hub.outbound.platform_calls import Response
from hub.routing import decisions
from hub.routing.request import OcpiRequest

# What an eMSP answers at a Location that it has told wrong.
_NOT_THERE: Final = frozenset({404, 405, 410})


async def end(
    django: DjangoThreads, keys: tuple[str, ...], sender: PartyId, outcome: Response | OcpiError
) -> None:
    """End those that were given out in a message which its receiver has not taken.

    Of one that got no answer nobody knows: its URLs live as long as those of an accepted one.
    """
    if not keys:
        return
    if isinstance(outcome, Response):
        is_taken = envelope.is_accepted(outcome.status, outcome.body)
    else:
        is_taken = not isinstance(outcome, NotTaken)
    if not is_taken:
        await django.run(rewritten_urls.end, keys, sender)


def may_be_named(request: OcpiRequest, response: Response) -> bool:
    """Whether `of_answer` has anything to look at."""
    if request.method == "GET":
        return "link" in response.headers
    return request.method == "POST" and request.place.module in POSTED


async def of_answer(
    django: DjangoThreads,
    request: OcpiRequest,
    decision: decisions.Forward,
    url: str,
    response: Response,
) -> list[tuple[bytes, bytes]]:
    """The headers of the receiver's answer that name a URL, with the hub's in its place."""
    module, method, caller = request.place.module, request.method, request.platform.id
    rewritten = []
    link = response.headers.get("link") if method == "GET" else None
    if link is not None:
        own = await django.run(rewritten_urls.rewrite_link, link, url, module, caller, decision)
        if own is not None:
            rewritten.append((b"link", own.encode("latin-1")))
    posted = modules.POSTED_OBJECTS.get(module)
    if posted is not None and method == "POST" and response.status < 300:
        location = response.headers.get("location", "")
        own = await django.run(
            posted.location, location, url, caller, decision, request.body, response
        )
        if own is not None:
            rewritten.append((b"location", own.encode("latin-1")))
    return rewritten


async def kept_copy(
    django: DjangoThreads, forwarded: ForwardedUrl, response: Response
) -> Outgoing | None:
    """The hub's copy of a CDR, where its Location leads to nothing at the eMSP; None mostly."""
    if forwarded.kind != ForwardedUrlKind.LOCATION or response.status not in _NOT_THERE:
        return None
    copy_at = modules.POSTED_OBJECTS[forwarded.module].copy_at
    own = await django.run(copy_at, forwarded, response.status)
    return None if own is None else of_django(own)
