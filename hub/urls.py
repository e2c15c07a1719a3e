"""URLs of what the hub answers itself; forwarded messages never come here."""

import re
from typing import Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView

from charging_profiles.views import ProfileCommands, ProfileResults
from hub.conformance.deviation_lists import (
    FOR_OTHERS,
    FOR_YOU,
    Deviations,
    LeftOutForOthers,
    LeftOutForYou,
)
from hub.conformance.results import CheckResults
from hub.console.login import login
from hub.monitoring.health import health
from hub.monitoring.metrics import metrics
from hub.ocpi.errors import HubError, NotFound
from hub.ocpi.v2_2_1 import BASE_PATH
from hub.openapi.views import docs, openapi
from hub.parties.credentials import CredentialsView
from hub.parties.hub_client_info import HubClientInfo
from hub.parties.versions import Details, Versions
from hub.views import refusal


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str = "") -> HttpResponse:
    """An envelope with 404 for anything that is not an OCPI endpoint."""
    return refusal(NotFound(f"{request.path} is not an endpoint; see /ocpi/versions."))


@csrf_exempt
def not_by_the_hub(request: HttpRequest, rest: str = "") -> HttpResponse:
    """What was addressed to the hub itself, which it does not offer."""
    return refusal(
        HubError("The hub keeps no objects of this module itself; name the receiver in OCPI-to.")
    )


_BASE: Final = f"^{re.escape(BASE_PATH.removeprefix('/'))}"

urlpatterns = [
    # What is asked most comes first.
    *(
        re_path(rf"{_BASE}/", include(f"{module}.urls"))
        for module in ("locations", "tariffs", "sessions", "cdrs", "tokens")
    ),
    path("ocpi/openapi.json", openapi),
    re_path(r"^ocpi/docs/?$", docs),
    re_path(r"^ocpi/versions/?$", Versions.as_view()),
    re_path(rf"{_BASE}/?$", Details.as_view()),
    re_path(rf"{_BASE}/credentials/?$", CredentialsView.as_view()),
    re_path(rf"{_BASE}/hubclientinfo/?$", HubClientInfo.as_view()),
    re_path(rf"{_BASE}/deviations/?$", Deviations.as_view()),
    re_path(rf"{_BASE}/deviations/{FOR_YOU}/?$", LeftOutForYou.as_view()),
    re_path(rf"{_BASE}/deviations/{FOR_OTHERS}/?$", LeftOutForOthers.as_view()),
    re_path(
        rf"{_BASE}/receiver/chargingprofiles/[\s\S]+$",
        ProfileCommands.as_view(),
    ),
    re_path(rf"{_BASE}/profile-result/(?P<key>[^/]+)/?$", ProfileResults.as_view()),
    re_path(rf"{_BASE}/check-result/(?P<key>[^/]+)/?$", CheckResults.as_view()),
    re_path(rf"{_BASE}/(?:sender|receiver)/(?P<rest>[\s\S]+)$", not_by_the_hub),
    re_path(r"^ocpi/(?P<rest>[\s\S]*)$", nothing_here),
    path("health", health),
    path("metrics", metrics),
    path("admin/login/", login),
    path("admin/", include("hub.console.urls")),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(url="/admin/")),
]
