"""How Tariffs are handled on their way, for the gateway (mod_tariffs)."""

from typing import Final

from hub.store.handling import ModuleHandling
from hub.store.told_to_one import handling_of
from tariffs.models import Tariff
from tariffs.urls import urlpatterns

HANDLING: Final = ModuleHandling(
    module=Tariff.MODULE, messages=handling_of(Tariff, "DELETE"), urls=urlpatterns
)
