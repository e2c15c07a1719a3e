"""URLs of the hub itself below /ocpi/, beside the interfaces of the route table (modules.py).

One table: what serves them, gives them out, describes them, shares out turns to them, and keeps
their keys out of the log goes by it, so that none of these can forget one.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.v2_2_1 import BASE_PATH

ROOT: Final = "/ocpi/"
# The flex API, which is not OCPI (flex/api/).
FLEX: Final = "/flex/"
# The admin API, which is the console's (hub/console/api/).
ADMIN_API: Final = "/admin-api/"
VERSIONS: Final = f"{ROOT}versions"
# What the hub serves, for everybody, and as a page of it.
OPENAPI: Final = f"{ROOT}openapi.json"
DOCS: Final = f"{ROOT}docs"
# The version details; all that follows is below them.
DETAILS: Final = BASE_PATH
# The same for Django, which takes a path without its first slash.
VERSIONS_PATTERN: Final = f"^{re.escape(VERSIONS[1:])}/?$"
DOCS_PATTERN: Final = f"^{re.escape(DOCS[1:])}/?$"
DETAILS_PATTERN: Final = f"^{re.escape(DETAILS[1:])}/?$"
BELOW_DETAILS: Final = f"^{re.escape(DETAILS[1:])}/"
# What an id in a URL may have in it, where that is not one segment.
_ANYTHING: Final = r"[\s\S]+"
_IDS: Final = {"cdr_id": _ANYTHING}


@dataclass(frozen=True, slots=True)
class OwnPath:
    """One shape of URL below the version details, such as `profile-result/{key}`."""

    name: str
    shape: str = ""
    # The module under which the record has its messages, "" where none is.
    module: str = ""
    # Whether what follows the name opens something: neither the log nor the record has it.
    has_key: bool = False

    @property
    def template(self) -> str:
        """The whole path with its ids by name, as in OpenAPI."""
        return "/".join(part for part in (DETAILS, self.name, self.shape) if part)

    @property
    def pattern(self) -> str:
        """A regular expression for what follows `BELOW_DETAILS`, with a group for each id."""
        ids = re.sub(r"{(\w+)}", lambda it: f"(?P<{it[1]}>{_IDS.get(it[1], '[^/]+')})", self.shape)
        if ids.endswith(f"{_ANYTHING})"):
            return f"^{self.name}/{ids}$"
        return f"^{self.name}/{ids}/?$" if ids else f"^{self.name}/?$"

    def path(self, *ids: str) -> str:
        """The path with these ids."""
        return "/".join((DETAILS, self.name, *(quote(an_id, safe="") for an_id in ids)))


CREDENTIALS: Final = OwnPath("credentials", module="credentials")
CLIENT_INFO: Final = OwnPath("hubclientinfo", module="hubclientinfo")
# Lists of this hub's own (hub/conformance/deviation_lists.py).
DEVIATIONS: Final = OwnPath("deviations", module="deviations")
LEFT_OUT_FOR_YOU: Final = OwnPath("deviations/left-out-for-you", module="deviations")
LEFT_OUT_FOR_OTHERS: Final = OwnPath("deviations/left-out-for-others", module="deviations")
# Given out in place of a party's URL (hub/outbound/rewritten_urls.py).
VIA: Final = OwnPath("via", "{key}", has_key=True)
# The response_url of a profile command, and of a check.
PROFILE_RESULT: Final = OwnPath("profile-result", "{key}", "chargingprofiles", has_key=True)
CHECK_RESULT: Final = OwnPath("check-result", "{key}", has_key=True)
# Where the hub shows a CDR whose eMSP named no Location.
CDR: Final = OwnPath("cdr", "{owner}/{cdr_id}", "cdrs")
OWN_PATHS: Final = (
    *(CREDENTIALS, CLIENT_INFO, DEVIATIONS, LEFT_OUT_FOR_YOU, LEFT_OUT_FOR_OTHERS),
    *(VIA, PROFILE_RESULT, CHECK_RESULT, CDR),
)
_INTERFACES: Final = tuple(f"{DETAILS}/{role.value.lower()}/" for role in InterfaceRole)
# By their first segments.
NAMES: Final = {own.name: own for own in OWN_PATHS if "/" not in own.name}


def at(path: str) -> tuple[OwnPath | None, str]:
    """What a path begins with, and what follows that, without a slash at the end."""
    if not path.startswith(f"{DETAILS}/"):
        return None, ""
    name, _, rest = path[len(DETAILS) + 1 :].partition("/")
    return NAMES.get(name), rest.rstrip("/")


def is_interface(path: str) -> bool:
    """Whether a path is below an interface of the route table."""
    return path.startswith(_INTERFACES)


def interface(role: InterfaceRole, module: str) -> str:
    """The path of an interface of the route table."""
    return f"{DETAILS}/{role.value.lower()}/{module}"
