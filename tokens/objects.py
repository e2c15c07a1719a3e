"""Objects of the Tokens module (mod_tokens, Object description and Data types)."""

from enum import StrEnum

import msgspec

from hub.ocpi.datatypes import (
    CiString36,
    CountryCode,
    DateTime,
    DisplayText,
    Id36,
    Language,
    PartyIdText,
    ProfileType,
    String64,
)
from hub.ocpi.datatypes import TokenType as TokenType


class AllowedType(StrEnum):
    """mod_tokens: AllowedType."""

    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    NO_CREDIT = "NO_CREDIT"
    NOT_ALLOWED = "NOT_ALLOWED"


class WhitelistType(StrEnum):
    """mod_tokens: WhitelistType."""

    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


class EnergyContract(msgspec.Struct, omit_defaults=True):
    """mod_tokens: EnergyContract; `contract_id` is case sensitive here, unlike a Token's."""

    supplier_name: String64
    contract_id: String64 | None = None


class LocationReferences(msgspec.Struct, omit_defaults=True):
    """mod_tokens: LocationReferences."""

    location_id: Id36
    evse_uids: list[Id36] | None = None


class Token(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_tokens: Token object; identified by `uid` and `type` together."""

    country_code: CountryCode
    party_id: PartyIdText
    uid: Id36
    type: TokenType
    contract_id: CiString36
    visual_number: String64 | None = None
    issuer: String64
    group_id: CiString36 | None = None
    valid: bool
    whitelist: WhitelistType
    language: Language | None = None
    default_profile_type: ProfileType | None = None
    energy_contract: EnergyContract | None = None
    last_updated: DateTime


class AuthorizationInfo(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_tokens: AuthorizationInfo object."""

    allowed: AllowedType
    token: Token
    location: LocationReferences | None = None
    authorization_reference: CiString36 | None = None
    info: DisplayText | None = None
