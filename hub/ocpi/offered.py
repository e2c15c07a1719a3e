"""The endpoints of a platform's version details, as platforms really write them.

version_information_endpoint: Endpoint. A module's name that is misspelt is taken for what it can
only mean; what cannot be read is left out. The platform is told of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import FUNCTIONAL_MODULES
from hub.ocpi.v2_2_1 import VERSION

MAX_IDENTIFIER: Final = 64
_MODULES: Final = (*FUNCTIONAL_MODULES, "credentials", "hubclientinfo")
# What else a module is called by those who take its chapter's heading for its identifier.
_OTHER_NAMES: Final = {"clientinfo": "hubclientinfo"}
_LIKE: Final = 0.85
_MOST_REMARKS: Final = 10
_PATH: Final = "VersionDetails.endpoints[]"

Key = tuple[str, InterfaceRole]


@dataclass(slots=True)
class Offered:
    """The URLs by module and interface, as they stand there, and what was odd about the rest."""

    urls: dict[Key, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)

    def _odd(self, rule: str, where: str, example: str, remark: str) -> None:
        self.deviations.append(Deviation(rule, f"{_PATH}{where}", example[:60]))
        if len(self.remarks) < _MOST_REMARKS:
            self.remarks.append(remark)


def meant(identifier: str) -> str | None:
    """The module of OCPI that a misspelt identifier can only mean; None for all others."""
    letters = _letters(identifier)
    for name in (letters, f"{letters}s", _OTHER_NAMES.get(letters, "")):
        if name in _MODULES:
            return name
    return None


def _letters(identifier: str) -> str:
    return "".join(one for one in identifier.lower() if one.isascii() and one.isalnum())


def read(endpoints: list[Any]) -> Offered:
    """Read the `endpoints` of version details, as plain JSON values."""
    offered = Offered()
    misspelt: dict[Key, str] = {}
    for value in endpoints:
        if (found := _endpoint(value, offered)) is None:
            continue
        identifier, role, url = found
        module = identifier
        if identifier not in _MODULES and (right := meant(identifier)) is not None:
            module = right
            offered._odd(
                "misspelt-module",
                ".identifier",
                identifier,
                f"Your version details have {identifier!r}: OCPI {VERSION} writes {right!r}. It is "
                "taken as that.",
            )
        elif identifier not in _MODULES:
            module = _custom(identifier, offered)
        key = (module, InterfaceRole.SENDER if module == "credentials" else role)
        if key[1] is None:
            offered._odd(
                "missing",
                ".role",
                identifier,
                f"The endpoint {identifier!r} has no role, SENDER or RECEIVER, and is left out.",
            )
        elif module == identifier:
            offered.urls[key[0], key[1]] = url
        else:
            misspelt[key[0], key[1]] = url
    # The right spelling goes first, wherever it stands.
    offered.urls = misspelt | offered.urls
    if ("credentials", InterfaceRole.SENDER) not in offered.urls:
        offered._odd(
            "missing",
            "(credentials)",
            "",
            "Your version details have no 'credentials': this hub can neither renew (PUT) nor end "
            "(DELETE) the registration at your side.",
        )
    return offered


def _custom(identifier: str, offered: Offered) -> str:
    """A custom module's name as it is compared; close to one of OCPI's it may be a slip."""
    letters = _letters(identifier)
    if like := get_close_matches(letters, _MODULES, 1, _LIKE):
        offered._odd(
            "misspelt-module",
            ".identifier",
            identifier,
            f"Your version details have {identifier!r}, which is taken for a custom module; if it "
            f"is OCPI's, write {like[0]!r}.",
        )
    return identifier.strip().lower()


def _endpoint(value: Any, offered: Offered) -> tuple[str, InterfaceRole | None, str] | None:
    """Identifier, role and URL; None for what cannot be read."""
    identifier = value.get("identifier") if isinstance(value, Mapping) else None
    if not (
        isinstance(identifier, str)
        and identifier.isprintable()
        and 0 < len(identifier.strip()) <= MAX_IDENTIFIER
    ):
        offered._odd(
            "format",
            ".identifier",
            identifier[:60] if isinstance(identifier, str) and identifier.isprintable() else "",
            f"An endpoint without an identifier of 1 to {MAX_IDENTIFIER} characters is left out.",
        )
        return None
    url, role = value.get("url"), value.get("role")
    if not isinstance(url, str):
        offered._odd(
            "missing",
            ".url",
            identifier,
            f"The endpoint {identifier!r} has no url, and is left out.",
        )
        return None
    if role is None or role == "":
        return identifier.strip(), None, url
    text = role.strip().upper() if isinstance(role, str) else ""
    if text not in InterfaceRole.__members__:
        offered._odd(
            "unknown-enum-value",
            ".role",
            str(role)[:60],
            f"The endpoint {identifier!r} is left out: its role is {str(role)[:20]!r}, not SENDER "
            "or RECEIVER.",
        )
        return None
    return identifier.strip(), InterfaceRole(text), url
