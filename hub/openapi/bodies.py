"""What stands in a request's body and in an answer's `data` (each module's Interfaces)."""

from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from cdrs.objects import CDR
from charging_profiles.objects import (
    ActiveChargingProfile,
    ChargingProfileResponse,
    ProfileResult,
    SetChargingProfile,
)
from commands.objects import COMMANDS as COMMANDS
from commands.objects import CommandResponse, CommandResult
from hub.deviations.objects import CountedDeviation, LeftOutObjects
from hub.ocpi.configuration import ClientInfo, Credentials, Version, VersionDetails
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.patches import partial
from hub.ocpi.routes import Route
from locations.objects import EVSE, Connector, Location
from sessions.objects import ChargingPreferences, ChargingPreferencesResponse, Session
from tariffs.objects import Tariff
from tokens.objects import AuthorizationInfo, LocationReferences, Token

Kind = type[msgspec.Struct] | type[StrEnum]
SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER

_LISTED: Final[dict[str, type[msgspec.Struct]]] = {
    "locations": Location,
    "tariffs": Tariff,
    "sessions": Session,
    "cdrs": CDR,
    "tokens": Token,
}
# By how many ids follow the owner, or name it on the Sender interface.
_PARTS: Final = (Location, EVSE, Connector)


class Content(NamedTuple):
    """Alternatives of a body or of `data`; without any there is none."""

    kinds: tuple[Kind, ...] = ()
    is_list: bool = False
    is_required: bool = True

    def schema(self) -> dict[str, Any]:
        """The schema, by references."""
        found = [reference(kind) for kind in self.kinds]
        one = found[0] if len(found) == 1 else {"oneOf": found}
        return {"type": "array", "items": one} if self.is_list else one


NOTHING: Final = Content()
VERSIONS, DETAILS = Content((Version,), is_list=True), Content((VersionDetails,))
CREDENTIALS, CLIENTS = Content((Credentials,)), Content((ClientInfo,), is_list=True)
DEVIATIONS = Content((CountedDeviation,), is_list=True)
LEFT_OUT = Content((LeftOutObjects,), is_list=True)
PROFILE_RESULT, COMMAND_RESULT = Content((ProfileResult,)), Content((CommandResult,))
KEPT_CDR = Content((CDR,))


def reference(kind: Kind) -> dict[str, str]:
    """Where the schema of a Struct or enum is."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


# What a module's messages carry where that is not the object that it is named after: bodies by
# role, and `data` by role and method.
_SENT: Final[dict[tuple[str, InterfaceRole], Content]] = {
    ("sessions", SENDER): Content((ChargingPreferences,)),
    ("tokens", SENDER): Content((LocationReferences,), is_required=False),
    ("commands", RECEIVER): Content(tuple(COMMANDS.values())),
    ("commands", SENDER): COMMAND_RESULT,
    ("chargingprofiles", RECEIVER): Content((SetChargingProfile,)),
    ("chargingprofiles", SENDER): Content((ActiveChargingProfile,)),
}
_ANSWERED: Final[dict[tuple[str, InterfaceRole, str], Content]] = {
    **{
        ("chargingprofiles", RECEIVER, method): Content((ChargingProfileResponse,))
        for method in ("GET", "PUT", "DELETE")
    },
    ("commands", RECEIVER, "POST"): Content((CommandResponse,)),
    ("sessions", SENDER, "PUT"): Content((ChargingPreferencesResponse,)),
    ("tokens", SENDER, "POST"): Content((AuthorizationInfo,)),
}


def sent(route: Route, method: str) -> Content:
    """What a request of this route and method carries."""
    if method in {"GET", "DELETE"}:
        return NOTHING
    if (content := _SENT.get((route.module, route.role))) is not None:
        return content
    kind = _named(route)
    return Content((partial(kind) if method == "PATCH" else kind,))


def answered(route: Route, method: str) -> Content:
    """What the `data` of a good answer is."""
    if (content := _ANSWERED.get((route.module, route.role, method))) is not None:
        return content
    if method != "GET":
        return NOTHING
    return Content((_named(route),), is_list=is_list(route, method))


def is_list(route: Route, method: str) -> bool:
    """Whether it is a GET List, with pages."""
    return method == "GET" and route.role == SENDER and not route.segments


def _named(route: Route) -> type[msgspec.Struct]:
    if route.module == "locations":
        ids = [one for one in route.segments if one not in {"{country_code}", "{party_id}"}]
        return _PARTS[max(len(ids) - 1, 0)]
    return _LISTED[route.module]
