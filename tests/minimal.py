"""Minimal valid objects of the parties of a test, as plain values."""

import json
from typing import Any

from hub.ocpi.party import PartyId

MOMENT = "2026-01-01T00:00:00Z"


def as_json(value: Any) -> bytes:
    """The body of a request."""
    return json.dumps(value).encode()


def token(emsp: PartyId, uid: str, **more: Any) -> dict[str, Any]:
    """A Token of an eMSP."""
    return {
        "country_code": emsp.country_code,
        "party_id": emsp.party_id,
        "uid": uid,
        "type": "RFID",
        "contract_id": "DE8ACC12E46L89",
        "issuer": "TheNewMotion",
        "valid": True,
        "whitelist": "ALWAYS",
        "last_updated": MOMENT,
    } | more


def cdr_token(emsp: PartyId) -> dict[str, Any]:
    """Whose driver was charged for."""
    return {
        "country_code": emsp.country_code,
        "party_id": emsp.party_id,
        "uid": "012345678",
        "type": "RFID",
        "contract_id": "DE8ACC12E46L89",
    }


def cdr(cpo: PartyId, emsp: PartyId, cdr_id: str, **more: Any) -> dict[str, Any]:
    """A CDR of a CPO for a driver of an eMSP."""
    return {
        "country_code": cpo.country_code,
        "party_id": cpo.party_id,
        "id": cdr_id,
        "start_date_time": "2026-01-01T10:00:00Z",
        "end_date_time": "2026-01-01T12:00:00Z",
        "cdr_token": cdr_token(emsp),
        "auth_method": "WHITELIST",
        "cdr_location": {
            "id": "LOC1",
            "address": "F.Rooseveltlaan 3A",
            "city": "Gent",
            "country": "BEL",
            "coordinates": {"latitude": "51.047599", "longitude": "3.729944"},
            "evse_uid": "3256",
            "evse_id": "BE*BEC*E041503003",
            "connector_id": "1",
            "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET",
            "connector_power_type": "AC_1_PHASE",
        },
        "currency": "EUR",
        "charging_periods": [
            {
                "start_date_time": "2026-01-01T10:00:00Z",
                "dimensions": [{"type": "TIME", "volume": 2.0}],
            }
        ],
        "total_cost": {"excl_vat": 4.00},
        "total_energy": 15.342,
        "total_time": 2.0,
        "last_updated": MOMENT,
    } | more


def session(cpo: PartyId, emsp: PartyId, session_id: str, **more: Any) -> dict[str, Any]:
    """A Session of a CPO with a driver of an eMSP."""
    return {
        "country_code": cpo.country_code,
        "party_id": cpo.party_id,
        "id": session_id,
        "start_date_time": "2026-01-01T10:00:00Z",
        "kwh": 0.0,
        "cdr_token": cdr_token(emsp),
        "auth_method": "WHITELIST",
        "location_id": "LOC1",
        "evse_uid": "3256",
        "connector_id": "1",
        "currency": "EUR",
        "status": "ACTIVE",
        "last_updated": MOMENT,
    } | more


def location(cpo: PartyId, location_id: str, **more: Any) -> dict[str, Any]:
    """A Location without EVSEs."""
    return {
        "country_code": cpo.country_code,
        "party_id": cpo.party_id,
        "id": location_id,
        "publish": True,
        "address": "F.Rooseveltlaan 3A",
        "city": "Gent",
        "country": "BEL",
        "coordinates": {"latitude": "51.047599", "longitude": "3.729944"},
        "time_zone": "Europe/Brussels",
        "last_updated": MOMENT,
    } | more


def owned(party: PartyId, object_id: str) -> str:
    """`{country_code}/{party_id}/{id}`."""
    return f"{party.country_code}/{party.party_id}/{object_id}"
