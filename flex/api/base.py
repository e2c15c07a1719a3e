"""FlexView: the base of what the flex API answers: a key, JSON, and problems in words."""

from http import HTTPStatus
from typing import Any, ClassVar, Final, TypeVar

from django.http import HttpRequest, HttpResponse

from flex.api import keys
from flex.api.models import Use
from flex.api.problems import invalid
from hub.ocpi import lenient
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from hub.views import JsonView

T = TypeVar("T")
MOST_ON_A_PAGE: Final = 100


class FlexView(JsonView):
    """A DRF view whose methods get the Caller; `use` is what its key has to be for."""

    http_method_names = ["get", "post", "put", "delete", "head"]
    api = "flex API"
    use: ClassVar[Use]
    for_drivers: ClassVar[bool] = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Authenticate, and answer; every refusal is a problem in JSON."""
        platform = None

        def make() -> HttpResponse:
            nonlocal platform
            caller = keys.authenticate(request.META.get("HTTP_AUTHORIZATION", ""))
            platform = caller.entry.platform.id
            handler = self.method_of(request)
            caller.needs(self.use)
            if not self.for_drivers:
                caller.needs_back_end()
            return handler(caller, request, **kwargs)

        response = self.answered(make)
        # Whose turn it is next time (hub/gateway/apis.py).
        response.platform = platform  # type: ignore[attr-defined]
        return response


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
