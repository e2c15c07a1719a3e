"""How Locations are handled on their way, for the gateway (mod_locations)."""

from typing import Final

from hub.routing.decisions import LookupKind
from hub.store.handling import ModuleHandling
from hub.store.told_to_one import handling_of
from locations import at_once
from locations.lookups import location_owner
from locations.models import Location
from locations.urls import urlpatterns

HANDLING: Final = ModuleHandling(
    module=Location.MODULE,
    messages=handling_of(
        Location,
        "PATCH",
        after_at_once=at_once.location_pushed,
        broadcast_at_once=at_once.location_broadcast,
    ),
    lookups={LookupKind.LOCATION: location_owner},
    statements=at_once.STATEMENTS,
    urls=urlpatterns,
)
