"""Objects of the three Configuration Modules: versions, credentials, hubclientinfo."""

from typing import Annotated

import msgspec

from hub.ocpi.datatypes import BusinessDetails as BusinessDetails
from hub.ocpi.datatypes import (
    ConnectionStatus,
    CountryCode,
    DateTime,
    InterfaceRole,
    PartyIdText,
    Role,
    Url,
)
from hub.ocpi.party import PartyId


class Version(msgspec.Struct):
    """version_information_endpoint: Version."""

    version: str
    url: str


class Endpoint(msgspec.Struct):
    """version_information_endpoint: Endpoint; `identifier` is a ModuleID or a custom one.

    `role` is not relevant for credentials and left out there by some, so it may be absent.
    """

    identifier: str
    url: str
    role: InterfaceRole | None = None


class VersionDetails(msgspec.Struct):
    """version_information_endpoint: data of the version details endpoint."""

    version: str
    endpoints: list[Endpoint]


class CredentialsRole(msgspec.Struct):
    """credentials: CredentialsRole."""

    role: Role
    business_details: BusinessDetails
    party_id: PartyIdText
    country_code: CountryCode

    @property
    def identity(self) -> PartyId:
        """The comparable form."""
        return PartyId.of(self.country_code, self.party_id)


CredentialsToken = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7E]+$")
]


class Credentials(msgspec.Struct):
    """credentials: Credentials object."""

    token: CredentialsToken
    url: Url
    roles: Annotated[list[CredentialsRole], msgspec.Meta(min_length=1)]


class ClientInfo(msgspec.Struct):
    """mod_hub_client_info: ClientInfo."""

    party_id: PartyIdText
    country_code: CountryCode
    role: Role
    status: ConnectionStatus
    last_updated: DateTime
