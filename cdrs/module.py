"""How CDRs are handled on their way, for the gateway (mod_cdrs, POST Method)."""

from typing import Final

from django.conf import settings
from django.http import HttpResponse

from cdrs import at_once
from cdrs.models import Bill, Cdr, Posting, identity
from cdrs.objects import CDR
from cdrs.urls import urlpatterns
from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.leases import Lease
from hub.models import ForwardedUrl
from hub.ocpi import envelope, heads, own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.lenient import Deviation
from hub.ocpi.reading import deviations_of
from hub.outbound import rewritten_urls
from hub.outbound.forwarded import Forwarded
from hub.outbound.platform_calls import Response
from hub.routing.decisions import Forward
from hub.routing.request import OcpiRequest
from hub.store.handling import Handling, ModuleHandling, Posted
from hub.views import answer_document


def _begin(request: OcpiRequest) -> Response | Lease | None:
    return Posting.begin(request.sender, request.receiver, request.body)


def _end(_request: OcpiRequest, lease: Lease | None) -> None:
    Posting.end(lease)


async def _begin_at_once(
    writer: Writer, django: DjangoThreads, request: OcpiRequest
) -> Lease | bool:
    names = request.sender, request.receiver, request.body
    return await at_once.begin(writer, django, *names) or False


def _posted(forwarded: Forwarded) -> None:
    request = forwarded.request
    Posting.answered(
        request.sender, request.receiver, request.body, forwarded.response, forwarded.lease
    )
    documents = heads.objects_of(request.body)
    if len(documents) > 1:
        forwarded.note([Deviation("several-objects", "CDR", f"{len(documents)} CDRs in a list")])
        for document in documents:
            forwarded.note(deviations_of(document, CDR))
    else:
        forwarded.note(deviations_of(request.body, CDR))


def _location(
    location: str, asked: str, caller: int, forward: Forward, body: bytes, response: Response
) -> str | None:
    """The hub's URL for the one that an eMSP told of a CDR; or where the hub itself shows it.

    None when it has none. What the eMSP has refused is nowhere.
    """
    if not envelope.is_accepted(response.status, response.body):
        return None
    bills = Bill.all_in(body)
    cdr_id = bills[0].id if bills else ""
    own = rewritten_urls.rewrite_location(location, asked, caller, forward, (Cdr.MODULE, cdr_id))
    if own is not None:
        return own
    known = Cdr.at(forward.sender, forward.receiver.identity, cdr_id) if bills else None
    if known is None:
        return None
    return settings.BASE_URL + own_paths.CDR.path(known.owner, known.object_id)


def _copy_at(url: ForwardedUrl, status: int) -> HttpResponse | None:
    """The hub's copy of the CDR of a Location, at which its eMSP has nothing; None without one."""
    named = identity(url.caller_identity, url.object_id)
    known = Cdr.named(named).filter(audience=str(url.owner_identity)).first()
    if known is None:
        return None
    return answer_document(
        bytes(known.document),
        f"{known.audience} answers HTTP {status} at the Location that it told; this is the hub's "
        "copy of the CDR that it has accepted.",
    )


HANDLING: Final = ModuleHandling(
    module=Cdr.MODULE,
    messages={
        (InterfaceRole.RECEIVER, "POST"): Handling(
            before=_begin,
            before_at_once=_begin_at_once,
            after=_posted,
            after_at_once=at_once.posted,
            no_answer=_end,
        )
    },
    statements=at_once.STATEMENTS,
    posted=Posted(_location, _copy_at),
    urls=urlpatterns,
)
