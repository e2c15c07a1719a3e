"""Objects of the Sessions module (mod_sessions, Object description)."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from hub.ocpi.datatypes import CiString36, CountryCode, PartyIdText, String255


class SessionStatus(StrEnum):
    """mod_sessions: SessionStatus; COMPLETED and INVALID are final."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INVALID = "INVALID"
    PENDING = "PENDING"
    RESERVATION = "RESERVATION"


class AuthMethod(StrEnum):
    """mod_cdrs: AuthMethod."""

    AUTH_REQUEST = "AUTH_REQUEST"
    COMMAND = "COMMAND"
    WHITELIST = "WHITELIST"


class TokenType(StrEnum):
    """mod_tokens: TokenType."""

    AD_HOC_USER = "AD_HOC_USER"
    APP_USER = "APP_USER"
    OTHER = "OTHER"
    RFID = "RFID"


class CdrToken(msgspec.Struct):
    """mod_cdrs: CdrToken; `country_code` and `party_id` are those of the eMSP."""

    country_code: CountryCode
    party_id: PartyIdText
    uid: CiString36
    type: TokenType
    contract_id: CiString36


class Price(msgspec.Struct, omit_defaults=True):
    """types: Price."""

    excl_vat: Decimal
    incl_vat: Decimal | None = None


class Session(msgspec.Struct, omit_defaults=True):
    """mod_sessions: Session object.

    `charging_periods` are kept as sent: the hub appends them, and reads nothing in them.
    """

    country_code: CountryCode
    party_id: PartyIdText
    id: CiString36
    start_date_time: datetime
    kwh: Decimal
    cdr_token: CdrToken
    auth_method: AuthMethod
    location_id: CiString36
    evse_uid: CiString36
    connector_id: CiString36
    currency: str
    status: SessionStatus
    last_updated: datetime
    end_date_time: datetime | None = None
    authorization_reference: CiString36 | None = None
    meter_id: String255 | None = None
    charging_periods: list[dict[str, Any]] | None = None
    total_cost: Price | None = None

    def __post_init__(self) -> None:
        """The text "NaN" is a Decimal, but no number of OCPI's."""
        if not self.kwh.is_finite():
            raise ValueError("kwh is no number")


class ProfileType(StrEnum):
    """mod_sessions: ProfileType."""

    CHEAP = "CHEAP"
    FAST = "FAST"
    GREEN = "GREEN"
    REGULAR = "REGULAR"


class ChargingPreferences(msgspec.Struct, omit_defaults=True):
    """mod_sessions: ChargingPreferences; `energy_need` in kWh."""

    profile_type: ProfileType
    departure_time: datetime | None = None
    energy_need: Decimal | None = None
    discharge_allowed: bool | None = None

    def __post_init__(self) -> None:
        """The text "NaN" is a Decimal, but no number of OCPI's."""
        if self.energy_need is not None and not self.energy_need.is_finite():
            raise ValueError("energy_need is no number")


class ChargingPreferencesResponse(StrEnum):
    """The CPO's answer to PUT of ChargingPreferences."""

    ACCEPTED = "ACCEPTED"
    DEPARTURE_REQUIRED = "DEPARTURE_REQUIRED"
    ENERGY_NEED_REQUIRED = "ENERGY_NEED_REQUIRED"
    NOT_POSSIBLE = "NOT_POSSIBLE"
    PROFILE_TYPE_NOT_SUPPORTED = "PROFILE_TYPE_NOT_SUPPORTED"
