"""URLs of the hub as some spell them, where they can mean one thing only.

extrawest-ocpi joins an endpoint and the ids of an object with no slash, and so does the text itself
in three places (`{chargingprofiles_endpoint_url}{session_id}`, `{commands_endpoint_url}{command}`,
`{tokens_endpoint_url}{token_uid}/authorize`); others double it, write names in capitals, or leave
"hub" out of hubclientinfo.
"""

from collections.abc import Callable
from itertools import takewhile
from typing import Final

from hub.ocpi import own_paths
from hub.ocpi.modules import (
    CONFIGURATION_MODULES,
    FUNCTIONAL_MODULES,
    OWNED,
    ROUTES,
)
from hub.ocpi.routes import Route
from hub.ocpi.v2_2_1 import VERSION

_ROLES: Final = frozenset({"sender", "receiver"})
_MODULES: Final = frozenset(FUNCTIONAL_MODULES)
# What else stands below the version.
_OWN: Final = frozenset({*CONFIGURATION_MODULES, *own_paths.NAMES})
_JOINED: Final = tuple(route for route in ROUTES if route.is_joined)


def is_ocpi(path: str) -> bool:
    """Whether it is below /ocpi/, however that is spelled."""
    return path.startswith(own_paths.ROOT) or path.lstrip("/")[:5].lower() == own_paths.ROOT[1:]


def example(sent: str, meant: str) -> str:
    """How a mended path began, as it was sent: what follows may open something or name a driver."""
    names = [name for name in meant.split("/") if name]  # ocpi, the version, receiver, module, ..
    known = ({"ocpi"}, {VERSION}, _ROLES | _OWN, _MODULES)
    shown = [*takewhile(lambda pair: pair[0] in pair[1], zip(names, known, strict=False))]
    last = shown[-1][0].removeprefix("hub")  # As in clientinfo.
    return sent[: sent.lower().index(last) + len(last)]


def usual(path: str, is_custom: Callable[[str], bool]) -> list[str] | None:
    """The parts of a routed URL that is spelled as it should be; None where `mended` has to look.

    "", ocpi, the version, the interface, the module, and what follows it, where anything does.
    """
    parts = path.split("/", 5)
    if (
        len(parts) > 4
        and parts[3] in _ROLES
        and parts[2] == VERSION
        and parts[1] == "ocpi"
        and not parts[0]
        and (parts[4] in _MODULES or _is_custom(parts[4].lower(), is_custom))
        and "//" not in path
    ):
        return parts
    return None


def mended(path: str, is_custom: Callable[[str], bool] = lambda name: False) -> tuple[str, str]:
    """The path as it is meant, percent-encoded as it came, and the rule that it breaks, or "".

    A custom module that two parties agreed on, as `is_custom` knows them, keeps its URL.
    """
    if usual(path, is_custom) is not None:
        return path, ""
    names = [name for name in path.split("/") if name]
    if names[1:2] != [VERSION] or not is_ocpi(path):
        return path, ""
    head = 4 if len(names) > 3 and names[2].lower() in _ROLES else 3
    lowered = [_lowered(name, place) for place, name in enumerate(names[:head])]
    rule = "letter-case" if lowered != names[:head] else ""
    if lowered[2:] == ["clientinfo"]:
        lowered[2], rule = "hubclientinfo", "module-name"
    if head == 4:
        rest, rule_of_rest = _rest(path, names, lowered, is_custom)
    else:
        rest, rule_of_rest = names[3:], "doubled-slash" if "//" in path else ""
    rule = rule_of_rest or rule
    if not rule:
        return path, ""
    end = "/" if path.endswith("/") and not (rest and rest[-1] == "") else ""
    return f"/{'/'.join([*lowered, *rest])}{end}", rule


def _is_custom(name: str, is_custom: Callable[[str], bool]) -> bool:
    """Whether two parties have agreed on it, and it is not the text's."""
    return name not in _MODULES and is_custom(name)


def _lowered(name: str, place: int) -> str:
    """A name of the hub in its own spelling; a custom module's is left as it is."""
    known = ({"ocpi"}, {VERSION}, _ROLES | _OWN | {"clientinfo"}, _MODULES)[place]
    return name.lower() if name.lower() in known else name


def _rest(
    path: str, names: list[str], head: list[str], is_custom: Callable[[str], bool]
) -> tuple[list[str], str]:
    """What follows the module, and the rule that it breaks; splits `head` where a slash lacks."""
    role, module = head[2:]
    if module not in _MODULES:
        split = None if is_custom(module.lower()) else _split(role, module, names[4:])
        if split is None:
            # Nobody but the two parties knows what a double slash means there.
            behind = path.split("/")
            place = behind.index(names[3], behind.index(names[2]) + 1)
            is_doubled = "" in behind[1:place]
            return behind[place + 1 :], "doubled-slash" if is_doubled else ""
        head[3:] = split[:1]
        return [*split[1:], *names[4:]], "missing-slash"
    return names[4:], "doubled-slash" if "//" in path else ""


def _split(role: str, name: str, behind: list[str]) -> list[str] | None:
    """`locationsNL` is `locations/NL`; None for what may be a module's name."""
    module = next((one for one in FUNCTIONAL_MODULES if name.lower().startswith(one)), "")
    an_id = name[len(module) :]
    if module in OWNED and role == "receiver":
        is_one = len(an_id) == 2 and an_id.isalnum() and len(behind) > 1
    else:
        is_one = any(
            _fits(route, an_id, behind)
            for route in _JOINED
            if (route.module, route.role.lower()) == (module, role)
        )
    return [module, an_id] if is_one else None


def _fits(route: Route, an_id: str, behind: list[str]) -> bool:
    if tuple(map(str.lower, behind)) != route.segments[1:]:
        return False
    # As all CommandTypes: START_SESSION.
    is_command = "_" in an_id and an_id.replace("_", "").isalpha()
    return is_command or route.segments[0] != "{command}"
