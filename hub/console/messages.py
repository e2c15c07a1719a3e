"""Messages: the record's page for operators, one exchange as a ladder, and the same as JSON."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models.functions import Upper
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from hub.console import exchanges, export
from hub.console.access import roles, scope
from hub.console.tables import GREEN, RED, badge
from hub.monitoring import exchange_trace
from hub.ocpi.modules import ROUTES
from hub.ocpi.party import PartyId
from hub.record.models import Message
from hub.record.note import Kind
from hub.record.search import (
    Criteria,
    SearchPage,
    WrongCriterion,
    of_exchange,
    own_legs,
    search,
)
from sessions.models import Session

_MODULES = sorted({route.module for route in ROUTES} | {"credentials", "hubclientinfo", "versions"})
_FIELDS = (
    *("party", "direction", "module", "code", "kind", "failed", "object", "correlation_id"),
    *("from", "to"),
)
_MOST_LINKS = 5


def page(request: HttpRequest) -> HttpResponse:
    """Search, newest first."""
    scope.check(request.user, roles.MESSAGES)
    found, problem = SearchPage([], ""), ""
    try:
        found = _search(request)
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
        "is_asked": any(asked.values()),
        "links": _links(request, [asked["object"]] if asked["object"] else []),
        "may_export": export.kinds(request.user),
        "problem": problem,
        "asked": asked,
        "modules": _MODULES,
        "kinds": [kind.value for kind in Kind],
    }
    return TemplateResponse(request, "console/messages.html", context)


def _search(request: HttpRequest) -> SearchPage:
    criteria = Criteria.read(request.GET.dict(), scope.only(request.user))
    if criteria.object_id is not None:
        criteria = replace(criteria, exchanges=exchanges.about(criteria.object_id))
    return search(criteria)


def _links(request: HttpRequest, ids: Sequence[str]) -> list[tuple[str, str]]:
    """The pages of the Sessions of these ids, their messages and commands, for who may see them."""
    found = []
    if ids and request.user.has_perm("ocpi_sessions.view_session"):
        named = Session.objects.annotate(named=Upper("session_id"))
        for session in named.filter(named__in=[one.upper() for one in ids])[:_MOST_LINKS]:
            page_of = reverse("admin:ocpi_sessions_session_change", args=[session.pk])
            found.append((f"Session {session.session_id} of {session.owner}", page_of))
    if ids and request.user.has_perm("ocpi_charging_profiles.view_profilecommand"):
        listed = reverse("admin:ocpi_charging_profiles_profilecommand_changelist")
        query = urlencode({"q": ids[0]})
        found.append((f"Profile commands of {ids[0]}", f"{listed}?{query}"))
    return found


def _objects_of(correlation_id: str, only: frozenset[PartyId] | None) -> list[str]:
    rows = of_exchange(correlation_id).filter(module__in=("sessions", "chargingprofiles"))
    if only is not None:
        rows = rows.filter(own_legs(only))
    ids = rows.exclude(object_id="").order_by().values_list("object_id", flat=True)
    return list(ids.distinct()[:_MOST_LINKS])


def _outcome(message: Message) -> str:
    return badge(exchange_trace.outcome(message), RED if message.is_failed else GREEN)


def exchange(request: HttpRequest) -> HttpResponse:
    """One exchange as a ladder: `?correlation_id=`."""
    scope.check(request.user, roles.MESSAGES)
    correlation_id = request.GET.get("correlation_id", "").strip()
    only = scope.only(request.user)
    ids = _objects_of(correlation_id, only) if correlation_id else []
    messages_of = [
        (f"All messages of {one}", f"{reverse('messages')}?{urlencode({'object': one})}")
        for one in ids
    ]
    context = {
        **admin.site.each_context(request),
        "title": "One exchange",
        "correlation_id": correlation_id,
        "links": [*_links(request, ids), *messages_of],
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
        found = _search(request)
    except WrongCriterion as error:
        return JsonResponse({"error": str(error)}, status=400)
    return JsonResponse({"messages": list(map(_told, found.messages)), "before": found.before})


def _told(message: Message) -> dict[str, Any]:
    return {field.attname: getattr(message, field.attname) for field in Message._meta.fields}
