"""Messages: the record's page for operators, one exchange as a ladder, and the same as JSON."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse

from hub.console.access import roles, scope
from hub.console.tables import GREEN, RED, badge
from hub.monitoring import exchange_trace
from hub.ocpi.modules import ROUTES
from hub.record.models import Message
from hub.record.note import Kind
from hub.record.search import Criteria, SearchPage, WrongCriterion, search

_MODULES = sorted({route.module for route in ROUTES} | {"credentials", "hubclientinfo", "versions"})
_FIELDS = ("party", "module", "code", "kind", "failed", "correlation_id", "from", "to")


def page(request: HttpRequest) -> HttpResponse:
    """Search, newest first."""
    scope.check(request.user, roles.MESSAGES)
    found, problem = SearchPage([], ""), ""
    try:
        found = search(Criteria.read(request.GET.dict(), scope.only(request.user)))
    except WrongCriterion as error:
        problem = str(error)
    asked = {name: request.GET.get(name, "").strip() for name in _FIELDS}
    context = {
        **admin.site.each_context(request),
        "title": "Messages",
        "rows": [(message, _outcome(message)) for message in found.messages],
        "next": urlencode({**{k: v for k, v in asked.items() if v}, "before": found.before})
        if found.before
        else "",
        "is_later_page": "before" in request.GET,
        "problem": problem,
        "asked": asked,
        "modules": _MODULES,
        "kinds": [kind.value for kind in Kind],
    }
    return TemplateResponse(request, "console/messages.html", context)


def _outcome(message: Message) -> str:
    return badge(exchange_trace.outcome(message), RED if message.is_failed else GREEN)


def exchange(request: HttpRequest) -> HttpResponse:
    """One exchange as a ladder: `?correlation_id=`."""
    scope.check(request.user, roles.MESSAGES)
    correlation_id = request.GET.get("correlation_id", "").strip()
    only = scope.only(request.user)
    context = {
        **admin.site.each_context(request),
        "title": "One exchange",
        "correlation_id": correlation_id,
        "ladder": exchange_trace.of(correlation_id, only) if correlation_id else None,
    }
    return TemplateResponse(request, "console/exchange.html", context)


def api(request: HttpRequest) -> HttpResponse:
    """The same search as JSON: `before` of an answer asks for the next page."""
    user = request.user
    if not (user.is_active and user.is_staff and user.has_perm(roles.MESSAGES)):
        return JsonResponse({"error": "Log in at the console as an operator first."}, status=403)
    if request.method != "GET":
        return JsonResponse({"error": "Only GET works here."}, status=405, headers={"Allow": "GET"})
    try:
        found = search(Criteria.read(request.GET.dict(), scope.only(user)))
    except WrongCriterion as error:
        return JsonResponse({"error": str(error)}, status=400)
    return JsonResponse({"messages": list(map(_told, found.messages)), "before": found.before})


def _told(message: Message) -> dict[str, Any]:
    return {field.attname: getattr(message, field.attname) for field in Message._meta.fields}
