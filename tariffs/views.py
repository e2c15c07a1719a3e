"""What the hub answers of Tariffs itself (mod_tariffs, Interfaces and endpoints)."""

from django.http import HttpResponse

from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.store import broadcast_push
from hub.store.pages import list_page
from hub.store.sharing import only, shared_with
from hub.views import OcpiView, answer_document
from tariffs.models import Tariff


class TariffsSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """GET All: the Tariffs that the caller may see."""
        return list_page(shared_with(Tariff, request.sender, holder.snapshot), request)


class TariffsReceiver(OcpiView):
    """The Receiver interface: Broadcast Push, and reading back what the hub has."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A Tariff as the hub has it."""
        pushed = broadcast_push.read(request)
        seen = shared_with(Tariff, request.sender, holder.snapshot)
        named = seen.filter(**Tariff.identity(pushed))
        return answer_document(bytes(only(named, f"Tariff {pushed.ids[0]!r}").document))

    def put(self, request: OcpiRequest) -> HttpResponse:
        """Keep a Tariff, and tell everybody of the opposite role."""
        return broadcast_push.store_and_broadcast(request, Tariff)

    def delete(self, request: OcpiRequest) -> HttpResponse:
        """Forget a Tariff, and tell everybody of the opposite role."""
        return broadcast_push.store_and_broadcast(request, Tariff)
