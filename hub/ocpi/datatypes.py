"""Types and enums that several chapters share (types, version_information_endpoint)."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec

from hub.ocpi.errors import InvalidParameters, NotJson

_PRINTABLE_ASCII = r"^[\x20-\x7E]*$"
CiString2 = Annotated[str, msgspec.Meta(min_length=2, max_length=2, pattern=_PRINTABLE_ASCII)]
CiString3 = Annotated[str, msgspec.Meta(min_length=1, max_length=3, pattern=_PRINTABLE_ASCII)]
CiString36 = Annotated[str, msgspec.Meta(min_length=1, max_length=36, pattern=_PRINTABLE_ASCII)]
String64 = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
String100 = Annotated[str, msgspec.Meta(max_length=100)]
String255 = Annotated[str, msgspec.Meta(max_length=255)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
CountryCode = CiString2
PartyIdText = CiString3


class Role(StrEnum):
    """types: Role."""

    CPO = "CPO"
    EMSP = "EMSP"
    HUB = "HUB"
    NAP = "NAP"
    NSP = "NSP"
    OTHER = "OTHER"
    SCSP = "SCSP"


class InterfaceRole(StrEnum):
    """version_information_endpoint: InterfaceRole."""

    SENDER = "SENDER"
    RECEIVER = "RECEIVER"


class ConnectionStatus(StrEnum):
    """mod_hub_client_info: ConnectionStatus."""

    CONNECTED = "CONNECTED"
    OFFLINE = "OFFLINE"
    PLANNED = "PLANNED"
    SUSPENDED = "SUSPENDED"


T = TypeVar("T")


def utc(moment: datetime) -> datetime:
    """OCPI's DateTime: without a designator it is UTC too (types: DateTime)."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidParameters(f"{moment.isoformat()} is no time that UTC has.") from error


def ocpi_now() -> str:
    """The time now in the form of types: DateTime, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decode(body: bytes, expected: type[T]) -> T:
    """Read JSON into `expected`: NotJson (HTTP 400), or InvalidParameters naming the field."""
    check_json(body)
    try:
        return msgspec.json.decode(body, type=expected)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidParameters(str(error)) from error


def check_json(body: bytes) -> None:
    """Raise NotJson unless `body` is one JSON text in UTF-8 that is not absurdly nested.

    Runs at C speed on every message; msgspec gives up at about a thousand levels, before anything
    of ours or of a receiver recurses into it.
    """
    if not body:
        raise NotJson("The body is empty; this method needs a JSON body.")
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        body.decode("utf-8")
    except RecursionError as error:
        raise NotJson("The JSON is nested too deep.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The body is not valid JSON: {error}") from error


def as_document(value: Any) -> bytes:
    """JSON bytes of a Struct or plain values."""
    return msgspec.json.encode(value)
