"""The one route table: which URLs exist, and which modules are treated how.

Its rows are those of a version (hub/ocpi/v2_2_1/modules.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.routes import RECEIVER, SENDER, Module, Route
from hub.ocpi.v2_2_1.modules import MODULES


@dataclass(frozen=True, slots=True)
class Match:
    """A request's row in the route table, and its `ids` by name ("country_code": "NL").

    `route` is None for custom modules. Matches are shared, so nobody changes them.
    """

    module: str
    role: InterfaceRole
    route: Route | None
    ids: dict[str, str]


ROUTES: Final = tuple(route for module in MODULES for route in module.routes)
FUNCTIONAL_MODULES: Final = tuple(module.name for module in MODULES)
CONFIGURATION_MODULES: Final = ("versions", "credentials", "hubclientinfo")
# transport_and_format, Request format: "The request method can be any of".
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
INTERFACES: Final = tuple(dict.fromkeys((route.module, route.role) for route in ROUTES))


def _names(fits: Callable[[Module], bool]) -> frozenset[str]:
    return frozenset(module.name for module in MODULES if fits(module))


def _has(role: InterfaceRole, shape: str, method: str) -> frozenset[str]:
    """The modules with this method at shapes that begin so."""
    return frozenset(
        one.module
        for one in ROUTES
        if one.role == role and one.shape.startswith(shape) and method in one.methods
    )


# transport_and_format, Broadcast Push: "information that is meant to be sent to all other parties".
BROADCAST: Final = _names(lambda module: module.is_broadcast)
# GET All: what the hub combines "from different connected parties".
LISTED: Final = frozenset(one.module for one in ROUTES if one.role == SENDER and not one.segments)
# In which an aggregator or national access point may tell others' objects.
AGGREGATED: Final = _names(lambda module: module.is_aggregated)
# "specific to only one party and possibly even protected by GDPR": never spread.
FOR_ONE_EMSP: Final = _names(lambda module: module.is_for_one_emsp)
# Objects that have no URL of their owner's making: the answer to their POST names it (mod_cdrs).
POSTED: Final = frozenset(one.module for one in ROUTES if one.role == RECEIVER and not one.segments)
DELETABLE: Final = BROADCAST & _has(RECEIVER, "", "DELETE")
# Named by a country code and a party id.
OWNED: Final = _has(RECEIVER, "{country_code}/{party_id}", "GET")
CARRIED: Final = _names(lambda module: module.is_carried)
WITH_RESPONSE_URL: Final = _names(lambda module: module.has_response_url)
URGENT: Final = _names(lambda module: module.is_urgent)
TYPED: Final = _names(lambda module: module.has_type)
SECRET_IDS: Final = _names(lambda module: module.has_secret_ids)
WITH_EVSES: Final = _names(lambda module: module.has_evses)
# The text's name for an object of each module that has an owner.
OBJECTS: Final = {module.name: module.object_name for module in MODULES if module.object_name}
DATA_OWNERS: Final = {
    module.name: module.data_owner for module in MODULES if module.data_owner is not None
}
# What can be done where a quota of it is reached.
CURES: Final = {module.name: module.cure for module in MODULES if module.cure}

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
