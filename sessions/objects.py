"""Objects of the Sessions module (mod_sessions, Object description)."""

from enum import StrEnum
from typing import Final

import msgspec

from cdrs.objects import AuthMethod as AuthMethod
from cdrs.objects import CdrToken as CdrToken
from cdrs.objects import ChargingPeriod as ChargingPeriod
from hub.ocpi.datatypes import (
    CiString36,
    CountryCode,
    Currency,
    DateTime,
    Id36,
    Number,
    PartyIdText,
    String255,
)
from hub.ocpi.datatypes import Price as Price
from hub.ocpi.datatypes import ProfileType as ProfileType
from hub.ocpi.datatypes import TokenType as TokenType


class SessionStatus(StrEnum):
    """mod_sessions: SessionStatus; COMPLETED and INVALID are final."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INVALID = "INVALID"
    PENDING = "PENDING"
    RESERVATION = "RESERVATION"


# No more modifications will be made.
OVER: Final = (SessionStatus.COMPLETED, SessionStatus.INVALID)


class Session(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_sessions: Session object.

    `evse_uid` and `connector_id` are #NA while a reservation has none yet.
    """

    country_code: CountryCode
    party_id: PartyIdText
    id: Id36
    start_date_time: DateTime
    end_date_time: DateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    location_id: Id36
    evse_uid: Id36
    connector_id: Id36
    meter_id: String255 | None = None
    currency: Currency
    charging_periods: list[ChargingPeriod] | None = None
    total_cost: Price | None = None
    status: SessionStatus
    last_updated: DateTime


class ChargingPreferences(msgspec.Struct, omit_defaults=True):
    """mod_sessions: ChargingPreferences; `energy_need` in kWh."""

    profile_type: ProfileType
    departure_time: DateTime | None = None
    energy_need: Number | None = None
    discharge_allowed: bool | None = None


class ChargingPreferencesResponse(StrEnum):
    """The CPO's answer to PUT of ChargingPreferences."""

    ACCEPTED = "ACCEPTED"
    DEPARTURE_REQUIRED = "DEPARTURE_REQUIRED"
    ENERGY_NEED_REQUIRED = "ENERGY_NEED_REQUIRED"
    NOT_POSSIBLE = "NOT_POSSIBLE"
    PROFILE_TYPE_NOT_SUPPORTED = "PROFILE_TYPE_NOT_SUPPORTED"
