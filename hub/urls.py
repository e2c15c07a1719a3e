"""URLs of what the hub answers itself; forwarded messages never come here."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView

from flex.api.urls import nothing_here as flex_has_nothing
from hub.conformance.deviation_lists import Deviations, LeftOutForOthers, LeftOutForYou
from hub.conformance.results import CheckResults
from hub.console.api.urls import nothing_here as admin_api_has_nothing
from hub.console.login import login
from hub.gateway.modules import MODULES
from hub.monitoring.health import health
from hub.monitoring.metrics import metrics
from hub.monitoring.readiness import readiness
from hub.ocpi import own_paths
from hub.ocpi.errors import HubError, NotFound
from hub.openapi.views import docs, openapi
from hub.parties.credentials import CredentialsView
from hub.parties.hub_client_info import HubClientInfo
from hub.parties.versions import Details, Versions
from hub.views import refusal


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str = "") -> HttpResponse:
    """An envelope with 404 for anything that is not an OCPI endpoint."""
    return refusal(NotFound(f"{request.path} is not an endpoint; see {own_paths.VERSIONS}."))


@csrf_exempt
def not_by_the_hub(request: HttpRequest, rest: str = "") -> HttpResponse:
    """What was addressed to the hub itself, which it does not offer."""
    return refusal(
        HubError("The hub keeps no objects of this module itself; name the receiver in OCPI-to.")
    )


# Of `via` the gateway takes care (hub/gateway/gateway.py), of a CDR's Location cdrs/urls.py.
_own = [
    re_path(own_paths.CREDENTIALS.pattern, CredentialsView.as_view()),
    re_path(own_paths.CLIENT_INFO.pattern, HubClientInfo.as_view()),
    re_path(own_paths.DEVIATIONS.pattern, Deviations.as_view()),
    re_path(own_paths.LEFT_OUT_FOR_YOU.pattern, LeftOutForYou.as_view()),
    re_path(own_paths.LEFT_OUT_FOR_OTHERS.pattern, LeftOutForOthers.as_view()),
    re_path(own_paths.CHECK_RESULT.pattern, CheckResults.as_view()),
    re_path(r"^(?:sender|receiver)/(?P<rest>[\s\S]+)$", not_by_the_hub),
]
urlpatterns = [
    # What is asked most comes first.
    *(re_path(own_paths.BELOW_DETAILS, include(list(one.urls))) for one in MODULES),
    path(own_paths.OPENAPI[1:], openapi),
    re_path(own_paths.DOCS_PATTERN, docs),
    re_path(own_paths.VERSIONS_PATTERN, Versions.as_view()),
    re_path(own_paths.DETAILS_PATTERN, Details.as_view()),
    re_path(own_paths.BELOW_DETAILS, include(_own)),
    # However it is spelled: what is OCPI is answered in its envelope (hub/ocpi/odd_urls.py).
    re_path(r"^/*[Oo][Cc][Pp][Ii]/(?P<rest>[\s\S]*)$", nothing_here),
    path(f"{own_paths.FLEX[1:]}v1/", include("flex.api.urls")),
    re_path(rf"^{own_paths.FLEX[1:]}(?P<rest>[\s\S]*)$", flex_has_nothing),
    path(f"{own_paths.ADMIN_API[1:]}v1/", include("hub.console.api.urls")),
    re_path(rf"^{own_paths.ADMIN_API[1:]}(?P<rest>[\s\S]*)$", admin_api_has_nothing),
    path("health", health),
    path("readyz", readiness),
    path("metrics", metrics),
    path("admin/login/", login),
    path("admin/", include("hub.console.urls")),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(url="/admin/")),
]
