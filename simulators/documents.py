"""The objects that a simulated CPO owns (mod_locations, mod_tariffs, mod_sessions, mod_cdrs)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub.ocpi.party import PartyId
from party.messages import moment
from sessions.objects import CdrToken, SessionStatus
from simulators.charging import VOLTS, Evse, Meter, MeterPeriod, Plug
from simulators.clock import SessionClock
from simulators.driving_data import Day

CURRENCY = "EUR"
TARIFF_ID = "day-ahead"


def called(session_id: str) -> str:
    """What the log of a simulation calls a session: the car of a simulated CPO."""
    car, _, rest = session_id.rpartition("-")
    return car if car.startswith("car-") and rest else session_id[:8]


@dataclass
class Site:
    """One Location with EVSEs behind one connection to the grid."""

    id: str = "LOC1"
    name: str = "Stationsplein"
    limit_amps: float = 63.0
    evses: tuple[Evse, ...] = (
        Evse("EVSE1"),
        Evse("EVSE2"),
        Evse("EVSE3"),
        Evse("EVSE4", capabilities=("CHARGING_PROFILE_CAPABLE",)),
    )

    def evse(self, uid: str) -> Evse:
        """The EVSE of that `uid`; LookupError when there is none."""
        for evse in self.evses:
            if evse.uid.upper() == uid.upper():
                return evse
        raise LookupError(f"{self.id} has no EVSE {uid}")


@dataclass
class SimulatedSession:
    """A Session with all that the charge point knows of it."""

    id: str
    owner: PartyId
    site: Site
    plug: Plug
    meter: Meter
    clock: SessionClock
    token: CdrToken
    last_updated: datetime
    status: SessionStatus = SessionStatus.ACTIVE
    leaves_at: datetime | None = None
    ended_at: datetime | None = None
    pushed_periods: int = 0
    pushed_until: datetime | None = None
    is_in_sync: bool = False
    pushing: asyncio.Lock = field(default_factory=asyncio.Lock)
    profile_senders: dict[PartyId | None, Any] = field(default_factory=dict)

    @property
    def emsp(self) -> PartyId:
        """To whom the Session belongs: the eMSP of the token."""
        return PartyId.of(self.token.country_code, self.token.party_id)

    @property
    def is_active(self) -> bool:
        """Whether the car is still plugged in."""
        return self.status == SessionStatus.ACTIVE

    @property
    def path(self) -> str:
        """Its place on a Sessions Receiver interface."""
        return f"{self.owner.country_code}/{self.owner.party_id}/{self.id}"


def location(site: Site, owner: PartyId, updated: datetime, occupied: set[str]) -> dict[str, Any]:
    """mod_locations: Location."""
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "id": site.id,
        "publish": True,
        "name": site.name,
        "address": "Stationsplein 1",
        "city": "Utrecht",
        "postal_code": "3511 ED",
        "country": "NLD",
        "coordinates": {"latitude": "52.089444", "longitude": "5.109722"},
        "evses": [_evse(evse, owner, updated, evse.uid in occupied) for evse in site.evses],
        "time_zone": "Etc/UTC",
        "last_updated": moment(updated),
    }


def _evse(evse: Evse, owner: PartyId, updated: datetime, is_occupied: bool) -> dict[str, Any]:
    return {
        "uid": evse.uid,
        "evse_id": f"{owner.country_code}*{owner.party_id}*E{evse.uid}",
        "status": "CHARGING" if is_occupied else "AVAILABLE",
        "capabilities": [*evse.capabilities, "RFID_READER"],
        "connectors": [
            {
                "id": "1",
                "standard": "IEC_62196_T2",
                "format": "SOCKET",
                "power_type": "AC_3_PHASE" if evse.phases == 3 else "AC_1_PHASE",
                "max_voltage": VOLTS,
                "max_amperage": int(evse.max_amps),
                "max_electric_power": int(evse.max_amps * VOLTS * evse.phases),
                "tariff_ids": [TARIFF_ID],
                "last_updated": moment(updated),
            }
        ],
        "last_updated": moment(updated),
    }


def tariff(owner: PartyId, updated: datetime, day: Day) -> dict[str, Any]:
    """mod_tariffs: Tariff with one element for each hour of the day."""
    return {
        "country_code": owner.country_code,
        "party_id": owner.party_id,
        "id": TARIFF_ID,
        "currency": CURRENCY,
        "elements": [
            {
                "price_components": [
                    {"type": "ENERGY", "price": round(price / 1000, 4), "step_size": 1}
                ],
                "restrictions": {
                    "start_time": f"{hour:02}:00",
                    "end_time": f"{(hour + 1) % 24:02}:00",
                },
            }
            for hour, price in enumerate(day.eur_per_mwh_by_hour())
        ],
        "last_updated": moment(updated),
    }


def session(of: SimulatedSession) -> dict[str, Any]:
    """mod_sessions: Session."""
    document = {
        "country_code": of.owner.country_code,
        "party_id": of.owner.party_id,
        "id": of.id,
        "start_date_time": moment(of.clock.start),
        "kwh": round(of.meter.kwh, 3),
        "cdr_token": of.token,
        "auth_method": "WHITELIST",
        "location_id": of.site.id,
        "evse_uid": of.plug.evse.uid,
        "connector_id": "1",
        "currency": CURRENCY,
        "charging_periods": charging_periods(of.meter.periods, of.plug),
        "total_cost": _price(of.meter.cost),
        "status": of.status,
        "last_updated": moment(of.last_updated),
    }
    if of.ended_at is not None:
        document["end_date_time"] = moment(of.ended_at)
    return document


def session_patch(of: SimulatedSession) -> dict[str, Any]:
    """What changed since the last push; its ChargingPeriods are added to the earlier ones."""
    patch = {
        "kwh": round(of.meter.kwh, 3),
        "charging_periods": charging_periods(of.meter.periods[of.pushed_periods :], of.plug),
        "total_cost": _price(of.meter.cost),
        "status": of.status,
        "last_updated": moment(of.last_updated),
    }
    if of.ended_at is not None:
        patch["end_date_time"] = moment(of.ended_at)
    return patch


def cdr(of: SimulatedSession) -> dict[str, Any]:
    """mod_cdrs: CDR of a session that has ended."""
    ended_at = of.ended_at or of.clock.now()
    connector = location(of.site, of.owner, of.last_updated, set())
    evse = _evse(of.plug.evse, of.owner, of.last_updated, is_occupied=False)
    plugged_in = (ended_at - of.clock.start).total_seconds() / 3600
    return {
        "country_code": of.owner.country_code,
        "party_id": of.owner.party_id,
        "id": of.id,
        "start_date_time": moment(of.clock.start),
        "end_date_time": moment(ended_at),
        "session_id": of.id,
        "cdr_token": of.token,
        "auth_method": "WHITELIST",
        "cdr_location": {
            key: connector[key]
            for key in ("id", "name", "address", "city", "postal_code", "country", "coordinates")
        }
        | {
            "evse_uid": evse["uid"],
            "evse_id": evse["evse_id"],
            "connector_id": "1",
            "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET",
            "connector_power_type": evse["connectors"][0]["power_type"],
        },
        "currency": CURRENCY,
        "tariffs": [tariff(of.owner, of.last_updated, of.meter.day)],
        "charging_periods": [
            {
                "start_date_time": moment(period.begin),
                "dimensions": _used(period),
                "tariff_id": TARIFF_ID,
            }
            for period in of.meter.periods
        ]
        or [
            {
                "start_date_time": moment(of.clock.start),
                "dimensions": [{"type": "ENERGY", "volume": 0}],
            }
        ],
        "total_cost": _price(of.meter.cost),
        "total_energy": round(of.meter.kwh, 4),
        "total_energy_cost": _price(of.meter.cost),
        "total_time": round(plugged_in, 4),
        "last_updated": moment(of.last_updated),
    }


def _used(period: MeterPeriod) -> list[dict[str, Any]]:
    """A pause of a car that wants more has neither TIME nor PARKING_TIME."""
    used = [{"type": "ENERGY", "volume": round(period.kwh, 4)}]
    if period.watts or period.is_full:
        kind = "TIME" if period.watts else "PARKING_TIME"
        used.append({"type": kind, "volume": round(period.hours, 4)})
    return used


def charging_periods(periods: Sequence[MeterPeriod], plug: Plug) -> list[dict[str, Any]]:
    """mod_cdrs: ChargingPeriods of a Session, with power and current."""
    return [
        {
            "start_date_time": moment(period.begin),
            "dimensions": [
                {"type": "ENERGY", "volume": round(period.kwh, 4)},
                {"type": "POWER", "volume": round(period.watts / 1000, 3)},
                {"type": "CURRENT", "volume": round(period.watts / plug.watts_per_amp, 1)},
            ],
            "tariff_id": TARIFF_ID,
        }
        for period in periods
    ]


def _price(amount: float) -> dict[str, float]:
    return {"excl_vat": round(amount, 4)}
