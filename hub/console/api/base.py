"""AdminView: the base of what the admin API answers; whatever changes something is in the trail."""

from http import HTTPStatus
from typing import Any, Final, TypeVar

from django.contrib.messages import constants
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from hub.console.access import audit
from hub.console.access.models import Way
from hub.console.api import keys
from hub.console.api.keys import Caller
from hub.console.api.problems import invalid
from hub.fairness.callers import FirstOfMinute
from hub.ocpi.datatypes import decode
from hub.ocpi.errors import OcpiError
from hub.views import JsonView, Problem

T = TypeVar("T")
_SAFE: Final = frozenset({"GET", "HEAD"})
_first_refusal = FirstOfMinute()


class AdminView(JsonView):
    """A DRF view whose methods get the Caller."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    api = "admin API"
    # What the trail tells beside the act, once a method has found it out.
    about: audit.Row | str = ""
    detail = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Authenticate, answer, and tell the trail; every refusal is a problem in JSON."""
        caller: Caller | None = None

        def make() -> HttpResponse:
            nonlocal caller
            caller = keys.authenticate(request)
            try:
                return self.method_of(request)(caller, request, **kwargs)
            except PermissionDenied as error:
                detail = "The role of this key does not allow it."
                raise Problem(HTTPStatus.FORBIDDEN, "ROLE", detail) from error

        response = self.answered(make)
        if caller is not None and request.method not in _SAFE:
            self._tell(caller, request, response, kwargs)
        response["Cache-Control"] = "no-store"
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
