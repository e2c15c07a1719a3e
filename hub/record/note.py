"""What is noted of one message: cheap on the hot path, made into a row by the recorder's thread."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from hub.ocpi import masking, own_paths
from hub.ocpi.modules import Match
from hub.ocpi.party import PartyId
from hub.ocpi.v2_2_1 import VERSION

_LONGEST_BODY: Final = 20_000  # characters
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


class Direction(StrEnum):
    """The direction of a message, seen from the hub."""

    IN = "IN"
    OUT = "OUT"


class Kind(StrEnum):
    """The way of a message through the hub."""

    FORWARD = "forward"
    VIA = "via"
    HUB = "hub"
    BROADCAST = "broadcast"
    COMMAND = "command"
    RESULT = "result"
    DELIVERY = "delivery"
    # A change that was told by a later one's delivery.
    MERGED = "merged"
    CALLBACK = "callback"
    HANDSHAKE = "handshake"
    STILL_ALIVE = "still-alive"
    PULL = "pull"
    CHECK = "check"
    STRANGER = "stranger"


class Note(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request and its answer, as it passed."""

    at: float
    direction: Direction
    kind: Kind
    method: str
    place: Match | None
    path: str
    query: str
    request_id: str
    correlation_id: str
    # The correlation id of the exchange that this message belongs to, where it has one of its own.
    related_id: str
    sender: PartyId | str
    receiver: PartyId | str
    platform: int | None
    status: int | None
    code: int | None
    seconds: float
    request_bytes: int
    answer_bytes: int
    problem: str
    bodies: tuple[bytes, bytes] | None = None


class Row(NamedTuple):
    """The columns of `hub_message`, in their order."""

    at: float
    direction: str
    kind: str
    method: str
    module: str
    interface_role: str
    path: str
    request_id: str
    correlation_id: str
    related_id: str
    sender: str
    receiver: str
    platform_id: int | None
    http_status: int | None
    ocpi_code: int | None
    is_failed: bool
    milliseconds: float
    request_bytes: int
    answer_bytes: int
    problem: str
    request_body: str
    answer_body: str


def rows(notes: Iterable[Note]) -> list[Row]:
    """The row to keep: without secrets, and without anything that the table refuses."""
    made = []
    names: dict[PartyId | str, str] = {}
    place, path, query = None, "", ""
    where = ("", "", "")
    for note in notes:
        # What came in and what was sent on of it follow each other, with the same place.
        if note.place is not place or note.path != path or note.query != query:
            place, path, query = note.place, note.path, note.query
            where = _where(note)
        sender, receiver = note.sender, note.receiver
        for who in (sender, receiver):
            if who not in names:
                names[who] = str(who)
        made.append(_row(note, names[sender], names[receiver], *where))
    return made


def _where(note: Note) -> tuple[str, str, str]:
    """The path, module and interface of a request."""
    place = note.place
    path = masking.safe_path(note.path, place)
    module = place.module if place else _configuration_module(path)
    if note.query and (query := masking.safe_query(note.query)):
        path = f"{path}?{query}"
    return text(path, 300), text(module, 64), place.role.value if place else ""


def _row(
    note: Note, sender: str, receiver: str, path: str, module: str, interface_role: str
) -> Row:
    request_id, correlation_id = note.request_id, note.correlation_id
    if len(request_id) > 255 or len(correlation_id) > 255 or "\0" in request_id + correlation_id:
        request_id, correlation_id = text(request_id, 255), text(correlation_id, 255)
    request_body = answer_body = ""
    if note.bodies is not None:
        request_body, answer_body = (
            text(masking.masked_body(body, module, _LONGEST_BODY), 2 * _LONGEST_BODY)
            for body in note.bodies
        )
    return Row(
        note.at,
        note.direction,
        note.kind,
        note.method if len(note.method) < 8 else text(note.method, 16),
        module,
        interface_role,
        path,
        request_id,
        correlation_id,
        _related(note) if note.related_id else "",
        sender,
        receiver,
        note.platform,
        _number(note.status),
        _number(note.code),
        is_failure(note.status, note.code),
        note.seconds * 1000,
        note.request_bytes,
        note.answer_bytes,
        text(note.problem, 300) if note.problem else "",
        request_body,
        answer_body,
    )


def _related(note: Note) -> str:
    return text(note.related_id, 255) if note.related_id != note.correlation_id else ""


def is_failure(status: int | None, code: int | None) -> bool:
    """Whether it failed: not 1xxx, or no code at all and no HTTP success."""
    if code is None:
        return status is None or status >= 300
    return not 1000 <= code <= 1999 or status is None or status >= 400


def cleaned(problem: str, path: str, place: Match | None, body: bytes) -> str:
    """A problem's text without what the request names a driver by, or what opens something."""
    if problem and len(path) > 1:
        problem = masking.without_path(problem, path, masking.safe_path(path, place))
    return masking.without_secrets(problem, place, body) if problem else ""


def named(sent: Mapping[str, str], country_code: str, party_id: str) -> str:
    """A party out of the routing headers of a request of the hub's; "" when it names none."""
    code = sent.get(country_code, "")
    return f"{code}-{sent[party_id]}".upper() if code else ""


def _configuration_module(path: str) -> str:
    """The module of a URL that is not routed."""
    name = path.removeprefix(f"{VERSION}/").partition("/")[0]
    if name in {"versions", VERSION}:
        return "versions"
    own = own_paths.NAMES.get(name.lower())
    return own.module if own else ""


def text(value: str, longest: int) -> str:
    """A text as a column takes it: PostgreSQL has no NUL in a text."""
    return value[:longest].replace("\0", "")


def _number(number: int | None) -> int | None:
    return number if number is not None and _SMALLEST <= number <= _LARGEST else None
