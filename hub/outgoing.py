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


@dataclass(slots=True)
class Outgoing:
    """The answer to one request."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    sent: Callable[[], None] | None = None


def passed_on(response: Response) -> list[tuple[bytes, bytes]]:
    """The headers of a receiver's answer that the sender gets too."""
    return [
        (name.encode(), response.headers[name].encode("utf-8", "surrogateescape"))
        for name in _PASSED_ON
        if name in response.headers
    ]


def in_an_envelope(receiver: PartyId, response: Response) -> tuple[int, bytes]:
    """What a receiver's answer without any OCPI in it means: HTTP status and envelope."""
    if response.status < 300 and not response.body.strip():
        said = f"{receiver} answered HTTP {response.status} without a body."
        return HTTPStatus.OK, envelope.success(message=said)
    kind = response.headers.get("content-type", "no content type")
    kind = kind.encode("utf-8", "replace").decode()  # What is no text is in no envelope.
    said = f"{receiver} answered HTTP {response.status} with something that is not OCPI ({kind})."
    return response.status, envelope.failure(HubError(said))


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
