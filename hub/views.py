"""OcpiView: the base of everything that the hub answers itself.

The gateway has authenticated the request and read it; a view gets the OcpiRequest, and returns an
envelope or raises an OcpiError.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from rest_framework.views import APIView

from hub.db.batch_writer import Writer
from hub.db.django_threads import DjangoThreads
from hub.db.trouble import refusal_of
from hub.ocpi import envelope
from hub.ocpi.errors import InvalidParameters, MethodNotAllowed, OcpiError, ServerError
from hub.ocpi.party import PartyId
from hub.routing.own_messages import OwnMessage
from hub.routing.request import OcpiRequest

logger = logging.getLogger(__name__)
JSON = "application/json"
PROBLEM = "application/problem+json"
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
# Where a view finds its OcpiRequest in `META`.
REQUEST: Final = "flexhub.request"
# What is done once an answer has left: from the event loop, or on a thread.
Sent = Callable[[Writer, DjangoThreads], Awaitable[None]]
# What fetches an answer from another party, with the client that it is called by.
Carry = Callable[[Writer, DjangoThreads, Any], Awaitable[HttpResponse | None]]


class AnswerLater(HttpResponse):
    """An answer of `answered_by` that has to be waited for, without holding a thread.

    `carry` fetches it from this process, whatever becomes of who asked; None where another one
    does, or where it comes to nothing.
    A notification of `topic` may carry the answer, which `told` reads; where it does not, and once
    a second, the gateway calls `resume` (in a thread) until it returns a response. After the
    response has left, it calls `sent`.

    `receiver` is the platform at whose bulkhead (hub/fairness/unanswered.py) the view has taken a
    place; the gateway gives it back.
    """

    def __init__(
        self,
        answered_by: PartyId,
        receiver: int,
        topic: str,
        told: Callable[[str], HttpResponse],
        resume: Callable[[], HttpResponse | None],
        sent: Sent,
        carry: Carry | None = None,
    ) -> None:
        super().__init__()
        self.answered_by = answered_by
        self.receiver = receiver
        self.topic = topic
        self.told = told
        self.resume = resume
        self.sent = sent
        self.carry = carry


class NothingYet(HttpResponse):
    """An answer that says that nothing has happened, unless something does within `seconds`.

    The gateway waits without a thread: one loop asks `news` of all who wait, each by its `watch`,
    and where that says so, `look` (on a thread) gives the answer; None: it was nothing after all.
    """

    def __init__(
        self,
        nothing: HttpResponse,
        seconds: float,
        watch: Any,
        news: Callable[[Sequence[Any]], list[bool]],
        look: Callable[[], HttpResponse | None],
    ) -> None:
        super().__init__(nothing.content, headers=dict(nothing.items()))
        self.seconds = seconds
        self.watch = watch
        self.news = news
        self.look = look


class MessageFirst(HttpResponse):
    """An answer for which a message of OCPI has to be answered first.

    The gateway sends it in the name of `sender`, by the way of all messages; `answered` makes the
    answer, on a thread, of the HTTP status and the envelope that came back.
    """

    def __init__(
        self,
        message: OwnMessage,
        answered: Callable[[int, bytes], HttpResponse],
    ) -> None:
        super().__init__()
        self.message = message
        self.answered = answered


class RelatedAnswer(HttpResponse):
    """An answer to a message that belongs to the exchange of another correlation id."""

    def __init__(self, answer: HttpResponse, related_id: str) -> None:
        super().__init__(answer.content, status=answer.status_code, content_type=JSON)
        self.related_id = related_id


class OcpiView(APIView):
    """A DRF view whose methods get the OcpiRequest and answer in envelopes."""

    # transport_and_format, Request format; HEAD is GET without its body (RFC 9110).
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """DRF's, without users, permissions, throttles and negotiation.

        The gateway has authenticated the party, and JSON is answered whatever `Accept` says.
        """
        asked: OcpiRequest = request.META[REQUEST]
        method = asked.method.lower()
        known = method in self.http_method_names
        handler = getattr(self, method, None) if known else None
        try:
            if handler is None:
                raise self._not_allowed(asked)
            response: HttpResponse = handler(asked, *args, **kwargs)
        except Exception as error:
            return answer_exception(error, {"view": self, "request": asked})
        return response

    def _not_allowed(self, request: OcpiRequest) -> MethodNotAllowed:
        """405 with an envelope that lists what is allowed."""
        allowed = ", ".join(self.allowed_methods)
        return MethodNotAllowed(
            f"{request.method} is not defined here; allowed: {allowed}.",
            headers={"Allow": allowed},
        )


def answer(data: Any = ..., *, message: str | None = None, status: int = 200) -> HttpResponse:
    """A success envelope; without `data` the property is absent."""
    body = envelope.success(message=message) if data is ... else envelope.success(data, message)
    return HttpResponse(body, status=status, content_type=JSON)


def answer_document(document: bytes, message: str | None = None) -> HttpResponse:
    """A success envelope around a stored document."""
    return HttpResponse(envelope.success_of_document(document, message), content_type=JSON)


def refusal(error: OcpiError) -> HttpResponse:
    """The envelope of an error, with its HTTP status."""
    return HttpResponse(
        envelope.failure(error),
        status=error.http_status,
        headers=error.headers,
        content_type=JSON,
    )


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> HttpResponse:
    """A refusal of what is not OCPI (RFC 9457); `code` is a word that stays, for programs."""
    said = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return HttpResponse(
        msgspec.json.encode(said), status=status, headers=headers, content_type=PROBLEM
    )


class Problem(Exception):
    """What is wrong with a request that is not OCPI, in words that say what to change."""

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers

    def response(self) -> HttpResponse:
        """As it is answered."""
        return problem(self.status, self.code, self.detail, self.headers)


class JsonView(APIView):
    """The base of the APIs beside OCPI: JSON without envelopes, and problems in words."""

    # As the log calls it.
    api: ClassVar[str]

    def answered(self, make: Callable[[], HttpResponse]) -> HttpResponse:
        """What `make` answers; whatever it raises is a problem in JSON."""
        try:
            return make()
        except Problem as error:
            return error.response()
        except OcpiError as error:
            status = error.http_status if error.http_status >= 400 else HTTPStatus.BAD_GATEWAY
            return problem(status, status.name, error.told, error.headers)
        except Exception as error:
            # The boundary of a request: what nobody has foreseen is answered, and in the log.
            return self._failed(error)

    def method_of(self, request: HttpRequest) -> Callable[..., HttpResponse]:
        """What answers this method; a Problem (405) where nothing does."""
        method = (request.method or "").lower()
        handler: Callable[..., HttpResponse] | None = getattr(
            self, "get" if method == "head" else method, None
        )
        if method not in self.http_method_names or handler is None:
            allowed = ", ".join(self.allowed_methods)
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                f"{request.method} is not defined here; allowed: {allowed}.",
                {"Allow": allowed},
            )
        return handler

    def _failed(self, error: Exception) -> HttpResponse:
        """Without the path: an id of a driver may stand in it."""
        where = f"{type(self).__name__} of the {self.api}"
        if (trouble := refusal_of(error, where)) is not None:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return problem(status, "TRY_AGAIN", trouble.told, {"Retry-After": "1"})
        logger.error("unexpected error in %s", where, exc_info=error)
        said = "The hub failed unexpectedly; its operator finds the cause in the log."
        response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "FAILED", said)
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def answer_json(data: Any, status: int = HTTPStatus.OK) -> HttpResponse:
    """The JSON of a Struct, or of a list or dict of such, without an envelope."""
    return HttpResponse(_encode(data), status=status, content_type=JSON)


def answer_exception(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """The one handler: an OcpiError as it is, anything else as 3000 with a log entry."""
    if isinstance(error, OcpiError):
        return refusal(error)
    if isinstance(error, SuspiciousOperation):
        return refusal(InvalidParameters(f"{error}"))
    # Without the path: a Token's uid may stand in it.
    view = type(context["view"]).__name__
    if (trouble := refusal_of(error, f"{context['request'].method} of {view}")) is not None:
        return refusal(trouble)
    logger.error("unexpected error in %s of %s", context["request"].method, view, exc_info=error)
    unexpected = ServerError(
        "The hub failed unexpectedly; its operator finds the cause in the log."
    )
    response = HttpResponse(envelope.failure(unexpected), status=500, content_type=JSON)
    # Django would log the path.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
