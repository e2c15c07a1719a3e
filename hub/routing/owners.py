"""Whose object is a message about? (transport_and_format, Client Owned Object Push). Pure.

A receiver finds an object by the owner in the URL, or in the body: both are read as any of them may
read it, so that nobody slips another one's object past the hub.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import InvalidParameters, NotJson
from hub.ocpi.modules import POSTED, Match
from hub.ocpi.party import PartyId

_NAMES: Final = PartyId._fields
_KNOWN: Final = frozenset(_NAMES)
_LENGTHS: Final = frozenset(map(len, _NAMES))
# ASCII letters, digits or signs that somebody writes as escapes, in a name too.
_HIDDEN: Final = re.compile(rb"\\u00[2-7]").search
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value: Final = msgspec.json.Decoder().decode
# Numbers stay texts: they are not looked at, and may be of any length.
_pairs: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str).decode


def owner_of(
    place: Match, method: str, body: bytes, sender: PartyId, own: Sequence[PartyId]
) -> PartyId | None:
    """Whose object it is, by its URL or, of a CDR, by its body; None where nobody owns any.

    `own` are the parties of the sending platform. A CDR may name nobody.
    InvalidParameters (2001) where the body names another than the URL, or more than one.
    """
    if place.role != InterfaceRole.RECEIVER:
        return None
    if "country_code" in place.ids:
        owner = in_url(place)
        # EVSEs and Connectors, which are named by one more id, have no such fields.
        if len(place.ids) == 3 and method in {"PUT", "PATCH"}:
            _check_body(body, owner)
        return owner
    return _of_cdr(body, sender, own) if place.module in POSTED else None


def in_url(place: Match) -> PartyId:
    """The owner that the URL names; "*" may well be percent-encoded in it."""
    try:
        return PartyId.of(unquote(place.ids["country_code"]), unquote(place.ids["party_id"]))
    except ValueError as error:
        raise InvalidParameters(f"The URL: {error}.") from error


def _check_body(body: bytes, owner: PartyId) -> None:
    for name, value in _named(body):
        expected = getattr(owner, name)
        if value.upper() != expected:
            raise InvalidParameters(f"{name} is {value!r} in the body, {expected!r} in the URL.")


def _of_cdr(body: bytes, sender: PartyId, own: Sequence[PartyId]) -> PartyId | None:
    told: dict[str, str] = {}
    for name, value in _named(body):
        if told.setdefault(name, value.upper()) != value.upper():
            raise InvalidParameters(
                f"{name} stands in the body more than once, with different values: POST one CDR in "
                "a message, with one owner."
            )
    if not told:
        return None
    fitting = [party for party in own if told.items() <= party._asdict().items()]
    if fitting:
        return sender if sender in fitting else fitting[0]
    try:
        return PartyId.of(*(told.get(name, getattr(sender, name)) for name in _NAMES))
    except ValueError:
        return None  # Nobody has such ids; its receiver may refuse it.


def _named(body: bytes) -> Iterator[tuple[str, str]]:
    """Each country_code and party_id at the top of the body, in any case, as often as it stands.

    What is not an object names nobody; a list is read as its objects.
    """
    try:
        found = _top_level(body)
    except RecursionError as error:
        raise NotJson("The JSON is nested too deep.") from error
    for name, value in found:
        # A party_id may be digits only; a value that cannot be an id, such as "#NA", names nobody.
        text = f"{value}".strip() if isinstance(value, (str, int)) else ""
        if len(text) <= 3 and text.replace("*", "x").isalnum():
            yield name, text


def _top_level(body: bytes) -> list[tuple[str, Any]]:
    try:
        fields = _fields(body)
    except msgspec.DecodeError:
        return _all_pairs(body) if body.lstrip()[:1] == b"[" else []
    found = [name for name in fields if len(name) in _LENGTHS and name.lower() in _NAMES]
    if _HIDDEN(body) or (found and _may_stand_twice(found, body, fields)):
        return _all_pairs(body)
    return [(name, _read(fields[name])) for name in found]


def _read(raw: msgspec.Raw) -> Any:
    try:
        return _value(raw)
    except msgspec.ValidationError:
        return None  # A number that is out of any range: nobody has such an id.


def _may_stand_twice(names: list[str], body: bytes, fields: dict[str, msgspec.Raw]) -> bool:
    """Whether there may be more of a name at the top than the one in `fields`, which is the last.

    Those further down, as in a Session's cdr_token, are counted there.
    """
    if not _KNOWN.issuperset(names):  # Some receivers read names without case.
        return True
    counts = {name: body.count(b'"%s"' % name.encode()) for name in names}
    if max(counts.values()) < 2:
        return False
    below = b"\0".join(fields.values())
    return any(
        count > 1 and count > 1 + below.count(b'"%s"' % name.encode())
        for name, count in counts.items()
    )


def _all_pairs(body: bytes) -> list[tuple[str, Any]]:
    """Each name as often as it occurs, in lower case, which msgspec does not tell."""
    found = _pairs(body.decode())
    objects = (
        [found] if isinstance(found, tuple) else [one for one in found if isinstance(one, tuple)]
    )
    return [
        (name.lower(), value)
        for pairs in objects
        for name, value in pairs
        if name.lower() in _NAMES
    ]
