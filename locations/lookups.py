"""What routing asks of the Locations that the hub keeps (Open Routing Request)."""

from urllib.parse import unquote

from hub.ocpi.party import PartyId
from hub.routing.decisions import Found
from hub.routing.directory import holder
from hub.routing.request import OcpiRequest
from hub.store.sharing import shared_with
from locations.models import Location


def location_owner(request: OcpiRequest, sender: PartyId) -> Found:
    """For a GET of one Location: its owner, among the Locations that the sender may see."""
    return owner_of(unquote(request.place.ids["location_id"]), sender)


def owner_of(location_id: str, viewer: PartyId) -> Found:
    """The CPOs with a Location of this id that `viewer` may see."""
    seen = shared_with(Location, viewer, holder.current()).filter(object_id=location_id.upper())
    owners = sorted(set(seen.values_list("owner", flat=True)))
    return Found(tuple(map(PartyId.parse, owners)), f"Location {location_id!r}")
