"""Objects of the CDRs module (mod_cdrs, Object description and Data types)."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from hub.ocpi.datatypes import (
    CiString32,
    CiString36,
    CiString39,
    CiString48,
    Country,
    CountryCode,
    Currency,
    DateTime,
    Id36,
    Id39,
    Number,
    PartyIdText,
    Price,
    String10,
    String45,
    String255,
    String512,
    String5000,
    TokenType,
)
from locations.objects import ConnectorFormat, ConnectorType, GeoLocation, PowerType
from tariffs.objects import Tariff


class AuthMethod(StrEnum):
    """mod_cdrs: AuthMethod."""

    AUTH_REQUEST = "AUTH_REQUEST"
    COMMAND = "COMMAND"
    WHITELIST = "WHITELIST"


class CdrDimensionType(StrEnum):
    """mod_cdrs: CdrDimensionType ; those in SESSION_ONLY are for Sessions alone."""

    CURRENT = "CURRENT"
    ENERGY = "ENERGY"
    ENERGY_EXPORT = "ENERGY_EXPORT"
    ENERGY_IMPORT = "ENERGY_IMPORT"
    MAX_CURRENT = "MAX_CURRENT"
    MIN_CURRENT = "MIN_CURRENT"
    MAX_POWER = "MAX_POWER"
    MIN_POWER = "MIN_POWER"
    PARKING_TIME = "PARKING_TIME"
    POWER = "POWER"
    RESERVATION_TIME = "RESERVATION_TIME"
    STATE_OF_CHARGE = "STATE_OF_CHARGE"
    TIME = "TIME"


SESSION_ONLY: Final = frozenset(
    {
        CdrDimensionType.CURRENT,
        CdrDimensionType.ENERGY_EXPORT,
        CdrDimensionType.ENERGY_IMPORT,
        CdrDimensionType.POWER,
        CdrDimensionType.STATE_OF_CHARGE,
    }
)


class CdrDimension(msgspec.Struct):
    """mod_cdrs: CdrDimension."""

    type: CdrDimensionType
    volume: Number

    def __post_init__(self) -> None:
        """STATE_OF_CHARGE is "in percentage, values allowed: 0 to 100"."""
        if self.type is CdrDimensionType.STATE_OF_CHARGE and not 0 <= self.volume <= 100:
            raise ValueError("volume of STATE_OF_CHARGE must be from 0 to 100")


class ChargingPeriod(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_cdrs: ChargingPeriod, of CDRs and Sessions; ends when the next one starts."""

    start_date_time: DateTime
    dimensions: Annotated[list[CdrDimension], msgspec.Meta(min_length=1)]
    tariff_id: Id36 | None = None


class CdrToken(msgspec.Struct):
    """mod_cdrs: CdrToken; `country_code` and `party_id` are those of the eMSP."""

    country_code: CountryCode
    party_id: PartyIdText
    uid: Id36
    type: TokenType
    contract_id: CiString36


class CdrLocation(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_cdrs: CdrLocation.

    `evse_uid`, `evse_id` and `connector_id` are #NA for a reservation that was never used.
    `address` and `state` are as long as a Location's, whose the erratum of 2026-05 has lengthened;
    this copy of them it forgot (45 and 20).
    """

    id: Id36
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    evse_uid: Id36
    evse_id: CiString48
    connector_id: Id36
    connector_standard: ConnectorType
    connector_format: ConnectorFormat
    connector_power_type: PowerType


class SignedValue(msgspec.Struct):
    """mod_cdrs: SignedValue."""

    nature: CiString32
    plain_data: String5000
    signed_data: String5000


class SignedData(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_cdrs: SignedData."""

    encoding_method: CiString36
    encoding_method_version: int | None = None
    public_key: String512 | None = None
    signed_values: Annotated[list[SignedValue], msgspec.Meta(min_length=1)]
    url: String512 | None = None


class CDR(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_cdrs: CDR object; energy in kWh, times in hours."""

    country_code: CountryCode
    party_id: PartyIdText
    id: Id39
    start_date_time: DateTime
    end_date_time: DateTime
    session_id: Id36 | None = None
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    cdr_location: CdrLocation
    meter_id: String255 | None = None
    currency: Currency
    tariffs: list[Tariff] | None = None
    charging_periods: Annotated[list[ChargingPeriod], msgspec.Meta(min_length=1)]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number
    total_energy_cost: Price | None = None
    total_time: Number
    total_time_cost: Price | None = None
    total_parking_time: Number | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: String255 | None = None
    invoice_reference_id: CiString39 | None = None
    credit: bool | None = None
    credit_reference_id: Id39 | None = None
    home_charging_compensation: bool | None = None
    last_updated: DateTime

    def __post_init__(self) -> None:
        """What Credit CDRs need, and what only they and Sessions may have."""
        if self.credit and self.credit_reference_id is None:
            raise ValueError("credit_reference_id is required when credit is true")
        if not self.credit and len(self.id) > 36:
            raise ValueError("id of a CDR that is not a Credit CDR must be of length <= 36")
        for number, period in enumerate(self.charging_periods):
            for dimension in period.dimensions:
                if dimension.type in SESSION_ONLY:
                    raise ValueError(
                        f"charging_periods[{number}].dimensions: {dimension.type} is for "
                        "Sessions only"
                    )
