"""What the hub answers of CDRs itself (mod_cdrs, Interfaces and Endpoints).

A POST is forwarded to the eMSP of the `cdr_token` by the gateway; hub/gateway/modules.py keeps it
then.
"""

from django.http import HttpResponse

from cdrs.models import Cdr
from hub.ocpi.errors import NotFound
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.routing.senders import check_may_send
from hub.store.pages import list_page
from hub.views import OcpiView, answer_document


class CdrsSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """GET All: the CDRs of the asking CPO, or those that an eMSP was sent through the hub."""
        return list_page(Cdr.lists_of(request.sender), request)


class KeptCdr(OcpiView):
    """The Location that a CPO is told when the eMSP named none."""

    def get(self, request: OcpiRequest, owner: str, cdr_id: str) -> HttpResponse:
        """The CDR as it was accepted; only for its CPO and its eMSP."""
        for viewer in request.platform.parties:
            seen = Cdr.visible_to(viewer).filter(owner=owner.upper(), object_id=cdr_id.upper())
            if (kept := seen.order_by("id").first()) is not None:
                check_may_send(holder.snapshot, viewer)
                return answer_document(bytes(kept.document))
        raise NotFound(f"There is no CDR {cdr_id!r} that you may see here.")
