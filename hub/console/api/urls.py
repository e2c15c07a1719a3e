"""URLs of the admin API, below /admin-api/v1/."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from hub.console.api import document, reading
from hub.console.api.acts import ACTS, Doing, Making
from hub.console.api.problems import not_found
from hub.console.api.table_views import Row, Rows
from hub.console.api.tables import BY_NAME


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str = "") -> HttpResponse:
    """404 for what this API does not have."""
    return not_found("This API has no such URL; see /admin-api/v1/openapi.json.").response()


def _route(template: str) -> str:
    """`{pk}` is a number, everything else a text."""
    return template.replace("{pk}", "<int:pk>").replace("{", "<str:").replace("}", ">")


urlpatterns: list[URLPattern] = [
    path("openapi.json", document.openapi),
    path("me", reading.Me.as_view()),
    path("messages", reading.Messages.as_view()),
    path("exchanges/<str:correlation_id>", reading.Exchange.as_view()),
    path("owed", reading.Owed.as_view()),
    path("backups", reading.Backups.as_view()),
    *(
        path(_route(one.path), (Making if one.path in BY_NAME else Doing).as_view(doing=one))
        for one in ACTS
    ),
    path("<str:name>", Rows.as_view()),
    path("<str:name>/<int:pk>", Row.as_view()),
]
