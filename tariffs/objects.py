"""Objects of the Tariffs module (mod_tariffs, Object description and Data types)."""

from enum import StrEnum
from typing import Annotated

import msgspec

from hub.ocpi.datatypes import (
    CountryCode,
    Currency,
    DateTime,
    DisplayText,
    Id36,
    Number,
    PartyIdText,
    Price,
    Url,
)
from locations.objects import EnergyMix, TimeOfDay, check_time_of_day


class DayOfWeek(StrEnum):
    """mod_tariffs: DayOfWeek."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


class ReservationRestrictionType(StrEnum):
    """mod_tariffs: ReservationRestrictionType."""

    RESERVATION = "RESERVATION"
    RESERVATION_EXPIRES = "RESERVATION_EXPIRES"


class TariffDimensionType(StrEnum):
    """mod_tariffs: TariffDimensionType."""

    ENERGY = "ENERGY"
    FLAT = "FLAT"
    PARKING_TIME = "PARKING_TIME"
    TIME = "TIME"


class TariffType(StrEnum):
    """mod_tariffs: TariffType."""

    AD_HOC_PAYMENT = "AD_HOC_PAYMENT"
    PROFILE_CHEAP = "PROFILE_CHEAP"
    PROFILE_FAST = "PROFILE_FAST"
    PROFILE_GREEN = "PROFILE_GREEN"
    REGULAR = "REGULAR"


Date = Annotated[
    str,
    msgspec.Meta(
        min_length=10,
        max_length=10,
        pattern="^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    ),
]
_OF_A_RESERVATION = {TariffDimensionType.FLAT, TariffDimensionType.TIME}


class PriceComponent(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_tariffs: PriceComponent; `price` excludes VAT, `vat` is a percentage."""

    type: TariffDimensionType
    price: Number
    vat: Number | None = None
    step_size: int


class TariffRestrictions(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_tariffs: TariffRestrictions; all of them have to match."""

    start_time: TimeOfDay | None = None
    end_time: TimeOfDay | None = None
    start_date: Date | None = None
    end_date: Date | None = None
    min_kwh: Number | None = None
    max_kwh: Number | None = None
    min_current: Number | None = None
    max_current: Number | None = None
    min_power: Number | None = None
    max_power: Number | None = None
    min_duration: int | None = None
    max_duration: int | None = None
    day_of_week: list[DayOfWeek] | None = None
    reservation: ReservationRestrictionType | None = None

    def __post_init__(self) -> None:
        """The regular expressions of its table."""
        if self.start_time is not None:
            check_time_of_day("start_time", self.start_time)
        if self.end_time is not None:
            check_time_of_day("end_time", self.end_time)


class TariffElement(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_tariffs: TariffElement."""

    price_components: Annotated[list[PriceComponent], msgspec.Meta(min_length=1)]
    restrictions: TariffRestrictions | None = None

    def __post_init__(self) -> None:
        """A reservation "can only have: FLAT and TIME TariffDimensions"."""
        if self.restrictions is None or self.restrictions.reservation is None:
            return
        if any(component.type not in _OF_A_RESERVATION for component in self.price_components):
            raise ValueError("price_components of a reservation can only be FLAT and TIME")


class Tariff(msgspec.Struct, omit_defaults=True, kw_only=True):
    """mod_tariffs: Tariff object."""

    country_code: CountryCode
    party_id: PartyIdText
    id: Id36
    currency: Currency
    type: TariffType | None = None
    tariff_alt_text: list[DisplayText] | None = None
    tariff_alt_url: Url | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    elements: Annotated[list[TariffElement], msgspec.Meta(min_length=1)]
    start_date_time: DateTime | None = None
    end_date_time: DateTime | None = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime
