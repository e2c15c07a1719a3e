"""The stored kinds of the modules that are broadcast: the models that their apps bring along."""

from collections.abc import Mapping
from functools import cache

from django.apps import apps

from hub.ocpi.modules import BROADCAST, FUNCTIONAL_MODULES
from hub.store.store import StoredObject


@cache
def broadcast_kinds() -> Mapping[str, type[StoredObject]]:
    """The kinds by module, in the order in which they are told to a party that comes."""
    found = {kind.MODULE: kind for kind in apps.get_models() if issubclass(kind, StoredObject)}
    return {module: found[module] for module in FUNCTIONAL_MODULES if module in BROADCAST}


def kinds_left_out() -> list[type[StoredObject]]:
    """Those of which deviating ones may be left out (hub/store/leaving_out.py)."""
    return [kind for kind in broadcast_kinds().values() if kind.MAY_BE_LEFT_OUT]
