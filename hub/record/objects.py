"""The object that a message is about, as a search names it: out of the URL of its request."""

from functools import lru_cache
from typing import Final

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.modules import SECRET_IDS, NoSuchUrl, WrongMethod, match

LONGEST: Final = 64
_ROLES: Final = {role.value.lower(): role for role in InterfaceRole}
_OWNERS: Final = frozenset({"country_code", "party_id"})
# What a path names that is no object.
_NO_OBJECTS: Final = frozenset({"command", "version_id"})
# A name that was hidden, or left out.
_HIDDEN: Final = frozenset("•…")


@lru_cache(maxsize=4096)
def object_in(path: str, method: str) -> str:
    """Its id in upper case (of "receiver/{module}/NL/CPO/s1": S1); "" where it names none.

    `path` is that of the record, where a Token's uid is hidden; such an id is not one.
    """
    parts = path.partition("?")[0].split("/", 2)
    role = _ROLES.get(parts[0])
    if role is None or len(parts) < 3 or parts[1] in SECRET_IDS:
        return ""
    try:
        ids = match(parts[1], role, parts[2], method).ids
    except (NoSuchUrl, WrongMethod):
        return ""
    named = [value for name, value in ids.items() if name not in _OWNERS | _NO_OBJECTS]
    if not named or not _HIDDEN.isdisjoint(named[0]):
        return ""
    return named[0].upper()[:LONGEST]
