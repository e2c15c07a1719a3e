"""Objects of the ChargingProfiles module (mod_charging_profiles, Object description)."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from hub.ocpi.datatypes import Url


class ChargingRateUnit(StrEnum):
    """W is the total power; A is the current per phase."""

    W = "W"
    A = "A"


class ChargingProfileResponseType(StrEnum):
    """The Receiver's immediate answer to a request."""

    ACCEPTED = "ACCEPTED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TOO_OFTEN = "TOO_OFTEN"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class ChargingProfileResultType(StrEnum):
    """What the EVSE said, posted later to the `response_url`."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class ChargingProfilePeriod(msgspec.Struct):
    """`limit` in the profile's unit from `start_period` (seconds from the profile's start)."""

    start_period: int
    limit: Decimal


class ChargingProfile(msgspec.Struct, omit_defaults=True):
    """A list of limits over time; without `start_date_time` relative to the start of charging."""

    charging_rate_unit: ChargingRateUnit
    start_date_time: datetime | None = None
    duration: int | None = None
    min_charging_rate: Decimal | None = None
    charging_profile_period: list[ChargingProfilePeriod] = []


class ActiveChargingProfile(msgspec.Struct):
    """The profile as the EVSE has calculated it; all times are relative to `start_date_time`."""

    start_date_time: datetime
    charging_profile: ChargingProfile


class SetChargingProfile(msgspec.Struct):
    """Body of PUT on the Receiver interface."""

    charging_profile: ChargingProfile
    response_url: Url


class ChargingProfileResponse(msgspec.Struct):
    """The direct answer of the Receiver; `timeout` in seconds until a result can be given up."""

    result: ChargingProfileResponseType
    timeout: int


class ProfileResult(msgspec.Struct, omit_defaults=True):
    """ActiveChargingProfileResult, ChargingProfileResult and ClearProfileResult in one.

    Only the first of the three carries `profile`, and only when `result` is ACCEPTED.
    """

    result: ChargingProfileResultType
    profile: ActiveChargingProfile | None = None
