"""What a platform receives and answers (transport_and_format, Request and Response format)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec

from hub.ocpi import headers
from hub.ocpi.datatypes import check_json, decode, ocpi_now
from hub.ocpi.envelope import SUCCESS
from hub.ocpi.errors import OcpiError
from hub.ocpi.party import PartyId
from party.connection import Connection

T = TypeVar("T")
# types: number is a JSON number; msgspec's default would write a Decimal as a string.
to_json = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Received:
    """One incoming OCPI message; `parts` are the URL segments after the module's endpoint."""

    at: datetime
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    module: str
    interface: str
    parts: tuple[str, ...]
    connection: Connection | None
    # Path and query, to the byte.
    target: str = ""

    def json(self) -> Any:
        """The body as plain values."""
        check_json(self.body)
        return msgspec.json.decode(self.body)

    def read(self, expected: type[T]) -> T:
        """The body as an OCPI object; NotJson or InvalidParameters when it is not one."""
        return decode(self.body, expected)

    def as_json(self) -> dict[str, Any]:
        """For people and other processes; without the credentials token."""
        return {
            "at": moment(self.at),
            "method": self.method,
            "path": self.path,
            "module": self.module,
            "interface": self.interface,
            "query": dict(self.query),
            "headers": {k: v for k, v in self.headers.items() if k.lower() != "authorization"},
            "body": self.body.decode(errors="replace"),
        }

    @property
    def to_party(self) -> PartyId | None:
        """The OCPI-to headers."""
        return _party(self.headers, headers.TO_COUNTRY_CODE, headers.TO_PARTY_ID)

    @property
    def from_party(self) -> PartyId | None:
        """The OCPI-from headers."""
        return _party(self.headers, headers.FROM_COUNTRY_CODE, headers.FROM_PARTY_ID)


class Answered(NamedTuple):
    """The answer to a message of ours; `envelope` is None when it is not a JSON object."""

    http_status: int
    headers: Mapping[str, str]
    envelope: dict[str, Any] | None

    @property
    def status_code(self) -> int | None:
        """The OCPI status code, None without an envelope."""
        code = (self.envelope or {}).get("status_code")
        return code if isinstance(code, int) else None

    @property
    def data(self) -> Any:
        """`data`, also where a counterpart wraps a single object in a list."""
        return (self.envelope or {}).get("data")

    @property
    def is_success(self) -> bool:
        """HTTP 2xx and 1xxx."""
        return self.http_status < 300 and 1000 <= (self.status_code or 0) <= 1999

    @property
    def summary(self) -> str:
        """For people: both codes and the message."""
        said = (self.envelope or {}).get("status_message") or "no reason given"
        return f"HTTP {self.http_status}, OCPI {self.status_code}: {said}"


Later = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Reply:
    """An answer to send; `afterwards` runs when its last byte has left."""

    data: Any = msgspec.UNSET
    status_code: int = SUCCESS
    message: str | None = None
    http_status: int = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)
    afterwards: Later | None = None

    def body(self) -> bytes:
        """The envelope; without data the property is left out."""
        envelope: dict[str, Any] = {"status_code": self.status_code, "timestamp": ocpi_now()}
        if self.data is not msgspec.UNSET:
            envelope["data"] = self.data
        if self.message:
            envelope["status_message"] = self.message
        return to_json(envelope)

    @classmethod
    def of(cls, error: OcpiError) -> "Reply":
        """The refusal that `error` stands for."""
        return cls(
            status_code=error.code,
            message=error.message,
            http_status=error.http_status,
            headers=dict(error.headers),
        )


Handler = Callable[[Received], Awaitable[Reply]]


def moment(at: datetime) -> str:
    """types: DateTime, at most 25 characters, so never microseconds."""
    timespec = "milliseconds" if at.microsecond else "seconds"
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _party(values: Mapping[str, str], country_code: str, party_id: str) -> PartyId | None:
    country, party = values.get(country_code), values.get(party_id)
    if not country or not party:
        return None
    try:
        return PartyId.of(country, party)
    except ValueError:
        return None
