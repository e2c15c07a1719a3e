"""The answer to one request, before it is sent: whose it is, and what it is made of."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.http.response import HttpResponse

from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.trouble import refusal_of
from hub.ocpi import envelope
from hub.ocpi.errors import HubError, OcpiError, ServerError
from hub.ocpi.party import PartyId
from hub.outbound.platform_calls import Response

logger = logging.getLogger("hub.messages")
JSON: Final = b"application/json"
# Beyond it the server keeps for the other side what that has not read.
MOST_UNREAD: Final = 65_536
# The headers of a receiver's answer that are passed on; the others belong to its connection.
_PASSED_ON: Final = (
    ("content-type", b"content-type"),
    ("x-total-count", b"x-total-count"),
    ("x-limit", b"x-limit"),
    ("retry-after", b"retry-after"),
)
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})

UNEXPECTED: Final = ServerError(
    "The hub failed unexpectedly; its operator finds the cause in the log."
)


class Outgoing(msgspec.Struct, eq=False):
    """The answer to one request."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = []
    sent: Callable[[Writer, DjangoThreads], Awaitable[None]] | None = None
    # The names of its headers say nothing of how it is sent, and are in small letters.
    is_plain: bool = False


class Passed(msgspec.Struct, frozen=True, eq=False):
    """A receiver's answer as it is passed on, and what OCPI says in it."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]
    verdict: envelope.Answer


def answer_of(receiver: PartyId, response: Response) -> Passed:
    """The answer for the sender: the receiver's errors unchanged, in HTTP that breaks nothing."""
    if response.verdict.status_code is None and not envelope.is_object(response.body):
        status, body = _in_an_envelope(receiver, response)
        return Passed(status, body, [(b"content-type", JSON)], envelope.read_answer(body))
    found = response.headers
    headers = [
        (raw, found[name].encode("utf-8", "surrogateescape"))
        for name, raw in _PASSED_ON
        if name in found
    ]
    return Passed(_with_a_body(response.status), response.body, headers, response.verdict)


def _in_an_envelope(receiver: PartyId, response: Response) -> tuple[int, bytes]:
    """The meaning of a receiver's answer without any OCPI in it (docs/decisions/0004)."""
    if response.status < 300 and not response.body.strip():
        said = f"{receiver} answered HTTP {response.status} without a body."
        return HTTPStatus.OK, envelope.success(message=said)
    kind = response.headers.get("content-type", "no content type")
    kind = kind.encode("utf-8", "replace").decode()  # An envelope holds only text.
    said = f"{receiver} answered HTTP {response.status} with something that is not OCPI ({kind})."
    return _with_a_body(response.status), envelope.failure(HubError(said))


def _with_a_body(status: int) -> int:
    """HTTP allows none with some (RFC 9110, 15.3), and an answer of OCPI's is one."""
    return HTTPStatus.OK if status in _WITHOUT_BODY else status


def refusal(error: OcpiError, status: int | None = None) -> Outgoing:
    """The envelope of an error, with its HTTP status unless another one is given."""
    sent = [(b"content-type", JSON)]
    sent += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    return Outgoing(status or error.http_status, envelope.failure(error), sent)


def of_failure(error: Exception, request_id: str) -> tuple[ServerError, Outgoing]:
    """The answer where the hub itself has failed: the database, or something unforeseen."""
    trouble = refusal_of(error, f"request {request_id}")
    if trouble is not None:
        return trouble, refusal(trouble)
    logger.error("unexpected error, request %s", request_id, exc_info=error)
    return UNEXPECTED, refusal(UNEXPECTED, HTTPStatus.INTERNAL_SERVER_ERROR)


def of_django(response: HttpResponse) -> Outgoing:
    """The answer of a view, with its whole body."""
    sent = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.items()
        if name.lower() != "content-length"
    ]
    sent += [
        (b"set-cookie", cookie.OutputString().encode("latin-1"))
        for cookie in response.cookies.values()
    ]
    return Outgoing(response.status_code, response.content, sent)


async def send_whole(
    send: Callable[[dict[str, Any]], Awaitable[None]],
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """Send an answer; a large one is sent when the other side has read nearly all of it.

    The server bounds the time (hub/gateway/http_server.py).
    """
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if len(body) > MOST_UNREAD:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        body = b""  # What more there is to send waits for what was sent.
    await send({"type": "http.response.body", "body": body})


def identified(outgoing: Outgoing, ids: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those of its message: X-Request-ID and X-Correlation-ID."""
    request_id, correlation_id = ids
    return [
        *outgoing.headers,
        (b"content-length", b"%d" % len(outgoing.body)),
        (b"x-request-id", request_id.encode("latin-1")),
        (b"x-correlation-id", correlation_id.encode("latin-1")),
    ]


def addressed(receiver: PartyId, sender: PartyId) -> list[tuple[bytes, bytes]]:
    """The routing headers of an answer: to whom, and from whom."""
    return [
        (b"ocpi-to-country-code", receiver.country_code.encode()),
        (b"ocpi-to-party-id", receiver.party_id.encode()),
        (b"ocpi-from-country-code", sender.country_code.encode()),
        (b"ocpi-from-party-id", sender.party_id.encode()),
    ]
