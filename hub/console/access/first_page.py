"""The console's first page: the Overview, or for who may not see it the first that it may."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from hub.console.access.roles import OVERVIEW


def page(request: HttpRequest) -> HttpResponse:
    """No dead end after the login: who may see nothing is told so, and by whom that changes."""
    if request.user.has_perm(OVERVIEW):
        return admin.site.index(request)
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Welcome"}
    for group in context["sidebar_navigation"]:
        for item in group["items"]:
            if item["has_permission"]:
                return HttpResponseRedirect(str(item["link"]))
    return TemplateResponse(request, "console/no_rights.html", context)
