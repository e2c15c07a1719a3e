"""URLs of the hub as some libraries misspell them, where they can mean one thing only.

extrawest-ocpi joins an endpoint and the ids of an object with no slash; others double it, write the
interface or the module in capitals, or leave "hub" out of hubclientinfo.
"""

from typing import Final

from hub.ocpi.modules import CONFIGURATION_MODULES, FUNCTIONAL_MODULES

# By the start of its URL below the version: what is owned is named by two letters and a party_id.
_ROLES: Final = frozenset({"sender", "receiver"})
_OWNED: Final = tuple(
    module for module in FUNCTIONAL_MODULES if module not in {"commands", "chargingprofiles"}
)
_VERSION: Final = "2.2.1"


def mended(path: str) -> tuple[str, str]:
    """The path as it is meant, percent-encoded as it came, and the rule that it breaks, or "".

    A custom module that two parties agreed on keeps its URL.
    """
    parts = path.split("/")  # "", ocpi, 2.2.1, receiver, module, ..
    if len(parts) < 4 or parts[1] != "ocpi" or parts[2] != _VERSION:
        return path, ""
    if parts[3].lower() in {"clientinfo", *CONFIGURATION_MODULES} and parts[3] not in (
        CONFIGURATION_MODULES
    ):
        name = "hubclientinfo" if parts[3].lower() == "clientinfo" else parts[3].lower()
        return "/".join([*parts[:3], name, *parts[4:]]), "module-name"
    if parts[3].lower() not in _ROLES:
        return path, ""
    rule = ""
    if parts[3] != parts[3].lower():
        parts[3], rule = parts[3].lower(), "letter-case"
    while len(parts) > 6 and parts[4] == "":
        del parts[4]
        rule = "doubled-slash"
    while len(parts) > 6 and parts[5] == "":
        del parts[5]
        rule = "doubled-slash"
    if len(parts) > 6 and (split := _split(parts[3], parts[4])) is not None:
        parts[4:5] = split
        rule = "missing-slash"
    return ("/".join(parts), rule) if rule else (path, "")


def _split(role: str, segment: str) -> list[str] | None:
    """`locationsNL` is `locations/NL`; None for what may be a module's name."""
    if role != "receiver":
        return None
    for module in _OWNED:
        code = segment[len(module) :]
        if segment.lower().startswith(module) and len(code) == 2 and code.isalnum():
            return [module, code]
    return None
