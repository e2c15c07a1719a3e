"""One registration with another platform: its tokens, endpoints and roles (credentials)."""

from dataclasses import dataclass, field

from hub.ocpi.configuration import Endpoint
from hub.ocpi.datatypes import InterfaceRole, Role
from hub.ocpi.errors import NoMatchingEndpoints
from hub.ocpi.party import PartyId


@dataclass
class Connection:
    """`sends` is the token that we write into requests, `accepts` the one the other side writes."""

    versions_url: str
    sends: str
    accepts: str = ""
    base64_encoded: bool = True
    roles: set[tuple[PartyId, Role]] = field(default_factory=set)
    endpoints: list[Endpoint] = field(default_factory=list)

    @property
    def parties(self) -> set[PartyId]:
        """All parties of the other platform."""
        return {party for party, _ in self.roles}

    @property
    def is_hub(self) -> bool:
        """A hub reports itself alone, with the role HUB (credentials)."""
        return any(role is Role.HUB for _, role in self.roles)

    def endpoint(self, module: str, interface: InterfaceRole) -> str:
        """The URL of a module there; NoMatchingEndpoints when the platform does not offer it."""
        for endpoint in self.endpoints:
            if endpoint.identifier == module and (
                endpoint.role == interface or module == "credentials"
            ):
                return endpoint.url
        raise NoMatchingEndpoints(f"{self.versions_url} offers no {interface} of {module}")
