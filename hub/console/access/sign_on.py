"""The pages of single sign-on: away to the provider, and back from it (OpenID Connect)."""

import logging
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from hub.console.access import audit, gate, oidc
from hub.console.access.factor_check import after

logger = logging.getLogger(__name__)
_ASKED = "single sign-on"
_NEXT = "single sign-on leads to"


def _back(request: HttpRequest) -> str:
    """The URL that the provider has to know."""
    path = reverse("single-sign-on-return")
    return request.build_absolute_uri(path) if settings.IS_TRIAL else f"{settings.BASE_URL}{path}"


@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """To the provider."""
    if not settings.OIDC_ISSUER:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    asked = oidc.Asked()
    try:
        where = oidc.address(asked, _back(request))
    except oidc.Refused as error:
        return _refused(request, str(error))
    request.session[_ASKED], request.session[_NEXT] = asked.kept(), after(request)
    return HttpResponseRedirect(where)


@sensitive_variables()
@never_cache
def come_back(request: HttpRequest) -> HttpResponse:
    """From the provider, with a code, or with the reason why not."""
    kept = request.session.pop(_ASKED, None)
    if not settings.OIDC_ISSUER or kept is None:
        return _refused(request, "This login was begun elsewhere, or is over. Begin anew.")
    code, state = request.GET.get("code", ""), request.GET.get("state", "")
    if not code:
        return _refused(request, "The provider has not let you in.")
    try:
        claims = oidc.claims_of(oidc.Asked(**kept), state, code, _back(request))
        user = oidc.user_of(claims)
    except oidc.Refused as error:
        return _refused(request, str(error))
    where = request.session.pop(_NEXT, reverse("admin:index"))
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    gate.forget_age(request.session)
    gate.vouched_for(request)
    audit.note(request, "login", detail="single sign-on")
    logger.info("login of %r from %s by single sign-on", str(user), audit.address_of(request))
    return HttpResponseRedirect(where)


def _refused(request: HttpRequest, why: str) -> HttpResponse:
    logger.warning("single sign-on from %s failed: %s", audit.address_of(request), why)
    messages.error(request, why)
    return HttpResponseRedirect(reverse("admin:login"))
