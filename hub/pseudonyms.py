"""CDRs without their driver: pseudonyms where a name stood, every amount as it was (mod_cdrs).

A CDR is a record of a bill, which many laws want kept when a driver's data have to go.
"""

from typing import Any, Final

import msgspec

from cdrs.objects import CDR
from hub import secret_box
from hub.ocpi.party import PartyId

Raw = msgspec.Raw
_PREFIX: Final = "erased-"
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


class _Bearer(msgspec.Struct):
    """CdrToken: whatever else its sender writes into it speaks of the driver too."""

    country_code: str
    party_id: str
    uid: str
    type: str
    contract_id: str


class _Charged(msgspec.Struct):
    cdr_token: _Bearer


def without_driver(document: bytes, emsp: PartyId) -> bytes:
    """The same bill of nobody known; fields that do not speak of the driver keep their bytes.

    Pseudonyms are keyed: the same ones for all bills of a driver, found again by who has the key.
    """
    fields: Fields = dict(msgspec.json.decode(document, type=dict[str, Raw]))
    bearer = _bearer(document)
    names = _names(bearer, emsp)
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
    return msgspec.json.encode(fields)


def answer_without_driver(answer: bytes, document: bytes, emsp: PartyId) -> bytes:
    """An eMSP's answer to the CDR: it may repeat it, or name its driver in words."""
    try:
        fields: Fields = dict(msgspec.json.decode(answer, type=dict[str, Raw]))
    except msgspec.DecodeError:
        return b""
    names = _names(_bearer(document), emsp)
    for name in fields.keys() - {"timestamp", "status_code"}:
        fields[name] = _renamed(fields[name], names)
    return msgspec.json.encode(fields)


def is_of_nobody(document: bytes) -> bool:
    """Whether it is a CDR that a pseudonym stands in."""
    return _PREFIX.encode() in document and _bearer(document).uid.startswith(_PREFIX)


def _bearer(document: bytes) -> _Bearer:
    return msgspec.json.decode(document, type=_Charged).cdr_token


def _names(bearer: _Bearer, emsp: PartyId) -> dict[str, str]:
    """What stands for each name of the driver, which is in upper case here."""
    return {name.upper(): _pseudonym(emsp, name) for name in (bearer.uid, bearer.contract_id)}


def _pseudonym(emsp: PartyId, name: str) -> str:
    """A uid and a contract_id have at most 36 characters."""
    keyed = secret_box.keyed_hash(f"{emsp} {name.upper()}", "pseudonyms")
    return f"{_PREFIX}{keyed[: 36 - len(_PREFIX)]}"


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
