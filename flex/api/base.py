"""FlexView: the base of what the flex API answers: a key, JSON, and problems in words."""

import logging
from http import HTTPStatus
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from rest_framework.views import APIView

from flex.api import keys
from flex.api.keys import Caller
from flex.api.models import Use
from flex.api.problems import Problem, invalid
from hub.db.trouble import refusal_of
from hub.ocpi import lenient
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from hub.views import JSON, problem

logger = logging.getLogger(__name__)
T = TypeVar("T")
MOST_ON_A_PAGE: Final = 100
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class FlexView(APIView):
    """A DRF view whose methods get the Caller; `use` is what its key has to be for."""

    http_method_names = ["get", "post", "put", "delete", "head"]
    use: ClassVar[Use]
    for_drivers: ClassVar[bool] = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Authenticate, and answer; every refusal is a problem in JSON."""
        platform = None
        try:
            caller = keys.authenticate(request.META.get("HTTP_AUTHORIZATION", ""))
            platform = caller.entry.platform.id
            response = self._handled(caller, request, **kwargs)
        except Problem as error:
            response = error.response()
        except OcpiError as error:
            status = error.http_status if error.http_status >= 400 else HTTPStatus.BAD_GATEWAY
            response = problem(status, status.name, error.told, error.headers)
        except Exception as error:
            response = _failed(error, type(self).__name__)
        # Whose turn it is next time (hub/gateway/apis.py).
        response.platform = platform  # type: ignore[attr-defined]
        return response

    def _handled(self, caller: Caller, request: HttpRequest, **ids: Any) -> HttpResponse:
        method = (request.method or "").lower()
        handler = getattr(self, "get" if method == "head" else method, None)
        if method not in self.http_method_names or handler is None:
            allowed = ", ".join(self.allowed_methods)
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                f"{request.method} is not defined here; allowed: {allowed}.",
                {"Allow": allowed},
            )
        caller.needs(self.use)
        if not self.for_drivers:
            caller.needs_back_end()
        response: HttpResponse = handler(caller, request, **ids)
        return response


def _failed(error: Exception, view: str) -> HttpResponse:
    """Without the path: an id of a driver may stand in it."""
    trouble = refusal_of(error, f"{view} of the flex API")
    if trouble is not None:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return problem(status, "TRY_AGAIN", trouble.told, {"Retry-After": "1"})
    logger.error("unexpected error in %s of the flex API", view, exc_info=error)
    said = "The hub failed unexpectedly; its operator finds the cause in the log."
    response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "FAILED", said)
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def answer(data: Any, status: int = HTTPStatus.OK) -> HttpResponse:
    """The JSON of a Struct, or of a list or dict of such."""
    return HttpResponse(_encode(data), status=status, content_type=JSON)


def nothing() -> HttpResponse:
    """204: done, and there is nothing to say."""
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def body_of(request: HttpRequest, expected: type[T]) -> T:
    """The body as it is expected; a Problem (400) says what is wrong with it."""
    try:
        return decode(request.body, expected)
    except OcpiError as error:
        raise invalid(error.message) from error


def number_in_query(request: HttpRequest, name: str, default: int, most: int) -> int:
    """A whole number from 0 to `most` in the query."""
    text = request.GET.get(name, "")
    found = lenient.whole_number(text) if text else default
    if found is None or not 0 <= found <= most:
        raise invalid(f"{name} must be a whole number from 0 to {most}.")
    return found
