"""What the hub reads of an object that it keeps: the few values it needs, however spelled (types).

A receiver has accepted the object, so an unreadable value costs the hub only that value.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from hub.ocpi import lenient
from hub.ocpi.comparison import plain
from hub.ocpi.party import PartyId

LONGEST: Final = 255  # characters
H = TypeVar("H", bound=msgspec.Struct)
_list_of = msgspec.json.Decoder(list[msgspec.Raw]).decode


def object_of(body: bytes) -> bytes | None:
    """The JSON object that a body is, also in a list of one, as some send it; None when it is none.

    The body is JSON, which the gateway has seen.
    """
    start = body.lstrip()[:1]
    if start == b"[":
        found = _list_of(body)
        body = bytes(found[0]) if len(found) == 1 else b""
        start = body.lstrip()[:1]
    return body if start == b"{" else None


def objects_of(body: bytes) -> list[bytes]:
    """All JSON objects that a body is, or holds as a list; others of the list are left out."""
    start = body.lstrip()[:1]
    found = [bytes(one) for one in _list_of(body)] if start == b"[" else [body]
    return [one for one in found if one.lstrip()[:1] == b"{"]


def reader(head: type[H]) -> Callable[[bytes], H]:
    """A function that reads a JSON object's `head`: a Struct of `Any` fields, each None by default.

    Its numbers are int or Decimal. To be made when a module is imported: Decoders are not built by
    several threads at once.
    """
    decode = msgspec.json.Decoder(head, float_hook=lenient.decimal).decode

    def read(document: bytes) -> H:
        try:
            return decode(document)
        except msgspec.ValidationError:  # An integer of thousands of digits in one of the values.
            values = plain(document)
            return head(**{name: values.get(name) for name in head.__struct_fields__})

    return read


def text(value: Any, longest: int = LONGEST) -> str:
    """A text, or a number where one belongs, as a column takes it; empty for anything else."""
    if type(value) is str:
        return value[:longest].replace("\0", "").strip()
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return ""
    if isinstance(value, int):
        value = Decimal(value)  # str() of a very long int is an error.
    return str(value)[:longest].replace("\0", "").strip()


def word(value: Any) -> str:
    """What a text means where an enum's value belongs: its letters in upper case."""
    return text(value, 40).upper()


def word_of(body: bytes) -> str:
    """The same of a JSON text that is one word; also in a list of one."""
    value = plain(body) if body[:1] in (b"[", b'"') else None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return word(value) if isinstance(value, str) else ""


def party_of(holder: Any) -> PartyId | None:
    """The party that `country_code` and `party_id` of an object name; None when they name none."""
    if not isinstance(holder, dict):
        return None
    try:
        return PartyId.of(text(holder.get("country_code")), text(holder.get("party_id")))
    except ValueError:
        return None
