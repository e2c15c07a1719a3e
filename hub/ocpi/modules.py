"""The one route table: every Functional Module, interface, URL shape and method.

It makes the version details and decides which URLs exist, so the two cannot drift apart.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from hub.ocpi.datatypes import InterfaceRole

SENDER: Final = InterfaceRole.SENDER
RECEIVER: Final = InterfaceRole.RECEIVER


@dataclass(frozen=True, slots=True)
class Route:
    """One URL shape below an endpoint, for example `{country_code}/{party_id}/{session_id}`."""

    module: str
    role: InterfaceRole
    shape: str
    methods: tuple[str, ...]
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A request's row in the route table, and its `ids` by name ("country_code": "NL").

    `route` is None for custom modules. Matches are shared, so nobody changes them.
    """

    module: str
    role: InterfaceRole
    route: Route | None
    ids: dict[str, str]


def _route(module: str, role: InterfaceRole, shape: str, *methods: str) -> Route:
    return Route(module, role, shape, methods, tuple(shape.split("/")) if shape else ())


_OWNED = "{country_code}/{party_id}"
ROUTES: Final = (
    # mod_locations
    _route("locations", SENDER, "", "GET"),
    _route("locations", SENDER, "{location_id}", "GET"),
    _route("locations", SENDER, "{location_id}/{evse_uid}", "GET"),
    _route("locations", SENDER, "{location_id}/{evse_uid}/{connector_id}", "GET"),
    _route("locations", RECEIVER, _OWNED + "/{location_id}", "GET", "PUT", "PATCH"),
    _route("locations", RECEIVER, _OWNED + "/{location_id}/{evse_uid}", "GET", "PUT", "PATCH"),
    _route(
        "locations",
        RECEIVER,
        _OWNED + "/{location_id}/{evse_uid}/{connector_id}",
        "GET",
        "PUT",
        "PATCH",
    ),
    # mod_sessions
    _route("sessions", SENDER, "", "GET"),
    _route("sessions", SENDER, "{session_id}/charging_preferences", "PUT"),
    _route("sessions", RECEIVER, _OWNED + "/{session_id}", "GET", "PUT", "PATCH"),
    # mod_cdrs
    _route("cdrs", SENDER, "", "GET"),
    _route("cdrs", RECEIVER, "", "POST"),
    # mod_tariffs
    _route("tariffs", SENDER, "", "GET"),
    _route("tariffs", RECEIVER, _OWNED + "/{tariff_id}", "GET", "PUT", "DELETE"),
    # mod_tokens
    _route("tokens", SENDER, "", "GET"),
    _route("tokens", SENDER, "{token_uid}/authorize", "POST"),
    _route("tokens", RECEIVER, _OWNED + "/{token_uid}", "GET", "PUT", "PATCH"),
    # mod_commands: the Sender interface is the response_url alone
    _route("commands", RECEIVER, "{command}", "POST"),
    _route("commands", SENDER, "{command}/{uid}", "POST"),
    # mod_charging_profiles
    _route("chargingprofiles", RECEIVER, "{session_id}", "GET", "PUT", "DELETE"),
    _route("chargingprofiles", SENDER, "{session_id}", "PUT"),
)
FUNCTIONAL_MODULES: Final = tuple(dict.fromkeys(route.module for route in ROUTES))
CONFIGURATION_MODULES: Final = ("versions", "credentials", "hubclientinfo")
# transport_and_format, Request format: "The request method can be any of".
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
INTERFACES: Final = tuple(dict.fromkeys((route.module, route.role) for route in ROUTES))

_BY_INTERFACE: Final = {
    interface: {
        length: tuple(
            r for r in ROUTES if (r.module, r.role) == interface and len(r.segments) == length
        )
        for length in range(6)
    }
    for interface in INTERFACES
}


class NoSuchUrl(LookupError):
    """The URL is below a module of OCPI but has none of its shapes."""


class WrongMethod(LookupError):
    """The URL exists; `allowed` are its methods."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(", ".join(allowed))
        self.allowed = allowed


def match(module: str, role: InterfaceRole, rest: str, method: str) -> Match:
    """Find the route of `rest`, the still percent-encoded path behind the endpoint's URL.

    A trailing slash means nothing. Raises NoSuchUrl or WrongMethod for OCPI's own modules; a custom
    module that two parties agreed on has no shapes here and always matches.
    """
    # The same Session, EVSE or Token is told again and again; a long path is not worth remembering.
    look = _match if len(rest) > _LONGEST_KNOWN else _known_match
    return look(module, role, rest, method)


def _match(module: str, role: InterfaceRole, rest: str, method: str) -> Match:
    if "." in (plain := unquote(rest)) and {".", ".."} & _steps(plain):
        # The receiver would resolve them to another of its endpoints, with the hub's token.
        raise NoSuchUrl("segments of dots lead nowhere")
    interface = _BY_INTERFACE.get((module, role))
    if interface is None:
        if module in CONFIGURATION_MODULES:
            # "Only requests/responses from Functional Modules SHALL be routed."
            raise NoSuchUrl(f"{module} is a Configuration Module, which is not routed")
        if method not in METHODS:
            raise WrongMethod(METHODS)
        return Match(module, role, None, {})
    segments = [segment for segment in rest.split("/") if segment]
    allowed: tuple[str, ...] = ()
    for route in interface.get(len(segments), ()):
        ids = _ids(route, segments)
        if ids is None:
            continue
        if method in route.methods:
            return Match(module, role, route, ids)
        allowed += route.methods
    if allowed:
        raise WrongMethod(allowed)
    raise NoSuchUrl(f"{module} {role} has no URL of this shape")


_LONGEST_KNOWN: Final = 120
_known_match: Final = lru_cache(maxsize=4096)(_match)
# Characters that servers, and proxies before them, take for the end of a path or for another.
_ASTRAY: Final = frozenset(";?#%/\\")


def leads_astray(an_id: str) -> bool:
    """Whether an id, decoded, may be read as another URL than the one that it was put into.

    Known objects have such ids too: this is for those that only their sender says exist.
    """
    return not an_id.isprintable() or an_id != an_id.strip() or not _ASTRAY.isdisjoint(an_id)


def _steps(path: str) -> set[str]:
    """The segments as servers read them: some drop what follows a ";", some take "\\" for "/"."""
    return {segment.partition(";")[0] for segment in path.replace("\\", "/").split("/")}


def _ids(route: Route, segments: list[str]) -> dict[str, str] | None:
    ids = {}
    for shape, segment in zip(route.segments, segments, strict=True):
        if shape[0] == "{":
            ids[shape[1:-1]] = segment
        elif shape != segment.lower():
            return None
    return ids
