"""A key of an API on the one page that shows it."""

from collections.abc import Sequence

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

# Where a form leaves the secret for its answer, in META of the request.
SECRET = "flexhub.secret"  # noqa: S105 - a name


def page(
    request: HttpRequest, title: str, facts: Sequence[tuple[str, str]], *, table: str
) -> HttpResponse:
    """The key with what it opens; in no other answer ever again. `table` lists all keys."""
    context = {
        **admin.site.each_context(request),
        "title": title,
        "facts": facts,
        "secret": request.META.pop(SECRET),
        "list": reverse(f"admin:{table}_changelist"),
    }
    response = TemplateResponse(request, "console/key_once.html", context)
    response["Cache-Control"] = "no-store"
    return response
