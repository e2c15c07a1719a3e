"""OcpiRequest: one request of a platform, as it came (transport_and_format, Request format).

The gateway makes it of an ASGI scope; decisions, views and the modules read it. Nobody changes it:
each step of reading, and routing, returns a new one that says more.
"""

import time
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self
from urllib.parse import unquote

from django.conf import settings
from django.http import QueryDict
from msgspec import Struct
from msgspec.structs import replace

from hub.deviations import noting
from hub.fairness import callers
from hub.ocpi import headers, odd_urls, own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import (
    HubError,
    InvalidParameters,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
)
from hub.ocpi.extensions import Apart
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import Match, NoSuchUrl, WrongMethod, match
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from hub.routing.directory import Directory, KnownToken, PartyEntry, PlatformEntry

Scope = dict[str, Any]

_INTERFACES: Final = {"sender": InterfaceRole.SENDER, "receiver": InterfaceRole.RECEIVER}
_SPOKEN: Final = (f"{own_paths.DETAILS}/", own_paths.VERSIONS)
_OF_TOKEN_A: Final = {own_paths.VERSIONS, own_paths.DETAILS, own_paths.CREDENTIALS.path()}
MAX_MESSAGE_ID: Final = 255  # characters


@cache
def _raw(name: str) -> bytes:
    """A header's name as ASGI gives it."""
    return name.lower().encode()


class Address(NamedTuple):
    """The routing headers as sent."""

    country_code: str
    party_id: str

    def party(self, header: str) -> PartyId:
        """The party that they name; InvalidParameters (2001) for what cannot be one."""
        try:
            return PartyId.of(self.country_code, self.party_id)
        except ValueError as error:
            raise InvalidParameters(f"{header}: {error}.") from error


class OcpiRequest(Struct, frozen=True, eq=False):
    """One request of a platform.

    `path` is decoded, and spelled as it is meant; `query` and `rest`, which follows the endpoint's
    URL, are percent-encoded as they came. `headers` are by name in small letters, each with the
    value that came last. `match` is None for what is not routed.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[bytes, bytes] = {}
    request_id: str = ""
    correlation_id: str = ""
    # When it came (time.monotonic()).
    began: float = 0.0
    scope: Scope = {}
    # Known once it has been authenticated, read and routed:
    token: KnownToken | None = None
    match: Match | None = None
    rest: str = ""
    body: bytes = b""
    # Of a body that came with extension fields, which `body` has no more.
    beside: Apart | None = None
    # In whose name it goes, and to whom; None for the hub, and for what is not routed.
    sent_by: PartyId | None = None
    sent_to: PartyId | None = None

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """The head of an HTTP request, as it came."""
        found = dict(scope["headers"])
        return cls(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            found,
            found.get(b"x-request-id", b"").decode("latin-1") or headers.new_id(),
            found.get(b"x-correlation-id", b"").decode("latin-1") or headers.new_id(),
            time.monotonic(),
            scope,
        )

    # --- What it says ---------------------------------------------------------------------------

    @property
    def platform(self) -> PlatformEntry:
        """The platform whose token it came with."""
        if self.token is None:
            raise NotAuthenticated("The request has not been authenticated.")
        return self.token.platform

    @property
    def place(self) -> Match:
        """The route of a request to a Functional Module."""
        if self.match is None:
            raise HubError("This URL is not routed.")
        return self.match

    @property
    def sender(self) -> PartyId:
        """The party in whose name a request to a Functional Module goes."""
        if self.sent_by is None:
            raise HubError("This URL is not routed.")
        return self.sent_by

    @property
    def receiver(self) -> PartyId:
        """The party to which a forwarded request goes."""
        if self.sent_to is None:
            raise HubError("This request is not forwarded.")
        return self.sent_to

    @property
    def from_address(self) -> Address | None:
        """OCPI-from; None when it is absent."""
        return self._address(b"ocpi-from-country-code", b"ocpi-from-party-id")

    @property
    def to_address(self) -> Address | None:
        """OCPI-to; None when it is absent."""
        return self._address(b"ocpi-to-country-code", b"ocpi-to-party-id")

    @property
    def query_params(self) -> dict[str, str]:
        """The parameters of its query, each with the value that came last."""
        if not self.query:
            return {}
        found = QueryDict(self.query.encode("latin-1"))
        return {name: str(value) for name, value in found.items()}

    @property
    def caller(self) -> str:
        """The network address that it came from."""
        return callers.address_of(self.scope)

    def text(self, name: str) -> str:
        """A header's value, "" when absent."""
        return self.headers.get(_raw(name), b"").decode("latin-1").strip()

    def routing_headers(self, sender: PartyId, receiver: PartyEntry) -> dict[str, str]:
        """FROM and TO of the forwarded request, in the sender's spelling where it named them."""
        sent_from, sent_to = self.from_address, self.to_address
        if sent_to is None or (sent_to[0].upper(), sent_to[1].upper()) != receiver.identity:
            sent_to = Address(receiver.country_code, receiver.party_id)
        if sent_from is None or (sent_from[0].upper(), sent_from[1].upper()) != sender:
            sent_from = Address(*sender)
        return headers.routing(sent_from, sent_to)

    def _address(self, country_code: bytes, party_id: bytes) -> Address | None:
        found = self.headers
        if country_code not in found and party_id not in found:
            return None
        return _read_address(found.get(country_code, b""), found.get(party_id, b""))

    # --- Step by step ---------------------------------------------------------------------------

    def authenticated(self, token: KnownToken) -> "OcpiRequest":
        """The request with its token."""
        return replace(self, token=token)

    def usual_path(self, directory: Directory) -> list[str] | None:
        """The parts of a routed URL that is spelled as it should be (hub/ocpi/odd_urls.py)."""
        raw: bytes = self.scope["raw_path"]
        return odd_urls.usual(raw.decode("latin-1"), directory.has_module)

    def mended(self, directory: Directory) -> "OcpiRequest":
        """The request with its path put right and noted, where that can mean one thing only."""
        sent = self.scope["raw_path"].decode("latin-1").partition("?")[0]
        raw, rule = odd_urls.mended(sent, directory.has_module)
        if not rule:
            return self
        deviation = Deviation(rule, "URL", odd_urls.example(sent, raw))
        noting.note(self.platform.id, [deviation])
        path = unquote(raw)
        scope = self.scope | {"raw_path": raw.encode("latin-1"), "path": path}
        return replace(self, path=path, scope=scope)

    def placed(self, parts: list[str] | None) -> "OcpiRequest":
        """The request with its route, if it has one; `parts` are those of `usual_path`.

        NotFound (404) for a URL that a module of OCPI does not have, MethodNotAllowed (405).
        """
        if "\0" in self.path:
            raise NotFound("No id contains NUL, and no database takes one.")
        if parts is None:
            raw = self.scope["raw_path"].decode("latin-1").partition("?")[0]
            parts = raw.split("/", 5)  # "", ocpi, the version, sender, module, rest
            if len(parts) < 5 or parts[2] != VERSION or parts[3] not in _INTERFACES or not parts[4]:
                return self
        rest = parts[5] if len(parts) == 6 else ""
        return replace(self, match=_match(self.method, parts, rest), rest=rest)

    def with_body(self, body: bytes) -> "OcpiRequest":
        """The request with its body."""
        return replace(self, body=body)

    def between(self, sender: PartyId | None, receiver: PartyId | None) -> "OcpiRequest":
        """The request as it is routed: in whose name it goes, and to whom."""
        return replace(self, sent_by=sender, sent_to=receiver)

    # --- What is refused by its head ------------------------------------------------------------

    def repeated_headers(self) -> dict[bytes, list[bytes]]:
        """The headers that came more than once, with all their values."""
        if len(self.headers) == len(self.scope["headers"]):
            return {}
        found: dict[bytes, list[bytes]] = {}
        for name, value in self.scope["headers"]:
            found.setdefault(name, []).append(value)
        return {name: values for name, values in found.items() if len(values) > 1}

    def check_authorization_once(self) -> None:
        """Refuse two Authorization headers: readers would differ about who sends."""
        if b"authorization" in self.repeated_headers():
            raise InvalidParameters(
                "The Authorization header came more than once.", http_status=HTTPStatus.BAD_REQUEST
            )

    def check_headers(self) -> None:
        """Refuse ids that nobody would keep whole, and ids and routing headers that contradict."""
        _check_id(headers.REQUEST_ID, self.request_id)
        _check_id(headers.CORRELATION_ID, self.correlation_id)
        if not (repeated := self.repeated_headers()):
            return
        for name in (*headers.ROUTING, headers.REQUEST_ID, headers.CORRELATION_ID):
            values = {value.strip().lower() for value in repeated.get(_raw(name), ())}
            if len(values) > 1:
                raise InvalidParameters(f"{name} came more than once, with different values.")

    def check_version(self) -> None:
        """Refuse (404) URLs of versions that the hub does not speak, whatever the token opens."""
        if self.path.startswith(_SPOKEN):
            return
        for name in self.path.split("/")[2:4]:
            if "." in name and name.replace(".", "").isdecimal() and name != VERSION:
                raise NotFound(
                    f"This hub speaks OCPI {VERSION}, not {name[:20]}: the URLs of its version "
                    f"details are at {settings.BASE_URL}{own_paths.VERSIONS}."
                )

    def check_token_a(self) -> None:
        """Refuse (401) to who is not registered yet everything except versions and credentials."""
        is_token_a = self.token is not None and self.token.is_token_a
        if not is_token_a or self.path.rstrip("/") in _OF_TOKEN_A:
            return
        raise NotAuthenticated(
            "This is CREDENTIALS_TOKEN_A, which opens versions and credentials alone. "
            "POST your credentials to get the token for everything else."
        )


def _match(method: str, parts: list[str], rest: str) -> Match:
    try:
        return match(parts[4].lower(), _INTERFACES[parts[3]], rest, method)
    except NoSuchUrl as error:
        raise NotFound(
            f"{'/'.join(parts)}: {error}; see the version details for what exists."
        ) from error
    except WrongMethod as error:
        raise MethodNotAllowed(
            f"{method} is not defined for {'/'.join(parts)}; allowed: {error}.",
            headers={"Allow": str(error)},
        ) from error


def _check_id(name: str, value: str) -> None:
    if len(value) > MAX_MESSAGE_ID:
        raise InvalidParameters(f"{name} has more than {MAX_MESSAGE_ID} characters.")
    if not value.isascii():
        raise InvalidParameters(f"{name} has characters beyond ASCII.")


@lru_cache(maxsize=4096)
def _read_address(code: bytes, party: bytes) -> Address | None:
    address = Address(code.decode("latin-1").strip(), party.decode("latin-1").strip())
    return address if address.country_code or address.party_id else None
