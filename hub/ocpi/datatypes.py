"""Types and enums that several chapters share (types, version_information_endpoint)."""

import threading
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast

import msgspec

from hub.ocpi import lenient, spelling
from hub.ocpi.errors import InvalidParameters, NotJson
from hub.ocpi.not_json import mistake
from hub.ocpi.spelling import Spelling

# transport_and_format, No data available: a required string may have this value.
NOT_AVAILABLE = "#NA"


def _cistring(longest: int, shortest: int | None = None) -> msgspec.Meta:
    """types: CiString. Its characters are checked by hub.ocpi.spelling."""
    return msgspec.Meta(
        min_length=shortest,
        max_length=longest,
        extra={spelling.KEY: Spelling.CISTRING},
        extra_json_schema={"pattern": r"^[\x20-\x7E]*$"},
    )


CiString4 = Annotated[str, _cistring(4)]
CiString32 = Annotated[str, _cistring(32)]
CiString36 = Annotated[str, _cistring(36)]
CiString39 = Annotated[str, _cistring(39)]
CiString48 = Annotated[str, _cistring(48)]
# The id of an object: an empty one would name nothing, and could not stand in a URL.
Id36 = Annotated[str, _cistring(36, 1)]
Id39 = Annotated[str, _cistring(39, 1)]
String4 = Annotated[str, msgspec.Meta(max_length=4)]
String10 = Annotated[str, msgspec.Meta(max_length=10)]
String16 = Annotated[str, msgspec.Meta(max_length=16)]
String20 = Annotated[str, msgspec.Meta(max_length=20)]
String45 = Annotated[str, msgspec.Meta(max_length=45)]
String64 = Annotated[str, msgspec.Meta(max_length=64)]
String100 = Annotated[str, msgspec.Meta(max_length=100)]
String255 = Annotated[str, msgspec.Meta(max_length=255)]
String512 = Annotated[str, msgspec.Meta(max_length=512)]
String5000 = Annotated[str, msgspec.Meta(max_length=5000)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
# The characters of PartyId.of, so that whatever was read can be looked up.
CountryCode = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{2}$", min_length=2, max_length=2)]
PartyIdText = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9*]{1,3}$", min_length=1, max_length=3)
]
# ISO 3166-1 alpha-3, ISO 4217 and ISO 639-1.
Country = Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
Currency = Annotated[str, msgspec.Meta(min_length=3, max_length=3)]
Language = Annotated[str, msgspec.Meta(min_length=2, max_length=2)]
# Read as UTC by utc(). An offset, "+00:00" too, is refused by hub.ocpi.spelling.
DateTime = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class _IsDecimal(type):
    """Makes a type whose instances are Decimals; as an ABC it would take msgspec twice as long."""

    def __instancecheck__(cls, value: Any) -> bool:
        return type(value) is Decimal


class _JsonNumber(metaclass=_IsDecimal):
    """A Decimal that was a JSON number; msgspec alone reads the texts "1" and "NaN" as well."""


if TYPE_CHECKING:
    Number = Decimal
else:
    Number = Annotated[_JsonNumber, msgspec.Meta(extra_json_schema={"type": "number"})]


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


class TokenType(StrEnum):
    """mod_tokens: TokenType; here because tokens, locations and CDRs name it."""

    AD_HOC_USER = "AD_HOC_USER"
    APP_USER = "APP_USER"
    OTHER = "OTHER"
    RFID = "RFID"


class ProfileType(StrEnum):
    """mod_sessions: ProfileType; here because a Token names one, and a Session a Token."""

    CHEAP = "CHEAP"
    FAST = "FAST"
    GREEN = "GREEN"
    REGULAR = "REGULAR"


class ImageCategory(StrEnum):
    """mod_locations: ImageCategory."""

    CHARGER = "CHARGER"
    ENTRANCE = "ENTRANCE"
    LOCATION = "LOCATION"
    NETWORK = "NETWORK"
    OPERATOR = "OPERATOR"
    OTHER = "OTHER"
    OWNER = "OWNER"


class Image(msgspec.Struct, omit_defaults=True):
    """mod_locations: Image; here because credentials have a logo."""

    url: Url
    category: ImageCategory
    type: CiString4
    thumbnail: Url | None = None
    width: Annotated[int, msgspec.Meta(ge=0, le=99_999)] | None = None
    height: Annotated[int, msgspec.Meta(ge=0, le=99_999)] | None = None


class BusinessDetails(msgspec.Struct, omit_defaults=True):
    """mod_locations: BusinessDetails."""

    name: String100
    website: Url | None = None
    logo: Image | None = None


class DisplayText(msgspec.Struct):
    """types: DisplayText."""

    language: Language
    text: String512


class Price(msgspec.Struct, omit_defaults=True):
    """types: Price."""

    excl_vat: Number
    incl_vat: Number | None = None


T = TypeVar("T")


def utc(moment: datetime) -> datetime:
    """OCPI's DateTime: without a designator it is UTC too (types: DateTime)."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidParameters(f"{moment.isoformat()} is not a time that UTC has.") from error


def ocpi_now() -> str:
    """The time now in the form of types: DateTime, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decode(body: bytes, expected: type[T]) -> T:
    """Read JSON into `expected`: NotJson (HTTP 400), or InvalidParameters naming the field."""
    try:
        value: T = _decoder(cast(Any, expected)).decode(body)
        body.decode("utf-8")
        spelling.check_spelling(body, value, expected)
    except (msgspec.DecodeError, UnicodeDecodeError, spelling.Misspelled, RecursionError) as error:
        check_json(
            body
        )  # If it is broken anywhere, also behind the field at fault, it is not JSON.
        raise InvalidParameters(str(error)) from error
    return value


# Two threads that need a Struct's fields for the first time at once crash msgspec 0.22.
building: Final = threading.Lock()


def is_json_number(kind: Any) -> bool:
    """Whether a Struct's field of this type is types: number."""
    return kind is _JsonNumber


@cache
def _decoder(expected: Any) -> msgspec.json.Decoder[Any]:
    """A Decoder; what is not an object of ours, such as a plain dict, keeps its floats."""
    is_ours = isinstance(expected, type) and issubclass(expected, msgspec.Struct)
    with building:
        return msgspec.json.Decoder(
            expected, dec_hook=_number, float_hook=lenient.decimal if is_ours else None
        )


def _number(expected: type, value: Any) -> Any:
    """types: number, without float damage; beyond a thousand digits it is not an amount."""
    if expected is not _JsonNumber:
        return value
    number = Decimal(value) if type(value) is int else value
    if type(number) is not Decimal:
        raise ValueError(f"Expected `number`, got `{_JSON_NAMES[type(value)]}`")
    if not -1000 < number.adjusted() < 1000:
        raise ValueError("Number out of range")
    return number


_JSON_NAMES = {
    str: "str",
    bool: "bool",
    type(None): "null",
    list: "array",
    dict: "object",
}


_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


def check_json(body: bytes) -> None:
    """Raise NotJson unless `body` is one JSON text in UTF-8 that is not absurdly nested.

    Runs at C speed on every message; msgspec gives up at about a thousand levels, before anything
    of ours or of a receiver recurses into it.
    """
    if not body:
        raise NotJson("The body is empty; this method needs a JSON body.")
    try:
        _decode_raw(body)
        if not body.isascii():
            body.decode("utf-8")
    except RecursionError as error:
        raise NotJson("The JSON is nested too deep.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The body is not valid JSON: {mistake(body) or error}") from error


def as_document(value: Any) -> bytes:
    """JSON bytes of a Struct or plain values; a Decimal is a JSON number (types: number)."""
    return _encoder.encode(value)


_encoder = msgspec.json.Encoder(decimal_format="number")
