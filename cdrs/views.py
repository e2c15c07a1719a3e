"""What the hub answers of CDRs itself (mod_cdrs, Interfaces and Endpoints).

A POST is forwarded to the eMSP of the `cdr_token` by the gateway; hub/kept.py keeps it then.
"""

from urllib.parse import quote

from django.http import HttpResponse
from rest_framework.request import Request

from cdrs.models import Cdr
from hub.directory import holder
from hub.listing import list_page
from hub.routing import check_may_send
from hub.store import only
from hub.views import OcpiView, answer_document, exchange_of


class CdrsSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: Request) -> HttpResponse:
        """GET All: the CDRs of the asking CPO, or those that an eMSP was sent through the hub."""
        return list_page(Cdr.visible_to(exchange_of(request).caller), request)


class KeptCdr(OcpiView):
    """The Location that a CPO is told when the eMSP named none."""

    def get(self, request: Request, owner: str, cdr_id: str) -> HttpResponse:
        """The CDR as it was accepted; only for its CPO and its eMSP."""
        kept = Cdr.objects.none()
        for viewer in exchange_of(request).platform.parties:
            check_may_send(holder.snapshot, viewer)
            kept = kept | Cdr.visible_to(viewer)
        found = kept.filter(owner=owner.upper(), object_id=cdr_id.upper())
        return answer_document(bytes(only(found, f"CDR {cdr_id!r}").document))


def own_path(cdr: Cdr) -> str:
    """The path of a KeptCdr."""
    return f"/ocpi/2.2.1/cdr/{cdr.owner}/{quote(cdr.object_id, safe='')}"
