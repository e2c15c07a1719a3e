"""The data objects of flexibility services, and where OCPI carries each (SCALE D2.3).

Those of sections 8.4.1.1 (data coverage), 8.4.1.2 (gaps) and 11.1 (data categories). A table: no
code.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Strength(StrEnum):
    """How much a field says of a data object."""

    DIRECT = "direct"  # it states the object
    BOUND = "bound"  # it bounds it from one side
    DERIVED = "derived"  # the object is computed or guessed from it


class Status(StrEnum):
    """Whether OCPI carries a data object, in the version of hub.ocpi."""

    CARRIED = "carried"
    PARTIAL = "partial"
    DERIVED = "derived"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Source:
    """A field: the object that has it, and the path in it.

    Dots go into objects, [] means any element, [key=value] those that have it.
    """

    place: str
    path: str
    unit: str = ""
    strength: Strength = Strength.DIRECT


@dataclass(frozen=True, slots=True)
class DataObject:
    """One data object; `wish` is the field of the flex API by which a driver's app may tell it."""

    id: str
    name: str
    group: str
    sections: tuple[str, ...]
    status: Status
    sources: tuple[Source, ...] = ()
    is_personal: bool = False
    wish: str = ""


_A: Final = ("8.4.1.1",)
# Of the gap analysis, those that neither of the two lists has.
_GAPS: Final = ("8.4.1.2",)
_B: Final = ("11.1",)
_AB: Final = ("8.4.1.1", "11.1")
_BOUND: Final = Strength.BOUND
_DERIVED: Final = Strength.DERIVED
_PERIOD: Final = "charging_periods[].dimensions"
_LIMITS: Final = "charging_profile.charging_profile_period[].limit"

DATA_OBJECTS: Final = (
    DataObject(
        "retail_tariff",
        "Consumption retail tariff",
        "site",
        _A,
        Status.CARRIED,
        (
            Source("tariff", "elements[].price_components[type=ENERGY].price", "currency/kWh"),
            Source("tariff", "elements[].price_components[type=TIME].price", "currency/h"),
            Source("tariff", "elements[].restrictions"),
            Source("connector", "tariff_ids"),
        ),
    ),
    DataObject(
        "grid_connection_capacity",
        "Grid connection capacity",
        "site",
        _A,
        Status.GAP,
        (
            Source("connector", "max_electric_power", "W", _BOUND),
            Source("connector", "max_amperage", "A", _BOUND),
        ),
    ),
    DataObject(
        "active_grid_power",
        "Active grid power",
        "site",
        _A,
        Status.GAP,
        (Source("session", f"{_PERIOD}[type=POWER].volume", "kW", _BOUND),),
    ),
    DataObject(
        "location",
        "Location",
        "site",
        _A,
        Status.CARRIED,
        (
            Source("location", "coordinates", "decimal degrees"),
            Source("location", "time_zone", "IANA name"),
        ),
    ),
    DataObject(
        "contracted_power",
        "Contracted power",
        "site",
        _AB,
        Status.GAP,
        (Source("connector", "max_electric_power", "W", _BOUND),),
    ),
    DataObject(
        "capacity_tariff",
        "Capacity tariff",
        "site",
        _AB,
        Status.GAP,
        (Source("tariff", "elements[].price_components[type=ENERGY]", "currency/kWh", _DERIVED),),
    ),
    DataObject(
        "site_ean",
        "Site EAN",
        "site",
        _AB,
        Status.PARTIAL,
        (
            Source("session", "meter_id", "", _DERIVED),
            Source("cdr", "meter_id", "", _DERIVED),
        ),
    ),
    DataObject(
        "bsp_id",
        "BSP ID (EAN)",
        "site",
        _A,
        Status.PARTIAL,
        (
            Source("location", "energy_mix.supplier_name", "", _DERIVED),
            Source("tariff", "energy_mix.supplier_name", "", _DERIVED),
            Source("token", "energy_contract.supplier_name", "", _DERIVED),
        ),
    ),
    DataObject(
        "evse_id",
        "EVSE ID",
        "charging station",
        _AB,
        Status.CARRIED,
        (
            Source("evse", "uid"),
            Source("evse", "evse_id"),
            Source("session", "evse_uid"),
        ),
    ),
    DataObject(
        "evse_max_charging_power",
        "Maximum charging power of the EVSE",
        "charging station",
        _AB,
        Status.CARRIED,
        (
            Source("connector", "max_electric_power", "W"),
            Source("connector", "max_amperage", "A", _DERIVED),
            Source("connector", "max_voltage", "V", _DERIVED),
            Source("active profile", _LIMITS, "W or A per phase", _BOUND),
        ),
    ),
    DataObject(
        "evse_active_power",
        "Active power of the EVSE",
        "charging station",
        _AB,
        Status.CARRIED,
        (
            Source("session", f"{_PERIOD}[type=POWER].volume", "kW"),
            Source("session", f"{_PERIOD}[type=MAX_POWER].volume", "kW"),
            Source("session", f"{_PERIOD}[type=MIN_POWER].volume", "kW"),
            Source("session", f"{_PERIOD}[type=CURRENT].volume", "A", _DERIVED),
            Source("session", f"{_PERIOD}[type=MAX_CURRENT].volume", "A", _DERIVED),
            Source("session", f"{_PERIOD}[type=MIN_CURRENT].volume", "A", _DERIVED),
            Source("session", "kwh", "kWh", _DERIVED),
            Source("cdr", f"{_PERIOD}[type=MAX_POWER].volume", "kW"),
            Source("cdr", f"{_PERIOD}[type=MIN_POWER].volume", "kW"),
        ),
        is_personal=True,
    ),
    DataObject(
        "session_id",
        "Session ID",
        "charging station",
        _A,
        Status.CARRIED,
        (
            Source("session", "id"),
            Source("cdr", "session_id"),
            Source("cdr", "id"),
        ),
    ),
    DataObject(
        "composite_active_charging_profile",
        "Composite active charging profile",
        "charging station",
        _AB,
        Status.CARRIED,
        (
            Source("active profile", _LIMITS, "W or A per phase"),
            Source("active profile", "charging_profile.charging_rate_unit", "W|A"),
            Source("active profile", "start_date_time", "UTC timestamp"),
            Source("active profile", "charging_profile.duration", "s"),
        ),
    ),
    DataObject(
        "charged_energy",
        "Charged energy",
        "charging station",
        _AB,
        Status.CARRIED,
        (
            Source("session", "kwh", "kWh"),
            Source("session", f"{_PERIOD}[type=ENERGY].volume", "kWh"),
            Source("session", f"{_PERIOD}[type=ENERGY_IMPORT].volume", "kWh"),
            Source("cdr", "total_energy", "kWh"),
            Source("cdr", f"{_PERIOD}[type=ENERGY].volume", "kWh"),
        ),
        is_personal=True,
    ),
    DataObject(
        "discharged_energy",
        "Discharged energy",
        "charging station",
        _AB,
        Status.CARRIED,
        (
            Source("session", f"{_PERIOD}[type=ENERGY_EXPORT].volume", "kWh"),
            Source("session", f"{_PERIOD}[type=ENERGY].volume", "kWh", _BOUND),
        ),
        is_personal=True,
    ),
    DataObject(
        "ev_target_energy_request",
        "EV target energy request",
        "ev",
        _AB,
        Status.CARRIED,
        (Source("preferences", "energy_need", "kWh"),),
        is_personal=True,
    ),
    DataObject(
        "user_id",
        "User ID",
        "user",
        _A,
        Status.CARRIED,
        (
            Source("session", "cdr_token.uid"),
            Source("session", "cdr_token.contract_id"),
            Source("token", "uid"),
            Source("token", "contract_id"),
            Source("cdr", "cdr_token.uid"),
            Source("cdr", "cdr_token.contract_id"),
        ),
        is_personal=True,
    ),
    DataObject(
        "departure_time",
        "Departure time",
        "user",
        _AB,
        Status.CARRIED,
        (Source("preferences", "departure_time", "UTC timestamp"),),
        is_personal=True,
    ),
    DataObject(
        "discharging_allowed",
        "Discharging allowed by the user",
        "user",
        _AB,
        Status.CARRIED,
        (Source("preferences", "discharge_allowed", "boolean"),),
        is_personal=True,
    ),
    DataObject(
        "capacity_period",
        "Capacity period",
        "site",
        _B,
        Status.GAP,
    ),
    DataObject("local_frequency", "Local frequency", "site", _GAPS, Status.GAP),
    DataObject("local_voltage", "Local voltage", "site", _GAPS, Status.GAP),
    DataObject("feed_in_tariff", "Feed-in tariff", "site", _GAPS, Status.GAP),
    DataObject("highest_measured_peak", "Highest measured peak", "site", _GAPS, Status.GAP),
    DataObject("brp_id", "BRP ID", "site", _GAPS, Status.GAP),
    DataObject(
        "ev_max_charging_power",
        "EV maximum charging power",
        "ev",
        _B,
        Status.DERIVED,
        (
            Source("active profile", _LIMITS, "W or A per phase", _BOUND),
            Source("session", f"{_PERIOD}[type=MAX_POWER].volume", "kW", _BOUND),
            Source("session", f"{_PERIOD}[type=POWER].volume", "kW", _BOUND),
        ),
        is_personal=True,
    ),
    DataObject(
        "ev_min_charging_power",
        "EV minimum charging power",
        "ev",
        _B,
        Status.PARTIAL,
        (
            Source("active profile", "charging_profile.min_charging_rate", "W or A per phase"),
            Source("session", f"{_PERIOD}[type=MIN_POWER].volume", "kW", _BOUND),
        ),
        is_personal=True,
    ),
    DataObject(
        "ev_max_discharging_power",
        "EV maximum discharging power",
        "ev",
        _B,
        Status.GAP,
        (Source("session", f"{_PERIOD}[type=MIN_POWER].volume", "kW", _BOUND),),
        is_personal=True,
    ),
    DataObject(
        "ev_min_discharging_power",
        "EV minimum discharging power",
        "ev",
        _B,
        Status.GAP,
        (Source("session", f"{_PERIOD}[type=MIN_POWER].volume", "kW", _BOUND),),
        is_personal=True,
    ),
    DataObject(
        "round_trip_efficiency",
        "Round trip efficiency",
        "ev",
        _B,
        Status.GAP,
    ),
    DataObject(
        "ev_present_soc",
        "EV present state of charge",
        "ev",
        _B,
        Status.PARTIAL,
        (Source("session", f"{_PERIOD}[type=STATE_OF_CHARGE].volume", "percent"),),
        is_personal=True,
    ),
    DataObject(
        "ev_min_energy_request",
        "EV minimum energy request",
        "ev",
        _B,
        Status.GAP,
        is_personal=True,
    ),
    DataObject(
        "ev_max_energy_request",
        "EV maximum energy request",
        "ev",
        _B,
        Status.GAP,
        (Source("session", f"{_PERIOD}[type=STATE_OF_CHARGE].volume", "percent", _BOUND),),
        is_personal=True,
    ),
    DataObject(
        "discharging_capable",
        "Discharging capable",
        "ev",
        _B,
        Status.GAP,
        (Source("session", f"{_PERIOD}[type=ENERGY_EXPORT].volume", "kWh", _BOUND),),
    ),
    DataObject(
        "v2x_warranty_constraints",
        "V2X warranty constraints",
        "ev",
        _B,
        Status.GAP,
        is_personal=True,
    ),
    DataObject(
        "v2x_state_of_health",
        "V2X state of health",
        "ev",
        _B,
        Status.GAP,
        is_personal=True,
    ),
    DataObject(
        "minimum_soc",
        "Minimum SoC",
        "user",
        _B,
        Status.GAP,
        is_personal=True,
        wish="min_soc",
    ),
    DataObject(
        "target_soc",
        "Target SoC",
        "user",
        _B,
        Status.PARTIAL,
        (Source("preferences", "energy_need", "kWh", _DERIVED),),
        is_personal=True,
        wish="target_soc",
    ),
    DataObject(
        "maximum_soc",
        "Maximum SoC",
        "user",
        _B,
        Status.GAP,
        is_personal=True,
        wish="max_soc",
    ),
    DataObject(
        "priority_charging",
        "Priority charging",
        "user",
        _B,
        Status.CARRIED,
        (
            Source("preferences", "profile_type", "FAST|CHEAP|GREEN|REGULAR"),
            Source("token", "default_profile_type", "FAST|CHEAP|GREEN|REGULAR"),
        ),
        is_personal=True,
        wish="priority_charging",
    ),
    DataObject(
        "minimum_green_level",
        "Minimum green level",
        "user",
        _B,
        Status.PARTIAL,
        (
            Source("preferences", "profile_type", "GREEN", _DERIVED),
            Source("location", "energy_mix.energy_sources[].percentage", "percent", _BOUND),
            Source("tariff", "energy_mix.is_green_energy", "boolean", _BOUND),
        ),
        is_personal=True,
        wish="green_level",
    ),
    DataObject(
        "tariff_override",
        "Tariff override",
        "user",
        _B,
        Status.PARTIAL,
        (
            Source("preferences", "profile_type", "enum", _DERIVED),
            Source("session", "charging_periods[].tariff_id"),
        ),
        wish="tariff_override",
    ),
)
