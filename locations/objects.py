"""Objects of the Locations module (mod_locations, Object description and Data types)."""

import re
from enum import StrEnum
from typing import Annotated

import msgspec

from hub.ocpi.datatypes import (
    NOT_AVAILABLE,
    BusinessDetails,
    CiString36,
    CiString48,
    Country,
    CountryCode,
    DateTime,
    DisplayText,
    Id36,
    Image,
    Number,
    PartyIdText,
    String4,
    String10,
    String16,
    String45,
    String64,
    String255,
    TokenType,
    Url,
)


class Capability(StrEnum):
    """mod_locations: Capability."""

    CHARGING_PROFILE_CAPABLE = "CHARGING_PROFILE_CAPABLE"
    CHARGING_PREFERENCES_CAPABLE = "CHARGING_PREFERENCES_CAPABLE"
    CHIP_CARD_SUPPORT = "CHIP_CARD_SUPPORT"
    CONTACTLESS_CARD_SUPPORT = "CONTACTLESS_CARD_SUPPORT"
    CREDIT_CARD_PAYABLE = "CREDIT_CARD_PAYABLE"
    DEBIT_CARD_PAYABLE = "DEBIT_CARD_PAYABLE"
    PED_TERMINAL = "PED_TERMINAL"
    REMOTE_START_STOP_CAPABLE = "REMOTE_START_STOP_CAPABLE"
    RESERVABLE = "RESERVABLE"
    RFID_READER = "RFID_READER"
    START_SESSION_CONNECTOR_REQUIRED = "START_SESSION_CONNECTOR_REQUIRED"
    TOKEN_GROUP_CAPABLE = "TOKEN_GROUP_CAPABLE"  # noqa: S105 - a word of the specification
    UNLOCK_CAPABLE = "UNLOCK_CAPABLE"


class ConnectorFormat(StrEnum):
    """mod_locations: ConnectorFormat."""

    SOCKET = "SOCKET"
    CABLE = "CABLE"


class ConnectorType(StrEnum):
    """mod_locations: ConnectorType."""

    CHADEMO = "CHADEMO"
    CHAOJI = "CHAOJI"
    DOMESTIC_A = "DOMESTIC_A"
    DOMESTIC_B = "DOMESTIC_B"
    DOMESTIC_C = "DOMESTIC_C"
    DOMESTIC_D = "DOMESTIC_D"
    DOMESTIC_E = "DOMESTIC_E"
    DOMESTIC_F = "DOMESTIC_F"
    DOMESTIC_G = "DOMESTIC_G"
    DOMESTIC_H = "DOMESTIC_H"
    DOMESTIC_I = "DOMESTIC_I"
    DOMESTIC_J = "DOMESTIC_J"
    DOMESTIC_K = "DOMESTIC_K"
    DOMESTIC_L = "DOMESTIC_L"
    DOMESTIC_M = "DOMESTIC_M"
    DOMESTIC_N = "DOMESTIC_N"
    DOMESTIC_O = "DOMESTIC_O"
    GBT_AC = "GBT_AC"
    GBT_DC = "GBT_DC"
    IEC_60309_2_single_16 = "IEC_60309_2_single_16"
    IEC_60309_2_three_16 = "IEC_60309_2_three_16"
    IEC_60309_2_three_32 = "IEC_60309_2_three_32"
    IEC_60309_2_three_64 = "IEC_60309_2_three_64"
    IEC_62196_T1 = "IEC_62196_T1"
    IEC_62196_T1_COMBO = "IEC_62196_T1_COMBO"
    IEC_62196_T2 = "IEC_62196_T2"
    IEC_62196_T2_COMBO = "IEC_62196_T2_COMBO"
    IEC_62196_T3A = "IEC_62196_T3A"
    IEC_62196_T3C = "IEC_62196_T3C"
    NEMA_5_20 = "NEMA_5_20"
    NEMA_6_30 = "NEMA_6_30"
    NEMA_6_50 = "NEMA_6_50"
    NEMA_10_30 = "NEMA_10_30"
    NEMA_10_50 = "NEMA_10_50"
    NEMA_14_30 = "NEMA_14_30"
    NEMA_14_50 = "NEMA_14_50"
    PANTOGRAPH_BOTTOM_UP = "PANTOGRAPH_BOTTOM_UP"
    PANTOGRAPH_TOP_DOWN = "PANTOGRAPH_TOP_DOWN"
    TESLA_R = "TESLA_R"
    TESLA_S = "TESLA_S"


class EnergySourceCategory(StrEnum):
    """mod_locations: EnergySourceCategory."""

    NUCLEAR = "NUCLEAR"
    GENERAL_FOSSIL = "GENERAL_FOSSIL"
    COAL = "COAL"
    GAS = "GAS"
    GENERAL_GREEN = "GENERAL_GREEN"
    SOLAR = "SOLAR"
    WIND = "WIND"
    WATER = "WATER"


class EnvironmentalImpactCategory(StrEnum):
    """mod_locations: EnvironmentalImpactCategory."""

    NUCLEAR_WASTE = "NUCLEAR_WASTE"
    CARBON_DIOXIDE = "CARBON_DIOXIDE"


class Facility(StrEnum):
    """mod_locations: Facility."""

    HOTEL = "HOTEL"
    RESTAURANT = "RESTAURANT"
    CAFE = "CAFE"
    MALL = "MALL"
    SUPERMARKET = "SUPERMARKET"
    SPORT = "SPORT"
    RECREATION_AREA = "RECREATION_AREA"
    NATURE = "NATURE"
    MUSEUM = "MUSEUM"
    BIKE_SHARING = "BIKE_SHARING"
    BUS_STOP = "BUS_STOP"
    TAXI_STAND = "TAXI_STAND"
    TRAM_STOP = "TRAM_STOP"
    METRO_STATION = "METRO_STATION"
    TRAIN_STATION = "TRAIN_STATION"
    AIRPORT = "AIRPORT"
    PARKING_LOT = "PARKING_LOT"
    CARPOOL_PARKING = "CARPOOL_PARKING"
    FUEL_STATION = "FUEL_STATION"
    WIFI = "WIFI"


class ParkingRestriction(StrEnum):
    """mod_locations: ParkingRestriction."""

    EV_ONLY = "EV_ONLY"
    PLUGGED = "PLUGGED"
    DISABLED = "DISABLED"
    CUSTOMERS = "CUSTOMERS"
    MOTORCYCLES = "MOTORCYCLES"


class ParkingType(StrEnum):
    """mod_locations: ParkingType."""

    ALONG_MOTORWAY = "ALONG_MOTORWAY"
    PARKING_GARAGE = "PARKING_GARAGE"
    PARKING_LOT = "PARKING_LOT"
    ON_DRIVEWAY = "ON_DRIVEWAY"
    ON_STREET = "ON_STREET"
    UNDERGROUND_GARAGE = "UNDERGROUND_GARAGE"


class PowerType(StrEnum):
    """mod_locations: PowerType."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_2_PHASE = "AC_2_PHASE"
    AC_2_PHASE_SPLIT = "AC_2_PHASE_SPLIT"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class Status(StrEnum):
    """mod_locations: Status ; an EVSE is never deleted, but REMOVED."""

    AVAILABLE = "AVAILABLE"
    BLOCKED = "BLOCKED"
    CHARGING = "CHARGING"
    INOPERATIVE = "INOPERATIVE"
    OUTOFORDER = "OUTOFORDER"
    PLANNED = "PLANNED"
    REMOVED = "REMOVED"
    RESERVED = "RESERVED"
    UNKNOWN = "UNKNOWN"


# transport_and_format, No data available: a required string may be #NA.
_LATITUDE = rf"(-?[0-9]{{1,2}}\.[0-9]{{5,7}}|{NOT_AVAILABLE})"
_LONGITUDE = rf"(-?[0-9]{{1,3}}\.[0-9]{{5,7}}|{NOT_AVAILABLE})"
_HOUR_AND_MINUTE = "([0-1][0-9]|2[0-3]):[0-5][0-9]"
# Both patterns at once, and a set, cost a quarter of what msgspec's own patterns do.
_is_point = re.compile(f"{_LATITUDE} {_LONGITUDE}").fullmatch
_is_latitude = re.compile(_LATITUDE).fullmatch
_TIMES = frozenset(f"{hour:02}:{minute:02}" for hour in range(24) for minute in range(60))
Latitude = Annotated[
    str, msgspec.Meta(max_length=10, extra_json_schema={"pattern": f"^{_LATITUDE}$"})
]
Longitude = Annotated[
    str, msgspec.Meta(max_length=11, extra_json_schema={"pattern": f"^{_LONGITUDE}$"})
]
TimeOfDay = Annotated[
    str,
    msgspec.Meta(
        min_length=5, max_length=5, extra_json_schema={"pattern": f"^{_HOUR_AND_MINUTE}$"}
    ),
]


def check_point(latitude: str, longitude: str) -> None:
    """Raise ValueError unless both are decimal degrees with five to seven decimals."""
    if not _is_point(f"{latitude} {longitude}"):
        is_wrong = "longitude" if _is_latitude(latitude) else "latitude"
        raise ValueError(f"{is_wrong} must have five to seven decimals, such as 50.770774")


def check_time_of_day(name: str, value: str) -> None:
    """Raise ValueError unless `value` is hours and minutes."""
    if value not in _TIMES:
        raise ValueError(f"{name} must be from 00:00 to 23:59")


class GeoLocation(msgspec.Struct):
    """mod_locations: GeoLocation, in WGS 84."""

    latitude: Latitude
    longitude: Longitude

    def __post_init__(self) -> None:
        """The regular expressions of its table."""
        check_point(self.latitude, self.longitude)


class AdditionalGeoLocation(msgspec.Struct, omit_defaults=True):
    """mod_locations: AdditionalGeoLocation."""

    latitude: Latitude
    longitude: Longitude
    name: DisplayText | None = None

    def __post_init__(self) -> None:
        """The regular expressions of its table."""
        check_point(self.latitude, self.longitude)


class EnergySource(msgspec.Struct):
    """mod_locations: EnergySource."""

    source: EnergySourceCategory
    percentage: Number

    def __post_init__(self) -> None:
        """Percentage of this source (0-100) in the mix."""
        if not 0 <= self.percentage <= 100:
            raise ValueError("percentage must be from 0 to 100")


class EnvironmentalImpact(msgspec.Struct):
    """mod_locations: EnvironmentalImpact; `amount` in g/kWh."""

    category: EnvironmentalImpactCategory
    amount: Number


class EnergyMix(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: EnergyMix."""

    is_green_energy: bool
    energy_sources: list[EnergySource] | None = None
    environ_impact: list[EnvironmentalImpact] | None = None
    supplier_name: String64 | None = None
    energy_product_name: String64 | None = None


class ExceptionalPeriod(msgspec.Struct):
    """mod_locations: ExceptionalPeriod."""

    period_begin: DateTime
    period_end: DateTime


class RegularHours(msgspec.Struct):
    """mod_locations: RegularHours, in local time; Monday is 1."""

    weekday: Annotated[int, msgspec.Meta(ge=1, le=7)]
    period_begin: TimeOfDay
    period_end: TimeOfDay

    def __post_init__(self) -> None:
        """The regular expressions of its table, and "Must be later than `period_begin`"."""
        check_time_of_day("period_begin", self.period_begin)
        check_time_of_day("period_end", self.period_end)
        if self.period_end <= self.period_begin:
            raise ValueError("period_end must be later than period_begin")


class Hours(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: Hours."""

    twentyfourseven: bool
    regular_hours: list[RegularHours] | None = None
    exceptional_openings: list[ExceptionalPeriod] | None = None
    exceptional_closings: list[ExceptionalPeriod] | None = None

    def __post_init__(self) -> None:
        """Regular hours are for `twentyfourseven=false`, which needs at least one."""
        if self.twentyfourseven and self.regular_hours:
            raise ValueError("regular_hours are not allowed when twentyfourseven is true")
        if not self.twentyfourseven and not self.regular_hours:
            raise ValueError("regular_hours are required when twentyfourseven is false")


class PublishTokenType(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: PublishTokenType."""

    uid: CiString36 | None = None
    type: TokenType | None = None
    visual_number: String64 | None = None
    issuer: String64 | None = None
    group_id: CiString36 | None = None

    def __post_init__(self) -> None:
        """The three SHALL of its chapter."""
        if not (self.uid or self.visual_number or self.group_id):
            raise ValueError("at least one of uid, visual_number and group_id must be set")
        if self.uid and not self.type:
            raise ValueError("type must be set when uid is set")
        if self.visual_number and not self.issuer:
            raise ValueError("issuer must be set when visual_number is set")


class StatusSchedule(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: StatusSchedule."""

    period_begin: DateTime
    period_end: DateTime | None = None
    status: Status


class Connector(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: Connector object."""

    id: Id36
    standard: ConnectorType
    format: ConnectorFormat
    power_type: PowerType
    max_voltage: int
    max_amperage: int
    max_electric_power: int | None = None
    tariff_ids: list[Id36] | None = None
    terms_and_conditions: Url | None = None
    last_updated: DateTime


class EVSE(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: EVSE object; `uid` is technical, `evse_id` is for people."""

    uid: Id36
    evse_id: CiString48 | None = None
    status: Status
    status_schedule: list[StatusSchedule] | None = None
    capabilities: list[Capability] | None = None
    connectors: Annotated[list[Connector], msgspec.Meta(min_length=1)]
    floor_level: String4 | None = None
    coordinates: GeoLocation | None = None
    physical_reference: String16 | None = None
    directions: list[DisplayText] | None = None
    parking_restrictions: list[ParkingRestriction] | None = None
    images: list[Image] | None = None
    last_updated: DateTime


class Location(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_locations: Location object."""

    country_code: CountryCode
    party_id: PartyIdText
    id: Id36
    publish: bool
    publish_allowed_to: list[PublishTokenType] | None = None
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    related_locations: list[AdditionalGeoLocation] | None = None
    parking_type: ParkingType | None = None
    evses: list[EVSE] | None = None
    directions: list[DisplayText] | None = None
    operator: BusinessDetails | None = None
    suboperator: BusinessDetails | None = None
    owner: BusinessDetails | None = None
    facilities: list[Facility] | None = None
    time_zone: String255
    opening_times: Hours | None = None
    charging_when_closed: bool | None = None
    images: list[Image] | None = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime

    def __post_init__(self) -> None:
        """Only what is not published is published to some."""
        if self.publish and self.publish_allowed_to:
            raise ValueError("publish_allowed_to is not allowed when publish is true")
