"""The audit trail of the console: no page that changes something can forget it.

Each POST that has changed something is told, by what the console itself has logged of it
(django.contrib.admin's LogEntry) or, where it has not, by the name of the page and its row.
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.messages import get_messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from hub.console.access import audit
from hub.console.access.models import Way

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Of these the pages themselves tell, or nothing is to be told.
_TOLD_THERE: Final = ("/admin/login/", "/admin/second-factor/", "/admin/single-sign-on/")


class Trail:
    """Middleware, behind all that turn a request away: what never reached its page is no act."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Tell what was done, once it is done; what was refused as well."""
        if (
            request.method in _SAFE
            or not request.path.startswith("/admin/")
            or request.path.startswith(_TOLD_THERE)
            or not request.user.is_authenticated
        ):
            return self._get_response(request)
        user, began = request.user, timezone.now()
        row = _row(request)
        response = self._get_response(request)
        if not audit.is_noted(request):
            _tell(request, response, user, row, began)
        return response


def _tell(request: HttpRequest, response: HttpResponse, user: Any, row: Any, began: Any) -> None:
    told: dict[str, Any] = {"address": audit.address_of(request)}
    if _is_refused(response):
        audit.record(
            Way.CONSOLE, user.get_username(), _act(request), row or "", is_refused=True, **told
        )
        return
    logged = list(LogEntry.objects.filter(user=user.pk, action_time__gte=began).order_by("pk"))
    for act, about, detail in _of_log(logged):
        audit.record(Way.CONSOLE, user.get_username(), act, about, detail=detail, **told)
    if not logged and _has_acted(request, response):
        told["detail"] = _problem(request)
        audit.record(Way.CONSOLE, user.get_username(), _act(request), row or "", **told)


def _is_refused(response: HttpResponse) -> bool:
    """Who is not staff is led to the login."""
    is_led_away = response.get("Location", "").startswith(reverse("admin:login"))
    return is_led_away or response.status_code == HTTPStatus.FORBIDDEN


def _problem(request: HttpRequest) -> str:
    """A page that acts leads on also when it could not; then it has told a problem alone."""
    queued = getattr(get_messages(request), "_queued_messages", ())
    is_problem = queued and all(one.level >= messages.WARNING for one in queued)
    return "The page told a problem: not done, or not wholly." if is_problem else ""


def _has_acted(request: HttpRequest, response: HttpResponse) -> bool:
    """A form that is shown once more with its errors has done nothing."""
    if request.path == "/admin/logout/":
        return response.status_code < HTTPStatus.BAD_REQUEST
    return "HX-Redirect" in response or response.status_code in {
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
    }


def _of_log(logged: list[LogEntry]) -> Iterator[tuple[str, audit.Row | str, str]]:
    for entry in logged:
        act = {ADDITION: "add", DELETION: "delete"}.get(entry.action_flag, "change")
        kind = entry.content_type.model_class() if entry.content_type else None
        if kind is None:
            yield act, entry.object_repr, entry.get_change_message()
            continue
        yield (
            act,
            audit.Former(kind, entry.object_id or "", entry.object_repr),
            entry.get_change_message(),
        )


def _act(request: HttpRequest) -> str:
    """The name of the page: `hub_party_suspend`; of a list the action that was chosen."""
    match = request.resolver_match
    name = (match.url_name if match is not None else None) or request.path
    chosen = request.POST.get("action", "") if request.method == "POST" else ""
    return f"{name}: {chosen}" if chosen.isidentifier() else name


def _row(request: HttpRequest) -> Model | None:
    """The row in the address, before it is changed; None where the page is of no row."""
    parts = request.path.removeprefix("/admin/").split("/")
    if len(parts) < 3:
        return None
    for model in admin.site._registry:
        if (model._meta.app_label, model._meta.model_name) == (parts[0], parts[1]):
            try:
                return model._default_manager.filter(pk=parts[2]).first()
            except (ValueError, ValidationError):
                return None
    return None
