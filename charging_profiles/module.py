"""How charging profiles are handled on their way, for the gateway (mod_charging_profiles)."""

from typing import Final

from charging_profiles import active_profile, profile_updates, receiver, results
from charging_profiles.urls import urlpatterns
from hub.ocpi import own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.routing.decisions import LookupKind
from hub.store.handling import Handling, ModuleHandling

_COMMAND: Final = Handling(answer_at_once=receiver.received)
HANDLING: Final = ModuleHandling(
    module="chargingprofiles",
    messages={
        **{(InterfaceRole.RECEIVER, method): _COMMAND for method in ("GET", "PUT", "DELETE")},
        (InterfaceRole.SENDER, "PUT"): Handling(
            after=active_profile.profile_updated,
            after_at_once=active_profile.profile_updated_at_once,
            no_answer=active_profile.not_answered,
        ),
    },
    lookups={LookupKind.SESSION_FSP: active_profile.session_fsp},
    statements=(*receiver.STATEMENTS, *results.STATEMENTS, *profile_updates.STATEMENTS),
    at_own_path={own_paths.PROFILE_RESULT: results.posted},
    urls=urlpatterns,
)
