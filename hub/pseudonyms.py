"""CDRs without their driver: pseudonyms where a name stood, every amount as it was (mod_cdrs).

A CDR is a record of a bill, which many laws want kept when a driver's data have to go.
"""

from typing import Any, Final, NamedTuple

import msgspec

from cdrs.objects import CDR
from hub import secret_box
from hub.ocpi.party import PartyId

Raw = msgspec.Raw
Fields = dict[str, Any]
# Signed meter values name the uid inside (OCMF: ID), and no signature outlives its text.
_LEFT_OUT: Final = ("authorization_reference", "remark", "signed_data")
_KNOWN: Final = frozenset(CDR.__struct_fields__)
# Of the CdrLocation of a driver who is paid for charging at home.
_HOME: Final = {
    "address": "erased",
    "city": "erased",
    "coordinates": {"latitude": "0.00000", "longitude": "0.00000"},
}
_HOME_LEFT_OUT: Final = ("name", "postal_code", "state")


class Bill(NamedTuple):
    """A CDR and its eMSP's answer to it."""

    document: bytes
    answer: bytes


class _Bearer(msgspec.Struct):
    """CdrToken: whatever else its sender writes into it speaks of the driver too."""

    country_code: str
    party_id: str
    uid: str
    type: str
    contract_id: str


def without_driver(bill: Bill, emsp: PartyId) -> Bill:
    """The same bill of nobody known; fields that do not speak of the driver keep their bytes.

    Pseudonyms are keyed: the same ones for all bills of a driver, found again by who has the key.
    """
    fields: Fields = dict(msgspec.json.decode(bill.document, type=dict[str, Raw]))
    bearer = msgspec.json.decode(fields["cdr_token"], type=_Bearer)
    names = {name.upper(): pseudonym(emsp, name) for name in (bearer.uid, bearer.contract_id)}
    bearer.uid, bearer.contract_id = names[bearer.uid.upper()], names[bearer.contract_id.upper()]
    fields["cdr_token"] = bearer
    for name in _LEFT_OUT:
        fields.pop(name, None)
    for name in fields.keys() - _KNOWN:
        fields[name] = _renamed(fields[name], names)
    if bytes(fields.get("home_charging_compensation", b"")).strip() == b"true":
        place = msgspec.json.decode(fields["cdr_location"], type=dict[str, Raw]) | _HOME
        kept = place.keys() - set(_HOME_LEFT_OUT)
        fields["cdr_location"] = {name: place[name] for name in place if name in kept}
    return Bill(msgspec.json.encode(fields), _answer(bill.answer, names))


def pseudonym(emsp: PartyId, name: str) -> str:
    """What stands for a uid or contract_id; both have at most 36 characters."""
    return f"erased-{secret_box.keyed_hash(f'{emsp} {name.upper()}', 'pseudonyms')[:29]}"


def _answer(answer: bytes, names: dict[str, str]) -> bytes:
    """It may repeat the CDR, or name its driver in words."""
    try:
        fields: Fields = dict(msgspec.json.decode(answer, type=dict[str, Raw]))
    except msgspec.DecodeError:
        return b""
    for name in fields.keys() - {"timestamp", "status_code"}:
        fields[name] = _renamed(fields[name], names)
    return msgspec.json.encode(fields)


def _renamed(raw: Raw, names: dict[str, str]) -> Any:
    """The value with pseudonyms for the texts that hold a name; numbers keep their spelling."""
    match bytes(raw).strip()[:1]:
        case b"{":
            members = msgspec.json.decode(raw, type=dict[str, Raw])
            return {name: _renamed(value, names) for name, value in members.items()}
        case b"[":
            return [_renamed(value, names) for value in msgspec.json.decode(raw, type=list[Raw])]
        case b'"':
            text = msgspec.json.decode(raw, type=str)
            return next((new for name, new in names.items() if name in text.upper()), raw)
        case _:
            return raw
