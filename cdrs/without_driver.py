"""CDRs without their driver: pseudonyms where a name stood, every amount as it was (mod_cdrs).

A CDR is a record of a bill, which many laws want kept when a driver's data have to go.
"""

from typing import Any, Final

import msgspec

from cdrs.objects import CDR
from hub.db import secret_box
from hub.ocpi import heads
from hub.ocpi.datatypes import as_document
from hub.ocpi.party import PartyId

Raw = msgspec.Raw
_PREFIX: Final = "erased-"
Fields = dict[str, Any]
# Signed meter values name the uid inside (OCMF: ID), and no signature outlives its text.
_LEFT_OUT: Final = ("authorization_reference", "remark", "signed_data")
_KNOWN: Final = frozenset(CDR.__struct_fields__)
# What is left out of the CdrLocation of a driver who is paid for charging at home.
_HOME: Final = {
    "address": "erased",
    "city": "erased",
    "coordinates": {"latitude": "0.00000", "longitude": "0.00000"},
}
_HOME_LEFT_OUT: Final = ("name", "postal_code", "state")


# Whatever else its sender writes into a CdrToken speaks of the driver too.
_OF_TOKEN: Final = ("country_code", "party_id", "uid", "type", "contract_id")
_NAMES: Final = ("uid", "contract_id")


class _Charged(msgspec.Struct):
    cdr_token: Any = None


_read = heads.reader(_Charged)


def bearer_of(document: bytes) -> Fields:
    """The CdrToken of a kept document, also one that is spelled oddly; empty for none."""
    value = _read(document).cdr_token
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return value
    return {"uid": value} if heads.text(value) else {}


def without_driver(document: bytes, emsp: PartyId) -> bytes:
    """The same bill without a known driver; fields that do not name the driver keep their bytes.

    Pseudonyms are keyed: all bills of a driver have the same ones, which only the key finds again.
    """
    fields: Fields = dict(msgspec.json.decode(document, type=dict[str, Raw]))
    bearer = bearer_of(document)
    names = _names(bearer, emsp)
    if "cdr_token" in fields:
        known = {name: bearer[name] for name in _OF_TOKEN if name in bearer}
        said = {name: heads.text(bearer.get(name)).upper() for name in _NAMES}
        pseudonyms = {name: names[one] for name, one in said.items() if one}
        others = {name: one for name, one in known.items() if name not in _NAMES}
        fields["cdr_token"] = others | pseudonyms
    for name in _LEFT_OUT:
        fields.pop(name, None)
    for name in fields.keys() - _KNOWN:
        fields[name] = _renamed(fields[name], names)
    if bytes(fields.get("home_charging_compensation", b"")).strip(b' "\t\r\n').lower() == b"true":
        fields["cdr_location"] = _without_home(fields.get("cdr_location", Raw(b"{}")))
    return as_document(fields)


def _without_home(raw: Raw) -> Fields:
    """A CdrLocation whose driver does not live there any more."""
    if bytes(raw).lstrip()[:1] != b"{":
        return dict(_HOME)
    place = msgspec.json.decode(raw, type=dict[str, Raw]) | _HOME
    return {name: place[name] for name in place if name not in _HOME_LEFT_OUT}


def answer_without_driver(answer: bytes, document: bytes, emsp: PartyId) -> bytes:
    """An eMSP's answer to the CDR: it may repeat it, or name its driver in words."""
    try:
        fields: Fields = dict(msgspec.json.decode(answer, type=dict[str, Raw]))
    except msgspec.DecodeError:
        return b""
    names = _names(bearer_of(document), emsp)
    for name in fields.keys() - {"timestamp", "status_code"}:
        fields[name] = _renamed(fields[name], names)
    return msgspec.json.encode(fields)


def is_of_nobody(document: bytes) -> bool:
    """Whether it is a CDR that a pseudonym stands in."""
    if _PREFIX.encode() not in document:
        return False
    bearer = bearer_of(document)
    return any(heads.text(bearer.get(name)).startswith(_PREFIX) for name in _NAMES)


def _names(bearer: Fields, emsp: PartyId) -> dict[str, str]:
    """The pseudonym for each name of the driver, which is in upper case here."""
    said = (heads.text(bearer.get(name)) for name in _NAMES)
    return {name.upper(): _pseudonym(emsp, name) for name in said if name}


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
            return names.get(bytes(raw).strip().decode().upper(), raw)
