"""One request while it is on its way through the gateway: reading it, and what it says."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from http import HTTPStatus
from itertools import takewhile
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from django.conf import settings

from hub.db.leases import Lease
from hub.deviations import noting
from hub.fairness import callers
from hub.fairness.memory import SMALL, BytesTaken, UnderWay
from hub.ocpi import headers, masking, odd_urls, own_paths
from hub.ocpi.datatypes import InterfaceRole
from hub.ocpi.errors import (
    HubError,
    InvalidParameters,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    OcpiError,
    TooLarge,
)
from hub.ocpi.lenient import Deviation
from hub.ocpi.modules import (
    CONFIGURATION_MODULES,
    ROUTES,
    Match,
    NoSuchUrl,
    WrongMethod,
    match,
)
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION
from hub.outbound import loops
from hub.record.note import Kind
from hub.routing import decisions
from hub.routing.directory import Directory, Presented

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_INTERFACES: Final = {"sender": InterfaceRole.SENDER, "receiver": InterfaceRole.RECEIVER}
# What may be said in the log of a URL that leads nowhere.
_WORDS: Final = frozenset(
    {"", "ocpi", "cpo", "emsp", "versions"}
    | {word for own in own_paths.OWN_PATHS for word in own.name.split("/")}
    | set(_INTERFACES)
    | {route.module for route in ROUTES}
    | set(CONFIGURATION_MODULES)
)
_SPOKEN: Final = (f"{own_paths.DETAILS}/", own_paths.VERSIONS)
_OF_TOKEN_A: Final = {own_paths.VERSIONS, own_paths.DETAILS, own_paths.CREDENTIALS.path()}
MAX_MESSAGE_ID: Final = 255
# A sender that is still writing would not see the answer: this much more is read and dropped.
_DRAINED_BYTES: Final = 16_000_000


@cache
def _raw(name: str) -> bytes:
    """A header's name as ASGI gives it."""
    return name.lower().encode()


class SenderGone(Exception):
    """The sender closed its connection before its body was whole: nobody waits for an answer."""


class Way(msgspec.Struct, frozen=True, eq=False):
    """From one party to another: the decision, and the routing headers of either direction."""

    sender: PartyId
    forward: decisions.Forward
    sent: dict[str, str]
    answered: list[tuple[bytes, bytes]]


class Incoming(msgspec.Struct, eq=False):
    """One request while it is on its way through the gateway."""

    scope: Scope
    headers: dict[bytes, bytes]
    request_id: str
    correlation_id: str
    started: float
    presented: Presented | None = None
    body: bytes = b""
    place: Match | None = None
    rest: str = ""
    sender: PartyId | None = None
    receiver: PartyId | None = None
    code: int | None = None
    # Under which it leaves, where it is one that leaves once (hub/db/leases.py).
    lease: Lease | None = None
    # For the record: on which way, why not, and as part of whose exchange.
    kind: Kind = Kind.HUB
    problem: str = ""
    related_id: str = ""
    # FROM and TO, once they are read.
    addresses: tuple[decisions.Address | None, decisions.Address | None] | None = None
    # The way that others have gone before (hub/gateway/ways.py).
    way: Way | None = None
    # What its large bodies have of the memory for such.
    rooms: list[BytesTaken] = []

    @property
    def caller(self) -> str:
        """The address that it came from."""
        return callers.address_of(self.scope)

    @property
    def from_whom(self) -> str:
        """For the log: the party, as far as it is known."""
        if self.sender is not None:
            return str(self.sender)
        return self.presented.platform.name if self.presented else f"nobody at {self.caller}"

    def room(self, of: UnderWay, receiver: int | None = None) -> BytesTaken:
        """For a body of the sender's or of the hub's, or for what a platform answers."""
        sender = presented_by(self).platform.id
        room = of.of_sender(sender) if receiver is None else of.of_answer(sender, receiver)
        self.rooms.append(room)
        return room

    def text(self, name: str) -> str:
        """A header's value, "" when absent."""
        return self.headers.get(_raw(name), b"").decode("latin-1").strip()


def usual_path(incoming: Incoming, directory: Directory) -> list[str] | None:
    """The parts of a routed URL that is spelled as it should be (hub/ocpi/odd_urls.py)."""
    raw: bytes = incoming.scope["raw_path"]
    return odd_urls.usual(raw.decode("latin-1"), directory.has_module)


def mend_path(incoming: Incoming, directory: Directory) -> None:
    """A path that can mean one thing only is put right for all who look at it, and noted."""
    sent = incoming.scope["raw_path"].decode("latin-1").partition("?")[0]
    raw, rule = odd_urls.mended(sent, directory.has_module)
    if rule:
        deviation = Deviation(rule, "URL", odd_urls.example(sent, raw))
        noting.note(presented_by(incoming).platform.id, [deviation])
        scope = {"raw_path": raw.encode("latin-1"), "path": unquote(raw)}
        incoming.scope = incoming.scope | scope


def place_of(incoming: Incoming) -> Match | None:
    """The module, interface and ids of a routed URL; None for what the hub answers itself."""
    if "\0" in incoming.scope["path"]:
        raise NotFound("No id contains NUL, and no database takes one.")
    raw = incoming.scope["raw_path"].decode("latin-1").partition("?")[0]
    parts = raw.split("/", 5)  # "", ocpi, the version, sender, module, rest
    if len(parts) < 5 or parts[2] != VERSION or parts[3] not in _INTERFACES or not parts[4]:
        return None
    return match_path(incoming, parts)


def match_path(incoming: Incoming, parts: list[str]) -> Match:
    """The same of the parts of a routed URL."""
    if "\0" in incoming.scope["path"]:
        raise NotFound("No id contains NUL, and no database takes one.")
    incoming.rest = parts[5] if len(parts) == 6 else ""
    try:
        return match(
            parts[4].lower(), _INTERFACES[parts[3]], incoming.rest, incoming.scope["method"]
        )
    except NoSuchUrl as error:
        raise NotFound(
            f"{'/'.join(parts)}: {error}; see the version details for what exists."
        ) from error
    except WrongMethod as error:
        raise MethodNotAllowed(
            f"{incoming.scope['method']} is not defined for {'/'.join(parts)}; allowed: {error}.",
            headers={"Allow": str(error)},
        ) from error


def repeated_headers(incoming: Incoming) -> dict[bytes, list[bytes]]:
    """The headers that came more than once, with all their values."""
    if len(incoming.headers) == len(incoming.scope["headers"]):
        return {}
    found: dict[bytes, list[bytes]] = {}
    for name, value in incoming.scope["headers"]:
        found.setdefault(name, []).append(value)
    return {name: values for name, values in found.items() if len(values) > 1}


def check_authorization_once(incoming: Incoming) -> None:
    """Whoever reads the first one and whoever reads the last one would see another sender."""
    if b"authorization" in repeated_headers(incoming):
        raise InvalidParameters(
            "The Authorization header came more than once.", http_status=HTTPStatus.BAD_REQUEST
        )


def check_headers(incoming: Incoming) -> None:
    """Refuse ids that nobody would keep whole, and ids and routing headers that say two things."""
    _check_id(headers.REQUEST_ID, incoming.request_id)
    _check_id(headers.CORRELATION_ID, incoming.correlation_id)
    if not (repeated := repeated_headers(incoming)):
        return
    for name in (*headers.ROUTING, headers.REQUEST_ID, headers.CORRELATION_ID):
        values = {value.strip().lower() for value in repeated.get(_raw(name), ())}
        if len(values) > 1:
            raise InvalidParameters(f"{name} came more than once, with different values.")


def _check_id(name: str, value: str) -> None:
    if len(value) > MAX_MESSAGE_ID:
        raise InvalidParameters(f"{name} has more than {MAX_MESSAGE_ID} characters.")
    if not value.isascii():
        raise InvalidParameters(f"{name} has characters beyond ASCII.")


def check_version(incoming: Incoming) -> None:
    """Refuse (404) URLs of versions that the hub does not speak, whatever the token opens."""
    path = incoming.scope["path"]
    if path.startswith(_SPOKEN):
        return
    for segment in path.split("/")[2:4]:
        if "." in segment and segment.replace(".", "").isdecimal() and segment != VERSION:
            raise NotFound(
                f"This hub speaks OCPI {VERSION}, not {segment[:20]}: the URLs of its version "
                f"details are at {settings.BASE_URL}{own_paths.VERSIONS}."
            )


def check_not_own(incoming: Incoming) -> None:
    """Refuse (4000) what the hub has sent itself, before anything of it is looked at."""
    if loops.is_own_message(incoming.headers):
        raise HubError(loops.REASON)


def check_token_a(incoming: Incoming) -> None:
    """Refuse (401) who is not registered yet all but versions and credentials."""
    if not presented_by(incoming).is_token_a:
        return
    path: str = incoming.scope["path"]
    if path.rstrip("/") not in _OF_TOKEN_A:
        raise NotAuthenticated(
            "This is CREDENTIALS_TOKEN_A, which opens versions and credentials alone. "
            "POST your credentials to get the token for everything else."
        )


async def read_body(receive: Receive, limit: int, room: BytesTaken | None = None) -> bytes:
    """At most `limit` bytes in BODY_TIMEOUT, or TooLarge, or 408; SenderGone if it breaks off.

    TooManyRequests when `room` has none for a large one.
    """
    parts = []
    size = 0
    try:
        async with asyncio.timeout(settings.BODY_TIMEOUT):
            more = True
            while more and size <= limit + _DRAINED_BYTES:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise SenderGone
                part = bytes(event.get("body", b""))
                size += len(part)
                more = event.get("more_body", False)
                if size <= limit:
                    parts.append(part)
                    if room is not None and size > SMALL:
                        await room.grow(min(2 * size, limit) if more else size)
    except TimeoutError as error:
        raise OcpiError(
            f"The body did not arrive within {settings.BODY_TIMEOUT:g} s.",
            http_status=HTTPStatus.REQUEST_TIMEOUT,
            headers={"Connection": "close"},
        ) from error
    if size > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.", headers={"Connection": "close"})
    if room is not None:
        room.settle(size)
    return b"".join(parts)


def message_of(incoming: Incoming) -> decisions.RoutedMessage:
    return decisions.RoutedMessage(
        platform=presented_by(incoming).platform,
        from_address=from_address(incoming),
        to_address=to_address(incoming),
        method=incoming.scope["method"],
        match=match_of(incoming),
        body=incoming.body,
        query=incoming.scope["query_string"].decode("latin-1"),
    )


def from_address(incoming: Incoming) -> decisions.Address | None:
    return _addresses(incoming)[0]


def to_address(incoming: Incoming) -> decisions.Address | None:
    return _addresses(incoming)[1]


def _addresses(incoming: Incoming) -> tuple[decisions.Address | None, decisions.Address | None]:
    if incoming.addresses is None:
        incoming.addresses = (
            _address(incoming, b"ocpi-from-country-code", b"ocpi-from-party-id"),
            _address(incoming, b"ocpi-to-country-code", b"ocpi-to-party-id"),
        )
    return incoming.addresses


def _address(incoming: Incoming, country_code: bytes, party_id: bytes) -> decisions.Address | None:
    found = incoming.headers
    if country_code not in found and party_id not in found:
        return None
    return _read_address(found.get(country_code, b""), found.get(party_id, b""))


@lru_cache(maxsize=4096)
def _read_address(code: bytes, party: bytes) -> decisions.Address | None:
    address = decisions.Address(code.decode("latin-1").strip(), party.decode("latin-1").strip())
    return address if address.country_code or address.party_id else None


def match_of(incoming: Incoming) -> Match:
    if incoming.place is None:
        raise HubError("This URL is not routed.")
    return incoming.place


def presented_by(incoming: Incoming) -> Presented:
    if incoming.presented is None:
        raise NotAuthenticated("The request has not been authenticated.")
    return incoming.presented


def quiet_path(path: str) -> str:
    """The path for the log; keys of rewritten URLs, uids of tokens, whatever we do not know."""
    segments = masking.decoded(path).split("/")
    known = takewhile(_is_word_of_ours, segments)
    quiet = "/".join(known)
    return path if quiet == path else f"{quiet.rstrip('/')}/…"


def _is_word_of_ours(segment: str) -> bool:
    return segment in _WORDS or (len(segment) <= 5 and segment.replace(".", "").isdigit())


def routing_headers(incoming: Incoming, decision: decisions.Forward) -> dict[str, str]:
    """FROM and TO of the forwarded request, in the sender's spelling where it named them."""
    receiver = decision.receiver
    sent_from, sent_to = from_address(incoming), to_address(incoming)
    if sent_to is None or (sent_to[0].upper(), sent_to[1].upper()) != receiver.identity:
        sent_to = decisions.Address(receiver.country_code, receiver.party_id)
    if sent_from is None or (sent_from[0].upper(), sent_from[1].upper()) != decision.sender:
        sent_from = decisions.Address(*decision.sender)
    from_code, from_id = sent_from
    return {
        headers.FROM_COUNTRY_CODE: from_code,
        headers.FROM_PARTY_ID: from_id,
        headers.TO_COUNTRY_CODE: sent_to.country_code,
        headers.TO_PARTY_ID: sent_to.party_id,
    }


def join(endpoint_url: str, rest: str, query: str) -> str:
    """The receiver's endpoint, what followed ours, and the query."""
    if rest and not query and "?" not in endpoint_url:
        return f"{endpoint_url.rstrip('/')}/{rest}"
    base, _, own_query = endpoint_url.partition("?")
    url = f"{base.rstrip('/')}/{rest}" if rest else base
    queries = "&".join(part for part in (own_query, query) if part)
    return f"{url}?{queries}" if queries else url
