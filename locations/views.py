"""What the hub answers of Locations itself (mod_locations, Interfaces and endpoints)."""

from urllib.parse import unquote

from django.http import HttpResponse

from hub.ocpi.errors import NotFound
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.store import broadcast_push
from hub.store.pages import list_page
from hub.store.sharing import only, shared_with
from hub.views import OcpiView, answer_document
from locations.models import Location


class LocationsSender(OcpiView):
    """The Sender interface, addressed to the hub."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """GET All, or one Location, EVSE or Connector out of what the caller may see."""
        seen = shared_with(Location, request.sender, holder.snapshot)
        ids = [unquote(segment) for segment in request.place.ids.values()]
        if not ids:
            return list_page(seen, request)
        found = only(seen.filter(object_id=ids[0].upper()), f"Location {ids[0]!r}")
        return _answer_part(found, ids)


class LocationsReceiver(OcpiView):
    """The Receiver interface: Broadcast Push, and reading back what the hub has."""

    def get(self, request: OcpiRequest) -> HttpResponse:
        """A Location, EVSE or Connector as the hub has it."""
        pushed = broadcast_push.read(request)
        seen = shared_with(Location, request.sender, holder.snapshot)
        named = seen.filter(**Location.identity(pushed))
        return _answer_part(only(named, f"Location {pushed.ids[0]!r}"), pushed.ids)

    def put(self, request: OcpiRequest) -> HttpResponse:
        """Keep a whole Location, EVSE or Connector, and tell everybody of the opposite role."""
        return broadcast_push.store_and_broadcast(request, Location)

    def patch(self, request: OcpiRequest) -> HttpResponse:
        """Merge changes into one of them, and tell everybody of the opposite role."""
        return broadcast_push.store_and_broadcast(request, Location)


def _answer_part(found: Location, ids: "list[str] | tuple[str, ...]") -> HttpResponse:
    document = found.part(ids[1:])
    if document is None:
        raise NotFound(f"Location {ids[0]!r} has no {'/'.join(ids[1:])!r}.")
    return answer_document(document)
