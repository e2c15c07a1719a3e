"""AdminView: the base of what the admin API answers; whatever changes something is in the trail."""

import logging
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from django.contrib.messages import constants
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from rest_framework.views import APIView

from hub.console.access import audit
from hub.console.access.models import Way
from hub.console.api import keys
from hub.console.api.keys import Caller
from hub.console.api.problems import Problem, invalid
from hub.db.trouble import refusal_of
from hub.fairness.callers import FirstOfMinute
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from hub.views import JSON, problem

logger = logging.getLogger(__name__)
T = TypeVar("T")
_SAFE: Final = frozenset({"GET", "HEAD"})
_first_refusal = FirstOfMinute()
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class AdminView(APIView):
    """A DRF view whose methods get the Caller."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    # What the trail tells beside the act, once a method has found it out.
    about: audit.Row | str = ""
    detail = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Authenticate, answer, and tell the trail; every refusal is a problem in JSON."""
        caller = None
        try:
            caller = keys.authenticate(request)
            response = self._handled(caller, request, **kwargs)
        except Problem as error:
            response = error.response()
        except PermissionDenied:
            detail = "The role of this key does not allow it."
            response = problem(HTTPStatus.FORBIDDEN, "ROLE", detail)
        except OcpiError as error:
            status = error.http_status if error.http_status >= 400 else HTTPStatus.BAD_GATEWAY
            response = problem(status, status.name, error.told, error.headers)
        except Exception as error:
            response = _failed(error, type(self).__name__)
        if caller is not None and request.method not in _SAFE:
            self._tell(caller, request, response, kwargs)
        response["Cache-Control"] = "no-store"
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
        response: HttpResponse = handler(caller, request, **ids)
        return response

    def act(self, request: HttpRequest, ids: dict[str, Any]) -> str:
        """What the trail calls it."""
        return f"{request.method} {type(self).__name__}"

    def _tell(
        self, caller: Caller, request: HttpRequest, response: HttpResponse, ids: dict[str, Any]
    ) -> None:
        is_refused = response.status_code == HTTPStatus.FORBIDDEN
        if response.status_code >= HTTPStatus.BAD_REQUEST and not is_refused:
            return
        act = self.act(request, ids)
        # Nobody can delete an entry: what a key may not do is told once a minute.
        if is_refused and not _first_refusal.look(f"{caller.key.prefix} {act}")[2]:
            return
        audit.record(
            Way.API,
            caller.get_username(),
            act,
            self.about or " ".join(str(one) for name, one in ids.items() if name != "act"),
            detail=self.detail,
            address=audit.address_of(request),
            is_refused=is_refused,
        )


def _failed(error: Exception, view: str) -> HttpResponse:
    """Without the path: an id of a driver may stand in it."""
    trouble = refusal_of(error, f"{view} of the admin API")
    if trouble is not None:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return problem(status, "TRY_AGAIN", trouble.told, {"Retry-After": "1"})
    logger.error("unexpected error in %s of the admin API", view, exc_info=error)
    said = "The hub failed unexpectedly; the cause is in its log."
    response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "FAILED", said)
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def answer(data: Any, status: int = HTTPStatus.OK) -> HttpResponse:
    """The JSON of a Struct, or of a list or dict of such."""
    return HttpResponse(_encode(data), status=status, content_type=JSON)


def body_of(request: HttpRequest, expected: type[T]) -> T:
    """The body as it is expected; a Problem (400) says what is wrong with it."""
    try:
        return decode(request.body or b"{}", expected)
    except OcpiError as error:
        raise invalid(error.message) from error


class Said:
    """Takes what the console's functions would have shown on the next page."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.problems: list[str] = []

    def add(self, level: int, message: Any, extra_tags: str = "") -> None:
        """As django.contrib.messages does it."""
        (self.problems if level >= constants.ERROR else self.told).append(str(message))

    def update(self, response: Any) -> list[Any]:
        """There is no next page to show them on."""
        return []


def as_at_the_console(caller: Caller, request: HttpRequest) -> Said:
    """Let the console's own functions work on the request: under the name of the key."""
    said = Said()
    request.user = caller  # type: ignore[assignment]
    request._messages = said  # type: ignore[attr-defined]
    return said
