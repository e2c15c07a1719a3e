"""The modules whose objects the hub keeps and tells to many, and their stored kinds."""

from collections.abc import Mapping
from typing import Final

from hub.store.store import StoredObject
from locations.models import Location
from tariffs.models import Tariff
from tokens.models import Token

# In the order in which they are told to whoever comes.
KINDS: Final[Mapping[str, type[StoredObject]]] = {
    "locations": Location,
    "tariffs": Tariff,
    "tokens": Token,
}
