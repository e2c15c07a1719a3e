"""The answer to one request, before it is sent: whose it is, and what it is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from django.http.response import HttpResponse

from hub.ocpi import envelope
from hub.ocpi.errors import HubError, OcpiError
from hub.ocpi.party import PartyId
from hub.outbound import Response

JSON: Final = b"application/json"
# What of a receiver's answer is passed on; all else is between the two connections.
_PASSED_ON: Final = ("content-type", "x-total-count", "x-limit", "retry-after")
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})


@dataclass(slots=True)
class Outgoing:
    """The answer to one request."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    sent: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A receiver's answer as it is passed on, and what OCPI says in it."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]
    said: envelope.Answer


def answer_of(receiver: PartyId, response: Response) -> Passed:
    """What the sender is answered: the receiver's errors unchanged, HTTP that breaks nothing."""
    if response.said.status_code is None and not envelope.is_object(response.body):
        status, body = _in_an_envelope(receiver, response)
        return Passed(status, body, [(b"content-type", JSON)], envelope.read_answer(body))
    headers = [
        (name.encode(), response.headers[name].encode("utf-8", "surrogateescape"))
        for name in _PASSED_ON
        if name in response.headers
    ]
    return Passed(_with_a_body(response.status), response.body, headers, response.said)


def _in_an_envelope(receiver: PartyId, response: Response) -> tuple[int, bytes]:
    """What a receiver's answer without any OCPI in it means (docs/decisions/0004)."""
    if response.status < 300 and not response.body.strip():
        said = f"{receiver} answered HTTP {response.status} without a body."
        return HTTPStatus.OK, envelope.success(message=said)
    kind = response.headers.get("content-type", "no content type")
    kind = kind.encode("utf-8", "replace").decode()  # What is no text is in no envelope.
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


def of_django(response: HttpResponse) -> Outgoing:
    """What a view has answered, its body whole."""
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
