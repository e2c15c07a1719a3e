"""URLs of the flex API, below /flex/v1/."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from flex.api import document, emsp_views, fsp_views, fsp_word_views, key_views, site_views
from flex.api.problems import not_found

_SESSION = "<str:country_code>/<str:party_id>/<str:session_id>"


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str = "") -> HttpResponse:
    """404 for what this API does not have."""
    return not_found("This API has no such URL; see /flex/v1/openapi.json.").response()


urlpatterns: list[URLPattern] = [
    path("openapi.json", document.openapi),
    path("fsp/sessions", fsp_views.FspSessionList.as_view()),
    path(f"fsp/sessions/{_SESSION}", fsp_views.FspSessionOne.as_view()),
    path(f"fsp/sessions/{_SESSION}/coverage", fsp_views.FspCoverage.as_view()),
    path("fsp/changes", fsp_views.FspChanges.as_view()),
    path("fsp/sites", fsp_views.FspSites.as_view()),
    path(f"cpo/sessions/{_SESSION}/fsp", fsp_word_views.FspByCpo.as_view()),
    path("cpo/sites", site_views.Sites.as_view()),
    path("cpo/sites/<str:name>", site_views.SiteOne.as_view()),
    path("cpo/sites/<str:name>/limits", site_views.LimitOfSite.as_view()),
    path("emsp/sessions", emsp_views.EmspSessionList.as_view()),
    path(f"emsp/sessions/{_SESSION}", emsp_views.EmspSessionOne.as_view()),
    path(f"emsp/sessions/{_SESSION}/preferences", emsp_views.SessionPreferences.as_view()),
    path(f"emsp/sessions/{_SESSION}/fsp", fsp_word_views.FspByEmsp.as_view()),
    path("emsp/preferences", emsp_views.PreparedList.as_view()),
    path("emsp/preferences/<int:pk>", emsp_views.PreparedOne.as_view()),
    path("emsp/driver-keys", key_views.DriverKeys.as_view()),
    path("emsp/driver-keys/<str:prefix>", key_views.DriverKeyOne.as_view()),
]
